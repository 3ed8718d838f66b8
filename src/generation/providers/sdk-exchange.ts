/**
 * One call that the AI SDK makes through the `fetch` built here. It adds the client's own options,
 * knows what the SDK does not tell, and keeps the SDK from downloading: an image by URL is opened
 * when it is stored, by whoever may open it, and without the key.
 */
import type { Json, JsonObject } from '../../platform/json';
import { createOutline } from './sdk-outline';
import type { Wire } from './wire';

export interface Exchange {
  /** For the SDK; good for one call. */
  readonly fetch: typeof fetch;
  /** The last one, once its status line and headers came. */
  answer(): ExchangedAnswer | null;
  /** Options that the request has a field of its own for. */
  ignoredOptions(): readonly string[];
  /** Where this image is, when the SDK believes that it has downloaded it; else null. */
  urlOf(image: string | Uint8Array): string | null;
}

export interface ExchangedAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** Whether the body came to its end. */
  isWhole(): boolean;
  /** The body with its pictures cut short; empty when it is not whole. */
  outline(): string;
}

export interface ExchangeOptions {
  /** The client's, laid into the body as they are: the SDK would rename and drop some. */
  readonly options: JsonObject;
  /** Names that decide price, shape or transport of the answer, which Foreman sets or leaves out. */
  readonly reserved: ReadonlySet<string>;
}

export function createExchange(wire: Wire, input: ExchangeOptions): Exchange {
  let answer: ExchangedAnswer | null = null;
  let ignored: string[] = [];
  const downloads = createDownloads();

  const exchangeFetch: typeof fetch = async (target, init) => {
    const url = target instanceof Request ? target.url : String(target);
    if ((init?.method ?? 'GET') === 'GET') return downloads.standIn(url);
    // Some packages go on by themselves, and each of their calls is paid for.
    if (answer) throw new Error('the SDK made a second call');
    const merged = withOptions(init?.body, input);
    ignored = merged.ignored;
    const response = await wire({
      method: 'POST',
      url,
      headers: init?.headers ?? {},
      body: merged.body,
      signal: init?.signal ?? null,
    });
    const { status, headers } = response;
    const { passing, isWhole, text } = createOutline();
    const body = response.body?.pipeThrough(passing) ?? null;
    answer = { status, headers, isWhole: () => body === null || isWhole(), outline: text };
    return new Response(body, response);
  };

  return {
    fetch: exchangeFetch,
    answer: () => answer,
    ignoredOptions: () => ignored,
    urlOf: downloads.urlOf,
  };
}

/** The SDK is handed a token in place of each image, which is exchanged for its URL afterwards. */
function createDownloads() {
  const urls = new Map<string, string>();
  return {
    standIn(url: string): Response {
      const token = crypto.randomUUID();
      urls.set(token, url);
      return new Response(token);
    },
    urlOf(image: string | Uint8Array): string | null {
      if (typeof image === 'string') return /^https?:/.test(image) ? image : null;
      if (urls.size === 0 || image.byteLength > 64) return null;
      return urls.get(new TextDecoder().decode(image)) ?? null;
    },
  };
}

function withOptions(body: BodyInit | null | undefined, { options, reserved }: ExchangeOptions) {
  const ignored: string[] = [];
  const entries = Object.entries(options);
  if (body instanceof FormData) {
    for (const [name, value] of entries) {
      if (reserved.has(name) || body.has(name)) ignored.push(name);
      else if (value !== null) body.append(name, formValue(value));
    }
    return { body, ignored };
  }
  if (typeof body !== 'string' || entries.length === 0) return { body: body ?? null, ignored };
  const joined = join(JSON.parse(body), options, { reserved, ignored, path: '' });
  return { body: JSON.stringify(joined), ignored };
}

interface Joining {
  /** Of members of an object in the body: `object.member`. */
  readonly reserved: ReadonlySet<string>;
  readonly ignored: string[];
  /** Of the object at hand, with a dot at its end. */
  readonly path: string;
}

/** What the body has stays as it is; an object that both have is joined member by member. */
function join(body: JsonObject, options: JsonObject, joining: Joining): JsonObject {
  const fields = new Map(Object.entries(body));
  for (const [key, value] of Object.entries(options)) {
    const name = joining.path + key;
    const own = fields.get(key);
    if (joining.reserved.has(name)) joining.ignored.push(name);
    else if (isObject(value) && (own === undefined || isObject(own))) {
      fields.set(key, join(own ?? {}, value, { ...joining, path: `${name}.` }));
    } else if (own === undefined) fields.set(key, value);
    else joining.ignored.push(name);
  }
  return Object.fromEntries(fields);
}

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const formValue = (value: Json) => (typeof value === 'string' ? value : JSON.stringify(value));
