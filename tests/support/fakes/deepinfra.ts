// A fake of DeepInfra: /v1/inference/{model} makes pictures from text, /v1/openai/images/edits from
// pictures. Answers follow https://deepinfra.com/black-forest-labs/FLUX-1-schnell/api
import type { ServerResponse } from 'node:http';
import { type End, type FakeError, isEnd, sendEnd } from './ends.ts';
import { png } from './png.ts';
import { type FakeApi, type FakeCall, sendJson, startFake } from './server.ts';

export type DeepInfraBehaviour = 'ok' | 'empty' | 'nsfw' | 'nsfw-blank' | End;

const DEFAULT_SIDE = 64;
const USUAL_SEED = 42;
const USD_PER_IMAGE = 0.0005;

export const startFakeDeepInfra = (port?: number) =>
  startFake<DeepInfraBehaviour>(() => new FakeDeepInfra(), 'ok', port);

class FakeDeepInfra implements FakeApi<DeepInfraBehaviour> {
  private billed = 0;

  facts = () => ({ billed: this.billed });

  reset = () => {
    this.billed = 0;
  };

  handle = async (call: FakeCall, response: ServerResponse, take: () => DeepInfraBehaviour) => {
    const isEdit = call.path === '/v1/openai/images/edits';
    const bodyOf = isEdit ? openAiError : inferenceError;
    if (call.method !== 'POST' || !(isEdit || call.path.startsWith('/v1/inference/'))) {
      sendEnd('no-model', response, bodyOf);
      return;
    }
    if (!/^Bearer \S+$/i.test(call.headers.authorization ?? '')) {
      sendEnd('bad-key', response, bodyOf);
      return;
    }
    const behaviour = take();
    const asked = isEdit ? await readForm(call) : readJson(call);
    if (behaviour === 'reset' || behaviour === 'cut-answer') this.billed += asked.count;
    if (isEnd(behaviour)) {
      sendEnd(behaviour, response, bodyOf);
      return;
    }
    this.billed += asked.count;
    const count = behaviour === 'empty' ? 0 : asked.count;
    const pictures = Array.from({ length: count }, () => png(asked.width, asked.height));
    sendJson(
      response,
      200,
      isEdit ? openAiAnswer(pictures) : inferenceAnswer(pictures, behaviour, asked.seed),
    );
  };
}

interface Asked {
  readonly count: number;
  readonly width: number;
  readonly height: number;
  readonly seed: number;
}

/** Numbers may come as text: the API reads `"1024"` as 1024. */
function readJson(call: FakeCall): Asked {
  const body = JSON.parse(call.body.toString());
  return {
    count: Number(body.num_images ?? 1),
    width: Number(body.width ?? DEFAULT_SIDE),
    height: Number(body.height ?? DEFAULT_SIDE),
    seed: Number(body.seed ?? USUAL_SEED),
  };
}

async function readForm(call: FakeCall): Promise<Asked> {
  const headers = { 'content-type': call.headers['content-type'] ?? '' };
  const form = await new Response(new Uint8Array(call.body), { headers }).formData();
  if (!(form.get('image') instanceof Blob)) throw new Error('an edit has an image');
  const [width, height] = String(form.get('size') ?? `${DEFAULT_SIDE}x${DEFAULT_SIDE}`).split('x');
  return {
    count: Number(form.get('n') ?? 1),
    width: Number(width),
    height: Number(height),
    seed: USUAL_SEED,
  };
}

function inferenceAnswer(pictures: Buffer[], behaviour: DeepInfraBehaviour, seed: number) {
  const isFlagged = behaviour === 'nsfw' || behaviour === 'nsfw-blank';
  return {
    images: pictures.map((picture) =>
      behaviour === 'nsfw-blank' ? '' : `data:image/png;base64,${picture.toString('base64')}`,
    ),
    nsfw_content_detected: pictures.map(() => isFlagged),
    seed,
    request_id: 'Rfake0123',
    inference_status: {
      status: 'succeeded',
      runtime_ms: 412,
      cost: USD_PER_IMAGE * pictures.length,
    },
  };
}

const openAiAnswer = (pictures: Buffer[]) => ({
  created: 1_760_000_000,
  data: pictures.map((picture) => ({ b64_json: picture.toString('base64') })),
});

const inferenceError = ({ message }: FakeError) => ({ detail: { error: message } });
const openAiError = ({ code, message }: FakeError) => ({ error: { message, type: null, code } });
