// The ends without images that every API over HTTP has. Each fake gives them its own error body.
import type { ServerResponse } from 'node:http';
import { sendJson } from './server.ts';

const failures = {
  'bad-key': [401, 'invalid_api_key', 'Invalid API key provided'],
  unpaid: [402, 'credit_limit', 'Credit limit exceeded, please add a payment method'],
  'no-model': [404, 'model_not_available', 'Unable to access this model'],
  invalid: [400, 'invalid_request', 'steps must be between 1 and 4'],
  throttled: [429, 'rate_limit', 'Too many requests'],
  broken: [500, 'server_error', 'Internal server error'],
  'gateway-timeout': [504, 'timeout', 'The upstream did not answer'],
} as const satisfies Record<string, readonly [status: number, code: string, message: string]>;

const oddities = ['html', 'cut-json', 'cut-answer', 'reset', 'hang'] as const;

type Failure = keyof typeof failures;
export type End = Failure | (typeof oddities)[number];

export interface FakeError {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

const isFailure = (end: End): end is Failure => end in failures;
export const isEnd = (behaviour: string): behaviour is End =>
  behaviour in failures || oddities.some((end) => end === behaviour);

export function sendEnd(
  end: End,
  response: ServerResponse,
  bodyOf: (error: FakeError) => unknown,
): void {
  if (isFailure(end)) {
    const [status, code, message] = failures[end];
    const headers: Record<string, string> = end === 'throttled' ? { 'retry-after': '7' } : {};
    sendJson(response, status, bodyOf({ status, code, message }), headers);
    return;
  }
  sendOddity(end, response);
}

function sendOddity(end: Exclude<End, Failure>, response: ServerResponse): void {
  switch (end) {
    case 'html':
      response.writeHead(200, { 'content-type': 'text/html' }).end('<!DOCTYPE html><html></html>');
      break;
    case 'cut-json':
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"data":[{"b64_j');
      break;
    case 'cut-answer':
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '9999' });
      response.write('{"data":[{"b64_j', () => response.destroy());
      break;
    case 'reset':
      response.socket?.resetAndDestroy();
      break;
    case 'hang':
      break;
  }
}
