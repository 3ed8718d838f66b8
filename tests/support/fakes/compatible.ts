// A fake of what servers with OpenAI's Images API have in common, and of how their answers differ.
import type { ServerResponse } from 'node:http';
import { type End, type FakeError, isEnd, sendEnd } from './ends.ts';
import { png } from './png.ts';
import { type FakeApi, type FakeCall, sendJson, startFake } from './server.ts';

export type CompatibleBehaviour =
  | 'ok'
  /** URLs on the server itself, which want its key, as LocalAI answers. */
  | 'url'
  /** The first image by URL, the others in base64. */
  | 'mixed'
  | 'data-url'
  /** `images` in the place of `data`. */
  | 'images'
  /** Neither `created` nor a content type. */
  | 'bare'
  | 'empty'
  /** LiteLLM's words for a provider's refusal. */
  | 'refused'
  /** FastAPI's for a parameter that fails validation. */
  | 'unprocessable'
  | End;

const DEFAULT_SIDE = 64;

export const startFakeCompatible = (port?: number) =>
  startFake<CompatibleBehaviour>((origin) => new FakeCompatible(origin), 'ok', port);

class FakeCompatible implements FakeApi<CompatibleBehaviour> {
  private readonly origin: () => string;
  private billed = 0;
  private opened = 0;

  constructor(origin: () => string) {
    this.origin = origin;
  }

  facts = () => ({ billed: this.billed, opened: this.opened });

  reset = () => {
    this.billed = 0;
    this.opened = 0;
  };

  handle = async (call: FakeCall, response: ServerResponse, take: () => CompatibleBehaviour) => {
    if (call.headers.authorization !== 'Bearer compatible-key') {
      sendEnd('bad-key', response, errorBody);
      return;
    }
    if (call.path.startsWith('/generated-images/')) {
      this.opened += 1;
      response.writeHead(200, { 'content-type': 'image/png' }).end(png(DEFAULT_SIDE, DEFAULT_SIDE));
      return;
    }
    const fields = await fieldsOf(call);
    if (!fields) {
      sendEnd('no-model', response, errorBody);
      return;
    }
    const behaviour = take();
    const count = Number(fields.n ?? 1);
    if (behaviour === 'reset' || behaviour === 'cut-answer') this.billed += count;
    if (isEnd(behaviour)) {
      sendEnd(behaviour, response, errorBody);
      return;
    }
    if (behaviour === 'refused' || behaviour === 'unprocessable') {
      sendRefusal(response, behaviour);
      return;
    }
    this.billed += count;
    const [width, height] = String(fields.size ?? `${DEFAULT_SIDE}x${DEFAULT_SIDE}`)
      .split('x')
      .map(Number);
    const pictures = Array.from({ length: behaviour === 'empty' ? 0 : count }, () =>
      png(width, height).toString('base64'),
    );
    this.send(response, behaviour, pictures);
  };

  private send(response: ServerResponse, behaviour: CompatibleBehaviour, pictures: string[]): void {
    const items = pictures.map((picture, index) => {
      const isByUrl = behaviour === 'url' || (behaviour === 'mixed' && index === 0);
      if (isByUrl) return { url: `${this.origin()}/generated-images/${index}.png` };
      const dataUrl = `data:image/png;base64,${picture}`;
      return behaviour === 'data-url' ? { url: dataUrl } : { b64_json: picture };
    });
    if (behaviour === 'bare') {
      response.writeHead(200).end(JSON.stringify({ data: items }));
      return;
    }
    const named = behaviour === 'images' ? { images: items } : { data: items };
    sendJson(response, 200, { created: 1_760_000_000, ...named });
  }
}

/** Null for what is no route of the API. */
async function fieldsOf(call: FakeCall): Promise<Record<string, unknown> | null> {
  if (call.method !== 'POST') return null;
  if (call.path === '/v1/images/generations') return JSON.parse(call.body.toString());
  if (call.path !== '/v1/images/edits') return null;
  const headers = { 'content-type': call.headers['content-type'] ?? '' };
  const form = await new Response(new Uint8Array(call.body), { headers }).formData();
  if (!(form.get('image') instanceof Blob)) throw new Error('an edit has an image');
  return Object.fromEntries(form.entries());
}

function sendRefusal(response: ServerResponse, behaviour: 'refused' | 'unprocessable'): void {
  if (behaviour === 'unprocessable') {
    const detail = [
      { loc: ['body', 'size'], msg: 'size must be WIDTHxHEIGHT', type: 'value_error' },
    ];
    sendJson(response, 422, { detail });
    return;
  }
  const message =
    'litellm.BadRequestError: litellm.ContentPolicyViolationError: safety_violations=[violence]';
  sendJson(response, 400, { error: { message, type: null, param: null, code: '400' } });
}

const errorBody = ({ code, message }: FakeError) => ({
  error: { message, type: 'error', param: null, code },
});
