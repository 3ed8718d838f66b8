// A fake of xAI's Images API. Its errors are flat, `{code, error}`, and it withholds single images
// of a successful answer. Source: docs.x.ai and errors that its users have written down.
import type { ServerResponse } from 'node:http';
import { png } from './png.ts';
import { type FakeCall, sendJson, startFake } from './server.ts';

export type XaiBehaviour =
  | 'ok'
  /** Images by URL, though base64 was asked for. */
  | 'url'
  /** The first image is withheld. */
  | 'one-withheld'
  | 'all-withheld'
  | 'no-images'
  | 'output-rejected'
  | 'prompt-rejected'
  | 'bad-argument'
  | 'bad-key'
  | 'no-credits'
  | 'forbidden'
  | 'no-such-model'
  | 'rate-limited'
  | 'internal'
  | 'reset'
  | 'hang';

const TICKS_PER_IMAGE = 200_000_000;

type Failure = readonly [
  status: number,
  code: string,
  error: string,
  more?: { readonly ticks?: number; readonly retryAfter?: string },
];

const ERRORS: Partial<Record<XaiBehaviour, Failure>> = {
  'output-rejected': [
    400,
    'Client specified an invalid argument',
    'Generated image rejected by content moderation.',
    { ticks: TICKS_PER_IMAGE },
  ],
  'prompt-rejected': [
    403,
    'permission-denied',
    'Content violates usage guidelines. Team: 1f0e, API key ID: 77aa. Failed check: SAFETY_CHECK_TYPE_CSAM',
  ],
  'bad-argument': [400, 'Client specified an invalid argument', 'Argument not supported: size'],
  'bad-key': [
    400,
    'Client specified an invalid argument',
    'Incorrect API key provided: xa***ey. You can obtain an API key from https://console.x.ai.',
  ],
  'no-credits': [
    403,
    'permission-denied',
    'Your team 1f0e has either used all available credits or reached its monthly spending limit.',
  ],
  forbidden: [403, 'permission-denied', 'The caller does not have permission for this model.'],
  'no-such-model': [404, 'not-found', 'The model grok-0 does not exist.'],
  'rate-limited': [
    429,
    'Some resource has been exhausted',
    'Too many requests for team 1f0e and model grok-imagine-image.',
    { retryAfter: '3' },
  ],
  internal: [500, 'internal', 'Internal error.'],
};

const PATHS = new Set(['/v1/images/generations', '/v1/images/edits']);

function createXai(origin: () => string) {
  let billed = 0;
  const imageFor = (behaviour: XaiBehaviour, index: number) => {
    const isWithheld =
      behaviour === 'all-withheld' || (behaviour === 'one-withheld' && index === 0);
    if (isWithheld) return { b64_json: null, respect_moderation: false };
    if (behaviour === 'url')
      return { url: `${origin()}/files/${index}.png`, mime_type: 'image/png' };
    return {
      b64_json: png(64, 64).toString('base64'),
      mime_type: 'image/png',
      revised_prompt: '',
      respect_moderation: true,
    };
  };
  return {
    handle(call: FakeCall, response: ServerResponse, take: () => XaiBehaviour) {
      if (call.method === 'GET' && call.path.startsWith('/files/')) {
        response.writeHead(200, { 'content-type': 'image/png' });
        response.end(png(64, 64));
        return;
      }
      const id = { 'x-request-id': '7c1f6e1e-5f0d-4b6a-9d55-1f7d4f1b1a11' };
      const fail = ([status, code, error, more]: Failure) =>
        sendJson(
          response,
          status,
          { code, error, ...(more?.ticks ? { usage: { cost_in_usd_ticks: more.ticks } } : {}) },
          { ...id, ...(more?.retryAfter ? { 'retry-after': more.retryAfter } : {}) },
        );
      if (call.method !== 'POST' || !PATHS.has(call.path)) {
        return fail([404, 'not-found', 'No such route.']);
      }
      if (!/^Bearer \S+$/.test(call.headers.authorization ?? '')) {
        return fail([401, 'unauthenticated', 'No API key provided.']);
      }
      const behaviour = take();
      if (behaviour === 'hang') return;
      const error = ERRORS[behaviour];
      if (error) {
        if (error[3]?.ticks) billed += 1;
        return fail(error);
      }
      const { n = 1 } = JSON.parse(call.body.toString());
      const count = behaviour === 'no-images' ? 0 : n;
      billed += count;
      if (behaviour === 'reset') return void response.socket?.resetAndDestroy();
      const data = Array.from({ length: count }, (_, index) => imageFor(behaviour, index));
      sendJson(response, 200, { data, usage: { cost_in_usd_ticks: count * TICKS_PER_IMAGE } }, id);
    },
    facts: () => ({ billed }),
    reset() {
      billed = 0;
    },
  };
}

export const startFakeXai = (port?: number) => startFake<XaiBehaviour>(createXai, 'ok', port);
