/**
 * The one way to a URL chosen by someone else: webhook receivers, image inputs and results. It decides
 * which URLs may be called, never follows a redirect, and bounds the whole exchange in time and bytes.
 */
import { boundedStream, contentLength, createDeadline, readBounded } from './bounds';
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
  /** A body that is larger, or breaks off, is cut (and the answer says so) or makes the call fail. */
  readonly onOverflow: 'truncate' | 'refuse';
  /** Ends the exchange before its time. */
  readonly signal?: AbortSignal;
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
      /**
       * `connect`: nothing was sent. `sent`: the receiver may have seen the request; so is every
       * fault of the network, as workerd reports a refused port and a reset after sending alike.
       */
      readonly phase: 'connect' | 'sent';
      readonly kind: 'timeout' | 'network' | 'too_large' | 'canceled';
      /** A sentence for the API's caller; quotes nothing of the answer or the error. */
      readonly message: string;
      readonly durationMs: number;
    };

/** Network faults are outcomes, never exceptions. */
export type FetchUntrusted = (url: string, init: UntrustedRequest) => Promise<UntrustedResponse>;

export interface UntrustedDeps extends UntrustedUrlPolicy {
  /** Bound: `(input, init) => fetch(input, init)`, as a detached `fetch` is an illegal call. */
  readonly fetch: typeof fetch;
}

export function createFetchUntrusted(
  deps: UntrustedDeps & {
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
  const headers = headersOf(init);
  if (headers === null) return failed('connect', 'network', 'The headers cannot be sent.');
  if (init.signal?.aborted) return failed('connect', 'canceled', CANCELED);
  const deadline = createDeadline(init.timeoutMs, init.signal);
  try {
    const response = await deadline.race(
      fetcher(url.href, {
        method: init.method,
        headers,
        ...(init.body === undefined ? {} : { body: init.body }),
        redirect: 'manual',
        signal: deadline.signal,
      }),
    );
    const { body, truncated } = await readBounded(response.body, init.maxBytes, deadline).catch(
      (error: unknown) => {
        if (init.onOverflow === 'refuse') throw error;
        // Who takes a body that is cut wants to know how it was answered, not how it ended.
        return { body: new Uint8Array(), truncated: true };
      },
    );
    if (truncated && init.onOverflow === 'refuse') {
      return failed('sent', 'too_large', tooLarge(init.maxBytes));
    }
    const { status, headers: answered } = response;
    return { outcome: 'answered', status, headers: answered, body, truncated };
  } catch {
    return failureOf(deadline.signal, init);
  } finally {
    deadline.clear();
  }
}

const CANCELED = 'The call was given up.';
const tooLarge = (maxBytes: number) => `The answer is larger than ${maxBytes} bytes.`;

/** What ended an exchange that was on its way. */
function failureOf(
  ended: AbortSignal,
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal?: AbortSignal },
): Failed {
  if (!ended.aborted) return failed('sent', 'network', 'The connection failed.');
  if (signal?.aborted) return failed('sent', 'canceled', CANCELED);
  return failed('sent', 'timeout', `There was no whole answer within ${timeoutMs} ms.`);
}

export interface UntrustedOpenRequest {
  readonly headersTimeoutMs: number;
  /** For the whole exchange, the last byte of the body included. */
  readonly timeoutMs: number;
  /** Of the body after content decoding; with more it ends in an error. */
  readonly maxBytes: number;
  /** Ends the exchange before its time. */
  readonly signal: AbortSignal;
}

export type UntrustedOpening =
  | {
      readonly outcome: 'opened';
      /** Any status; a redirect is an answer like others. */
      readonly status: number;
      readonly headers: Headers;
      /** To be read or cancelled. Its error's message is a sentence for the API's caller. */
      readonly body: ReadableStream<Uint8Array>;
      /** Bytes to come, as the sender says; null when it does not. */
      readonly length: number | null;
    }
  | Extract<UntrustedResponse, { outcome: 'refused' }>
  | Failed;

/** A GET whose body is left to the caller to read. Network faults are outcomes, never exceptions. */
export type OpenUntrusted = (url: string, init: UntrustedOpenRequest) => Promise<UntrustedOpening>;

export function createOpenUntrusted(deps: UntrustedDeps): OpenUntrusted {
  return async (url, init) => {
    const checked = checkUntrustedUrl(url, deps);
    if (!checked.ok) return { outcome: 'refused', reason: checked.reason };
    if (init.signal.aborted) return failed('connect', 'canceled', CANCELED);
    const whole = createDeadline(init.timeoutMs, init.signal);
    const untilHeaders = createDeadline(init.headersTimeoutMs, whole.signal);
    try {
      const { status, headers, body } = await untilHeaders.race(
        deps.fetch(checked.url.href, {
          redirect: 'manual',
          signal: AbortSignal.any([untilHeaders.signal, whole.signal]),
        }),
      );
      return {
        outcome: 'opened',
        status,
        headers,
        body: boundedStream(body, {
          maxBytes: init.maxBytes,
          deadline: whole,
          errorFor: (fault) => new Error(bodyFault(fault, whole.signal, init)),
        }),
        length: contentLength(headers),
      };
    } catch {
      whole.clear();
      const timeoutMs = whole.signal.aborted ? init.timeoutMs : init.headersTimeoutMs;
      return failureOf(untilHeaders.signal, { ...init, timeoutMs });
    } finally {
      untilHeaders.clear();
    }
  };
}

const bodyFault = (
  fault: 'too_large' | 'broken',
  ended: AbortSignal,
  init: UntrustedOpenRequest,
): string => (fault === 'too_large' ? tooLarge(init.maxBytes) : failureOf(ended, init).message);

/** Null when a name or value is not one that HTTP can carry. */
function headersOf({ headers }: UntrustedRequest): Headers | null {
  try {
    const result = new Headers(headers);
    result.delete('host');
    return result;
  } catch {
    return null;
  }
}

type Failed = Extract<Ended, { outcome: 'failed' }>;

function failed(phase: Failed['phase'], kind: Failed['kind'], message: string): Failed {
  return { outcome: 'failed', phase, kind, message };
}
