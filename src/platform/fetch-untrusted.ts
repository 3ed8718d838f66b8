/**
 * The one way to a URL chosen by someone else: webhook receivers and image inputs. It decides which
 * URLs may be called, never follows a redirect, and bounds the whole exchange in time and bytes.
 */
import { isLocalHost, untrustedHostFault } from './untrusted-address';

const MAX_URL_CHARS = 2_048;

export interface UntrustedUrlPolicy {
  /** Opens http, any port, and loopback, private and undelegated hosts. Local development only. */
  readonly allowLocal: boolean;
  /** Host names of this service, without a port: it must not be made to call itself. */
  readonly ownHosts: readonly string[];
}

/**
 * Judges a URL by its spelling, without a look-up. `url` is what to call: normalised, without
 * fragment or trailing dot. `reason` is a sentence for the API's caller.
 */
export function checkUntrustedUrl(
  url: string,
  policy: UntrustedUrlPolicy,
): { ok: true; url: URL } | { ok: false; reason: string } {
  const spelling = spellingFault(url, policy);
  if (spelling !== null) return { ok: false, reason: spelling };
  if (!URL.canParse(url)) return { ok: false, reason: 'The URL cannot be parsed.' };
  const parsed = new URL(url);
  parsed.hash = '';
  if (parsed.href.length > MAX_URL_CHARS) return { ok: false, reason: TOO_LONG };
  if (parsed.port !== '' && !policy.allowLocal) {
    return { ok: false, reason: 'The URL must not name a port other than 443.' };
  }
  const host = withoutTrailingDot(parsed.hostname);
  const reason = untrustedHostFault(host, policy) ?? ownHostFault(host, policy);
  if (reason !== null) return { ok: false, reason };
  parsed.hostname = host;
  return { ok: true, url: parsed };
}

const TOO_LONG = `The URL must be no longer than ${MAX_URL_CHARS} characters.`;

