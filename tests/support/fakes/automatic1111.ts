// A fake of AUTOMATIC1111's web UI with --api. It has one checkpoint besides the loaded one, and
// passes over names that it does not know as the real one does. `locked` is a server behind
// --api-auth that wants another password.
import type { ServerResponse } from 'node:http';
import { type End, type FakeError, isEnd, sendEnd } from './ends.ts';
import { png } from './png.ts';
import { type FakeApi, type FakeCall, sendJson, startFake } from './server.ts';

export type Automatic1111Behaviour =
  | 'ok'
  | 'contact-sheet'
  | 'extra-image'
  | 'empty'
  | 'locked'
  | 'out-of-memory'
  | 'no-sampler'
  | 'unavailable'
  | End;

export const startFakeAutomatic1111 = (port?: number) =>
  startFake<Automatic1111Behaviour>(() => new FakeAutomatic1111(), 'ok', port);

const CHECKPOINTS = ['v1-5-pruned-emaonly', 'sd_xl_base_1.0'];
const DEFAULT_SIDE = 512;
const DEFAULT_SEED = 3_741_902_155;

class FakeAutomatic1111 implements FakeApi<Automatic1111Behaviour> {
  private made = 0;

  facts = () => ({ made: this.made });

  reset = () => {
    this.made = 0;
  };

  handle = (call: FakeCall, response: ServerResponse, take: () => Automatic1111Behaviour) => {
    const route = /^\/sdapi\/v1\/(txt2img|img2img)$/.exec(call.path)?.[1];
    if (call.method !== 'POST' || !route) {
      sendJson(response, 404, { detail: 'Not Found' });
      return;
    }
    const behaviour = take();
    const body = JSON.parse(call.body.toString());
    const fault = faultIn(body);
    if (behaviour === 'reset' || behaviour === 'cut-answer') this.made += 1;
    if (isEnd(behaviour)) sendEnd(behaviour, response, errorBody);
    else if (fault) sendJson(response, 422, { detail: [{ ...fault, input: body.prompt }] });
    else if (route === 'img2img' && !Array.isArray(body.init_images)) {
      sendJson(response, 404, exception('Init image not found'));
    } else if (behaviour === 'unavailable') {
      response.writeHead(503, { 'retry-after': '3' }).end('Service Unavailable');
    } else if (isRefusal(behaviour)) {
      const [status, answer] = refusals[behaviour];
      sendJson(response, status, answer);
    } else this.generate(body, response, behaviour);
  };

  private generate(body: Body, response: ServerResponse, behaviour: Automatic1111Behaviour): void {
    const { batch_size: count = 1, width = DEFAULT_SIDE, height = DEFAULT_SIDE } = body;
    const seed = body.seed ?? DEFAULT_SEED;
    const pictures = Array.from({ length: count }, () => png(width, height).toString('base64'));
    this.made += count;
    const asked = body.override_settings?.sd_model_checkpoint;
    const hasSheet = behaviour === 'contact-sheet';
    if (hasSheet) pictures.unshift(png(32, 32).toString('base64'));
    if (behaviour === 'extra-image') pictures.push(png(32, 32).toString('base64'));
    const info = {
      prompt: body.prompt,
      seed,
      all_seeds: Array.from({ length: count }, (_, index) => seed + index),
      width,
      height,
      batch_size: count,
      sd_model_name: CHECKPOINTS.find((name) => name === asked) ?? CHECKPOINTS[0],
      sd_model_hash: '6ce0161689',
      index_of_first_image: hasSheet ? 1 : 0,
    };
    sendJson(response, 200, {
      images: behaviour === 'empty' ? [] : pictures,
      parameters: body,
      info: JSON.stringify(info),
    });
  }
}

const exception = (detail: string) => ({ error: 'HTTPException', detail, body: '', errors: '' });

const refusals = {
  locked: [401, { detail: 'Incorrect username or password' }],
  'no-sampler': [404, exception('Sampler not found')],
  'out-of-memory': [
    500,
    {
      error: 'OutOfMemoryError',
      detail: '',
      body: '',
      errors: 'CUDA out of memory. Tried to allocate 4.50 GiB.',
    },
  ],
} as const;

const isRefusal = (behaviour: string): behaviour is keyof typeof refusals => behaviour in refusals;

interface Body {
  readonly prompt?: string;
  readonly batch_size?: number;
  readonly width?: number;
  readonly height?: number;
  readonly seed?: number;
  readonly override_settings?: { readonly sd_model_checkpoint?: string };
}

function faultIn(body: Body) {
  for (const name of ['batch_size', 'width', 'height', 'steps', 'seed'] as const) {
    const value: unknown = Reflect.get(body, name);
    if (value !== undefined && !Number.isInteger(value)) {
      return { type: 'int_type', loc: ['body', name], msg: 'Input should be a valid integer' };
    }
  }
  return null;
}

const errorBody = ({ message }: FakeError) => exception(message);
