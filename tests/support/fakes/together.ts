// A fake of Together AI's images API. Answers follow github.com/togethercomputer/openapi.
import type { ServerResponse } from 'node:http';
import { type End, type FakeError, isEnd, sendEnd } from './ends.ts';
import { png } from './png.ts';
import { type FakeApi, type FakeCall, sendJson, startFake } from './server.ts';

export type TogetherBehaviour = 'ok' | 'url' | 'empty' | 'nsfw-input' | 'nsfw-output' | End;

const DEFAULT_SIDE = 64;

export const startFakeTogether = (port?: number) =>
  startFake<TogetherBehaviour>((origin) => new FakeTogether(origin), 'ok', port);

class FakeTogether implements FakeApi<TogetherBehaviour> {
  private readonly origin: () => string;
  private billed = 0;

  constructor(origin: () => string) {
    this.origin = origin;
  }

  facts = () => ({ billed: this.billed });

  reset = () => {
    this.billed = 0;
  };

  handle = (call: FakeCall, response: ServerResponse, take: () => TogetherBehaviour) => {
    if (call.method === 'GET' && call.path.startsWith('/files/')) {
      response.writeHead(200, { 'content-type': 'image/png' }).end(png(DEFAULT_SIDE, DEFAULT_SIDE));
      return;
    }
    if (call.method !== 'POST' || call.path !== '/v1/images/generations') {
      sendError(response, { status: 404, code: 'not_found', message: 'No such route' });
      return;
    }
    if (!/^Bearer \S+$/.test(call.headers.authorization ?? '')) {
      sendEnd('bad-key', response, errorBody);
      return;
    }
    this.generate(JSON.parse(call.body.toString()), response, take());
  };

  private generate(body: Body, response: ServerResponse, behaviour: TogetherBehaviour): void {
    const fault = faultIn(body);
    if (fault) {
      sendError(response, { status: 400, code: 'invalid_request', message: fault });
      return;
    }
    if (behaviour === 'nsfw-input') {
      sendError(response, { status: 422, code: '', message: 'Prompt may contain NSFW content.' });
      return;
    }
    const count = body.n ?? 1;
    if (behaviour === 'reset' || behaviour === 'cut-answer') this.billed += count;
    if (isEnd(behaviour)) {
      sendEnd(behaviour, response, errorBody);
      return;
    }
    this.billed += count;
    if (behaviour === 'nsfw-output') {
      const message = 'NSFW content detected in image. Please try again with a different prompt.';
      sendError(response, { status: 422, code: '', message });
      return;
    }
    const { width = DEFAULT_SIDE, height = DEFAULT_SIDE } = body;
    const indexes = behaviour === 'empty' ? [] : Array.from({ length: count }, (_, index) => index);
    const data = indexes.map((index) =>
      behaviour === 'url'
        ? { index, type: 'url', url: `${this.origin()}/files/${index}.png` }
        : { index, type: 'b64_json', b64_json: png(width, height).toString('base64') },
    );
    sendJson(response, 200, {
      id: `o${this.billed}-fake`,
      model: body.model,
      object: 'list',
      data,
    });
  }
}

interface Body {
  readonly model?: unknown;
  readonly prompt?: unknown;
  readonly n?: number;
  readonly width?: number;
  readonly height?: number;
}

function faultIn(body: Body): string | null {
  if (typeof body.model !== 'string') return 'model is required';
  if (typeof body.prompt !== 'string') return 'prompt is required';
  for (const name of ['n', 'width', 'height', 'steps', 'seed'] as const) {
    const value: unknown = Reflect.get(body, name);
    if (value !== undefined && !Number.isInteger(value)) return `${name} must be an integer`;
  }
  return null;
}

const errorBody = ({ code, message }: FakeError) => ({
  id: 'o-fake',
  error: { message, type: 'invalid_request_error', param: null, code: code || null },
});

const sendError = (response: ServerResponse, error: FakeError) =>
  sendJson(response, error.status, errorBody(error));
