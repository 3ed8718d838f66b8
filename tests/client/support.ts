/** A client on a line to the Worker under test that breaks as it is told to, with time of its own. */
import { exports } from 'cloudflare:workers';
import { Foreman, type ForemanOptions } from '../../src/client/index';
import type { Surroundings } from '../../src/client/retrying';
import { ORIGIN } from '../journeys/support';

type Deliver = (request: Request) => Promise<Response>;
/** What becomes of one call. */
export type Fault = (request: Request, deliver: Deliver) => Promise<Response>;

export interface Line {
  readonly fetch: typeof fetch;
  /** As `POST /v1/requests`, in their order. */
  readonly calls: string[];
  readonly requests: Request[];
}

const deliver: Deliver = (request) => exports.default.fetch(request);

/** The faults befall one call each, in their order; the calls after them pass. */
export function lineWith(...faults: Fault[]): Line {
  const calls: string[] = [];
  const requests: Request[] = [];
  return {
    calls,
    requests,
    fetch: async (input, init) => {
      const request = new Request(input, init);
      calls.push(`${request.method} ${new URL(request.url).pathname}`);
      requests.push(request.clone());
      const fault = faults.shift() ?? passed;
      return fault(request, deliver);
    },
  };
}

export const passed: Fault = (request, onward) => onward(request);

/** It never arrives. */
export const broken: Fault = async () => {
  throw new TypeError('the line broke');
};

/** It is done, and nobody hears of it. */
export const lost: Fault = async (request, onward) => {
  await onward(request);
  throw new TypeError('the answer got lost');
};

/** It is done, and the answer breaks off in the middle. */
export const brokenOff: Fault = async (request, onward) => {
  const { status, headers, body } = await onward(request);
  await body?.cancel();
  const half = new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode('{"id":'));
      controller.error(new TypeError('the answer broke off'));
    },
  });
  return new Response(half, { status, headers });
};

/** It is done, and the line says nothing more, until it is given up. */
export const silent: Fault = async (request, onward) => {
  await onward(request.clone());
  return endOf(request);
};

/** It stays on the way, until it is given up. */
export const stuck: Fault = (request) => endOf(request);

const endOf = ({ signal }: Request) =>
  new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason));
  });

/** Something on the way answers, or Foreman as if. */
export const answered =
  (status: number, headers: Record<string, string> = {}): Fault =>
  async () =>
    new Response('<h1>no</h1>', { status, headers });

/** Time that passes at once, and is on record; chance takes the longest backoff. */
export function quickTime(during: (ms: number) => void = () => {}) {
  const pauses: number[] = [];
  const within: Surroundings = {
    random: () => 1,
    limit: () => new AbortController().signal,
    pause: async (ms, signal) => {
      signal.throwIfAborted();
      pauses.push(ms);
      during(ms);
    },
  };
  return { within, pauses };
}

export function foremanOn(
  line: Pick<Line, 'fetch'>,
  { key }: { readonly key: string },
  within: Surroundings = quickTime().within,
  options: Partial<ForemanOptions> = {},
): Foreman {
  return new Foreman({ baseUrl: ORIGIN, apiKey: key, fetch: line.fetch, ...options }, within);
}

export const boat = { model: 'sketch', prompt: 'a boat', width: 64, height: 64 };
export const painted = { model: 'gpt-image-1', prompt: 'a boat' };
