// A fake of Fireworks' image endpoints: `workflows` (FLUX) and `image_generation` (SDXL and its kin).
// A picture is the body itself; how it ended stands in headers. Source: docs.fireworks.ai.
import type { ServerResponse } from 'node:http';
import { png } from './png.ts';
import { type FakeCall, sendJson, startFake } from './server.ts';

export type FireworksBehaviour =
  | 'ok'
  /** A 200 whose picture was blacked out. */
  | 'filtered'
  | 'empty'
  | 'html'
  | 'invalid'
  | 'bad-key'
  | 'unpaid'
  | 'suspended'
  | 'no-such-model'
  | 'rate-limited'
  | 'overloaded'
  | 'internal'
  | 'reset'
  | 'reset-mid-answer'
  | 'hang';

type Failure = readonly [
  status: number,
  type: string,
  message: string,
  headers?: Readonly<Record<string, string>>,
];

const ERRORS: Partial<Record<FireworksBehaviour, Failure>> = {
  invalid: [400, 'invalid_request_error', 'aspect_ratio: Input should be 1:1, 21:9 or 16:9'],
  'bad-key': [401, 'invalid_request_error', 'The API key you provided is invalid.'],
  unpaid: [402, 'invalid_request_error', 'Payment required.'],
  suspended: [
    412,
    'invalid_request_error',
    'Account acme is suspended, possibly due to reaching the monthly spending limit or failure to pay past invoices.',
  ],
  'no-such-model': [
    404,
    'invalid_request_error',
    'Model not found, inaccessible, and/or not deployed',
  ],
  'rate-limited': [429, 'rate_limit_error', 'Request rate exceeded.', { 'retry-after': '2' }],
  overloaded: [503, 'overloaded_error', 'The service is temporarily overloaded.'],
  internal: [500, 'internal_server_error', 'Server error.'],
};

const MODEL = 'accounts/[\\w-]+/models/[\\w-]+';
const PATH = new RegExp(
  `^/inference/v1/(?:workflows/${MODEL}/text_to_image|image_generation/${MODEL})$`,
);

function createFireworks() {
  let billed = 0;
  return {
    handle(call: FakeCall, response: ServerResponse, take: () => FireworksBehaviour) {
      const id = { 'x-request-id': 'a1b2c3d4-0000-4000-8000-5e6f70819203' };
      const fail = ([status, type, message, headers]: Failure) =>
        sendJson(
          response,
          status,
          { error: { object: 'error', type, code: type, message } },
          { ...id, ...headers },
        );
      if (call.method !== 'POST' || !PATH.test(call.path)) {
        return fail([404, 'invalid_request_error', 'Path not found.']);
      }
      if (!/^Bearer \S+$/.test(call.headers.authorization ?? '')) {
        return sendJson(response, 401, { error: 'unauthorized' }, id);
      }
      const behaviour = take();
      if (behaviour === 'hang') return;
      const error = ERRORS[behaviour];
      if (error) return fail(error);
      if (behaviour === 'html') {
        response.writeHead(200, { 'content-type': 'text/html', ...id });
        response.end('<!DOCTYPE html><p>Sign in to continue</p>');
        return;
      }
      billed += 1;
      if (behaviour === 'reset') return void response.socket?.resetAndDestroy();
      const asked = JSON.parse(call.body.toString());
      const picture =
        behaviour === 'empty' ? Buffer.alloc(0) : png(asked.width ?? 64, asked.height ?? 64);
      response.writeHead(200, {
        'content-type': 'image/png',
        'content-length': picture.length,
        'finish-reason': behaviour === 'filtered' ? 'CONTENT_FILTERED' : 'SUCCESS',
        seed: String(asked.seed || 1234),
        ...id,
      });
      if (behaviour !== 'reset-mid-answer') return void response.end(picture);
      const half = picture.subarray(0, picture.length / 2);
      response.write(half, () => response.socket?.resetAndDestroy());
    },
    facts: () => ({ billed }),
    reset() {
      billed = 0;
    },
  };
}

export const startFakeFireworks = (port?: number) =>
  startFake<FireworksBehaviour>(createFireworks, 'ok', port);
