/** The line to Foreman: whose key it is, what is tried again, and what an answer means. */
import createClient, { type Client } from 'openapi-fetch';
import { ForemanError } from './errors';
import { retryAfterMs, retrying, type Send, type Surroundings } from './retrying';
import type { paths } from './schema';
import type { Problem } from './types';

export type Http = Client<paths>;

export interface ConnectionOptions {
  /** Where Foreman is: `https://foreman.example.com`. */
  readonly baseUrl: string;
  readonly apiKey: string;
  /** The global one when left out. */
  readonly fetch?: typeof fetch;
  /** Of each HTTP call; 4 when left out. */
  readonly maxRetries?: number;
}

export interface Connection {
  readonly http: Http;
  readonly surroundings: Surroundings;
  /** The same line as `http` uses, with something of the caller's between it and the retries. */
  through(between: (send: Send) => Send): Send;
}

const MAX_RETRIES = 4;

export function connect(options: ConnectionOptions, surroundings: Surroundings): Connection {
  const { baseUrl, apiKey, maxRetries = MAX_RETRIES } = options;
  const send: Send = (request) => (options.fetch ?? fetch)(request);
  const through: Connection['through'] = (between) =>
    retrying(between(send), maxRetries, surroundings);
  const headers = { authorization: `Bearer ${carried(apiKey)}` };
  // A redirected POST goes on as a GET, and would bring back something else.
  const redirect = 'manual';
  const http = createClient<paths>({ baseUrl, headers, redirect, fetch: through((same) => same) });
  http.use({ onResponse: ({ response }) => refusePage(response) });
  return { http, surroundings, through };
}

/** @throws TypeError for what no header can carry; the platform's own error would quote it. */
function carried(apiKey: string): string {
  const key = apiKey.trim();
  if (/^[\t\x20-\x7e\x80-\xff]*$/.test(key)) return key;
  throw new TypeError('The apiKey has characters that no key has.');
}

/** Foreman answers with no pages: this is a `baseUrl` of somebody else's, or a gate on the way. */
function refusePage({ ok, status, headers }: Response): void {
  if (!ok || !headers.get('content-type')?.startsWith('text/html')) return;
  throw new ForemanError({ status, ...noAnswerOfForemans });
}

const noAnswerOfForemans = {
  problem: null,
  correlationId: null,
  retryAfterMs: null,
  idempotencyKey: null,
};

interface Answered<Data> {
  readonly data?: Data;
  readonly error?: unknown;
  readonly response: Response;
}

/** @throws ForemanError when it is no success. */
export async function dataOf<Data>(
  call: Promise<Answered<Data>>,
  idempotencyKey: string | null = null,
): Promise<Exclude<Data, undefined>> {
  return unwrap(await call, idempotencyKey);
}

/** @throws ForemanError when it is no success. */
export function unwrap<Data>(
  { data, error, response }: Answered<Data>,
  idempotencyKey: string | null = null,
): Exclude<Data, undefined> {
  // A success has the body that its type says; where that is none, nobody asks for it.
  if (response.ok) return data as Exclude<Data, undefined>;
  throw new ForemanError({
    status: response.status,
    problem: isProblem(error) ? error : null,
    correlationId: response.headers.get('x-correlation-id'),
    retryAfterMs: retryAfterMs(response.headers),
    idempotencyKey,
  });
}

function isProblem(body: unknown): body is Problem {
  return typeof body === 'object' && body !== null && 'code' in body && 'detail' in body;
}

/** Random, as `crypto.randomUUID` is not there for pages that came without TLS. */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
