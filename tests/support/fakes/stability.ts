// A fake of Stability AI's Stable Image API (v2beta), which holds its callers to the rules of the
// form: what each service takes, and what goes with what.
import type { ServerResponse } from 'node:http';
import { type End, type FakeError, isEnd, sendEnd } from './ends.ts';
import { png } from './png.ts';
import { type FakeApi, type FakeCall, sendJson, startFake } from './server.ts';

export type StabilityBehaviour = 'ok' | 'filtered' | 'moderated' | 'rate-limited' | 'empty' | End;

export const startFakeStability = (port?: number) =>
  startFake<StabilityBehaviour>(() => new FakeStability(), 'ok', port);

const GENERATE = '/v2beta/stable-image/generate/';
const INPAINT = '/v2beta/stable-image/edit/inpaint';

class FakeStability implements FakeApi<StabilityBehaviour> {
  private billed = 0;

  facts = () => ({ billed: this.billed });

  reset = () => {
    this.billed = 0;
  };

  handle = async (call: FakeCall, response: ServerResponse, take: () => StabilityBehaviour) => {
    const service = serviceOf(call);
    if (service === null) {
      send(response, { status: 404, code: 'not_found', message: 'no such route' });
      return;
    }
    if (!/^Bearer \S+$/.test(call.headers.authorization ?? '')) {
      sendEnd('bad-key', response, errorBody);
      return;
    }
    const form = await formIn(call);
    const message = form ? faultIn(service, form) : 'content-type: must be multipart/form-data';
    if (message) send(response, { status: 400, code: 'bad_request', message });
    else this.generate(response, take());
  };

  private generate(response: ServerResponse, behaviour: StabilityBehaviour): void {
    if (behaviour === 'reset' || behaviour === 'cut-answer') this.billed += 1;
    if (isEnd(behaviour)) {
      sendEnd(behaviour, response, errorBody);
      return;
    }
    if (behaviour === 'moderated') {
      const message =
        'Your request was flagged by our content moderation system, as a result your request was denied and you were not charged.';
      send(response, { status: 403, code: 'content_moderation', message });
      return;
    }
    if (behaviour === 'rate-limited') {
      const message = 'You have exceeded the rate limit of 150 requests within a 10 second period.';
      send(response, { status: 429, code: 'rate_limit_exceeded', message });
      return;
    }
    this.billed += 1;
    sendJson(
      response,
      200,
      {
        image: behaviour === 'empty' ? '' : png().toString('base64'),
        finish_reason: behaviour === 'filtered' ? 'CONTENT_FILTERED' : 'SUCCESS',
        seed: 343_940_597,
      },
      { 'content-type': 'application/json; type=image/png', 'x-request-id': `req-${this.billed}` },
    );
  }
}

const services = ['core', 'ultra', 'sd3', 'inpaint'] as const;
type Service = (typeof services)[number];

function serviceOf({ method, path }: FakeCall): Service | null {
  if (method !== 'POST') return null;
  if (path === INPAINT) return 'inpaint';
  if (!path.startsWith(GENERATE)) return null;
  const name = path.slice(GENERATE.length);
  return services.find((service) => service === name && service !== 'inpaint') ?? null;
}

async function formIn({ headers, body }: FakeCall): Promise<FormData | null> {
  const type = headers['content-type'] ?? '';
  if (!type.startsWith('multipart/form-data')) return null;
  return new Response(new Uint8Array(body), { headers: { 'content-type': type } }).formData();
}

const taken: Readonly<Record<Service, readonly string[]>> = {
  core: ['aspect_ratio', 'style_preset'],
  ultra: ['aspect_ratio', 'style_preset', 'image', 'strength'],
  sd3: ['aspect_ratio', 'style_preset', 'image', 'strength', 'model', 'mode', 'cfg_scale'],
  inpaint: ['style_preset', 'image', 'mask', 'grow_mask'],
};
const takenByAll = ['prompt', 'negative_prompt', 'seed', 'output_format'];

function faultIn(service: Service, form: FormData): string | null {
  const names = new Set(form.keys());
  const strange = [...names].find(
    (name) => !takenByAll.includes(name) && !taken[service].includes(name),
  );
  if (strange) return `${strange}: is not a field of this service`;
  if (!names.has('prompt')) return 'prompt: is required';
  const hasImage = form.get('image') instanceof File;
  if (service === 'inpaint') return hasImage ? null : 'image: is required';
  const isFromImage = service === 'sd3' ? form.get('mode') === 'image-to-image' : hasImage;
  if (isFromImage !== hasImage) return 'image: goes with image-to-image only';
  if (isFromImage !== names.has('strength')) return 'strength: goes with an image, and must';
  if (service === 'sd3' && hasImage && names.has('aspect_ratio')) {
    return 'aspect_ratio: goes with text-to-image only';
  }
  return null;
}

const errorBody = ({ code, message }: FakeError) => ({
  id: 'a1b2c3d4e5f6a1b2c3d4e5f6a1b2c3d4',
  name: code,
  errors: [message],
});

const send = (response: ServerResponse, error: FakeError) =>
  sendJson(response, error.status, errorBody(error));