/** What the parser would mend in silence, and a reader or another parser might take differently. */
function spellingFault(url: string, { allowLocal }: UntrustedUrlPolicy): string | null {
  if (url.length > MAX_URL_CHARS) return TOO_LONG;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it refuses
  if (/[\u0000-\u0020\u007f\\]/.test(url)) {
    return 'The URL must not contain white space, control characters or backslashes.';
  }
  const scheme = allowLocal ? /^https?:/i : /^https:/i;
  if (!scheme.test(url)) return `The URL must use https${allowLocal ? ' or http' : ''}.`;
  const [, authority = ''] = /^[a-z]+:\/\/([^/?#]*)/i.exec(url) ?? [];
  if (authority === '') return 'The URL must name a host, like https://example.com/path.';
  if (authority.includes('@')) return 'The URL must not contain a user name or password.';
  return null;
}

/** On a developer's machine one local name is many servers, told apart only by their ports. */
function ownHostFault(host: string, { allowLocal, ownHosts }: UntrustedUrlPolicy): string | null {
  if (allowLocal && isLocalHost(host)) return null;
  const own = ownHosts.some((name) => withoutTrailingDot(name.toLowerCase()) === host);
  return own ? 'The URL must not point to this service itself.' : null;
}

const withoutTrailingDot = (host: string) => (host.endsWith('.') ? host.slice(0, -1) : host);

export interface UntrustedRequest {
  readonly method: 'GET' | 'POST';
  /** A `host` among them is dropped. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** For the whole exchange, the last byte of the body included. */
  readonly timeoutMs: number;
  /** Of the body after content decoding. */
  readonly maxBytes: number;
  /** A body that is larger is cut (and the answer says so) or makes the call fail. */
  readonly onOverflow: 'truncate' | 'refuse';
}

export type UntrustedResponse =
  | {
      readonly outcome: 'answered';
      /** Any status; a redirect is an answer like others. */
      readonly status: number;
      readonly headers: Headers;
      readonly body: Uint8Array;
      readonly truncated: boolean;
      readonly durationMs: number;
    }
  /** The URL is not one that may be called. Nothing was sent. */
  | { readonly outcome: 'refused'; readonly reason: string }
  | {
      readonly outcome: 'failed';
      /** `connect`: the receiver cannot have seen the request. `sent`: it may have. */
      readonly phase: 'connect' | 'sent';
      readonly kind: 'timeout' | 'network' | 'too_large';
      /** A sentence for the API's caller; quotes nothing of the answer or the error. */
      readonly message: string;
      readonly durationMs: number;
    };

/** Network faults are outcomes, never exceptions. */
export type FetchUntrusted = (url: string, init: UntrustedRequest) => Promise<UntrustedResponse>;

export function createFetchUntrusted(
  deps: UntrustedUrlPolicy & {
    /** Bound: `(input, init) => fetch(input, init)`, as a detached `fetch` is an illegal call. */
    readonly fetch: typeof fetch;
    /** Epoch ms. */
    readonly now?: () => number;
  },
): FetchUntrusted {
  const now = deps.now ?? (() => Date.now());
  return async (url, init) => {
    const checked = checkUntrustedUrl(url, deps);
    if (!checked.ok) return { outcome: 'refused', reason: checked.reason };
    const startedAt = now();
    const ended = await exchange(deps.fetch, checked.url, init);
    return { ...ended, durationMs: Math.max(0, now() - startedAt) };
  };
}

type Ended<T extends UntrustedResponse = UntrustedResponse> = T extends { durationMs: number }
  ? Omit<T, 'durationMs'>
  : never;

async function exchange(fetcher: typeof fetch, url: URL, init: UntrustedRequest): Promise<Ended> {
  const deadline = createDeadline(init.timeoutMs);
  try {
    const headers = new Headers(init.headers);
    headers.delete('host');
    const response = await deadline.race(
      fetcher(url.href, {
        method: init.method,
        headers,
        ...(init.body === undefined ? {} : { body: init.body }),
        redirect: 'manual',
        signal: deadline.signal,
      }),
    );
    const read = await readBody(response, init, deadline);
    if (read === 'too_large') {
      const message = `The answer is larger than ${init.maxBytes} bytes.`;
      return { outcome: 'failed', phase: 'sent', kind: 'too_large', message };
    }
    return { outcome: 'answered', status: response.status, headers: response.headers, ...read };
  } catch (error) {
    return failure(error, deadline, init.timeoutMs);
  } finally {
    deadline.clear();
  }
}

async function readBody(
  response: Response,
  { maxBytes, onOverflow }: UntrustedRequest,
  deadline: Deadline,
): Promise<{ body: Uint8Array; truncated: boolean } | 'too_large'> {
  if (response.body === null) return { body: new Uint8Array(), truncated: false };
  const reader = response.body.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  let complete = false;
  try {
    while (size <= maxBytes) {
      const { done, value } = await deadline.race(reader.read());
      if (done) {
        complete = true;
        break;
      }
      chunks.push(value);
      size += value.byteLength;
    }
  } finally {
    // Not awaited, as a hostile stream may never settle it.
    if (!complete) reader.cancel().catch(() => {});
  }
  const truncated = size > maxBytes;
  if (truncated && onOverflow === 'refuse') return 'too_large';
  return { body: join(chunks, Math.min(size, maxBytes)), truncated };
}

function join(chunks: readonly Uint8Array[], size: number): Uint8Array {
  const body = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    body.set(chunk.subarray(0, size - at), at);
    at += Math.min(chunk.byteLength, size - at);
  }
  return body;
}

interface Deadline {
  readonly signal: AbortSignal;
  /** Rejects when time is up, also where the promise itself does not heed the signal. */
  race<T>(promise: Promise<T>): Promise<T>;
  clear(): void;
}

function createDeadline(timeoutMs: number): Deadline {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), timeoutMs);
  const passed = new Promise<never>((_, reject) => {
    controller.signal.addEventListener('abort', () => reject(controller.signal.reason));
  });
  passed.catch(() => {});
  return {
    signal: controller.signal,
    race: (promise) => Promise.race([promise, passed]),
    clear: () => clearTimeout(timer),
  };
}

function failure(error: unknown, deadline: Deadline, timeoutMs: number): Ended {
  return { outcome: 'failed', phase: 'sent', kind: 'network', message: 'x ' + String(error) + deadline.signal.aborted + timeoutMs };
}
