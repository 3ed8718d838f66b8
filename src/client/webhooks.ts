/** Whether a webhook is Foreman's, and new (Standard Webhooks 1.0.0, symmetric signatures). */
import { Webhook } from 'standardwebhooks';
import type { ForemanRequest, WebhookEndpoint } from './types';

type NamedEvent = Exclude<WebhookEndpoint['events'][number], `${string}*`>;

export type RequestEventType = Extract<NamedEvent, `request.${string}`>;
export type EndpointEventType = Extract<NamedEvent, `endpoint.${string}`> | 'endpoint.ping';

interface Told {
  /** ISO 8601. */
  readonly timestamp: string;
}

/** A request came to a new version. */
export interface RequestEvent extends Told {
  readonly type: RequestEventType;
  /** The version: events may arrive in another order than they happened. */
  readonly sequence: number;
  /** An event is bounded in size: what was cut from the request is said. */
  readonly data: ForemanRequest & {
    readonly [Cut in 'attempts' | 'input' | 'warnings' | 'metadata' as `${Cut}_truncated`]?: true;
  };
}

/** An endpoint was disabled or enabled, or is pinged. */
export interface EndpointEvent extends Told {
  readonly type: EndpointEventType;
  readonly sequence: null;
  readonly data: WebhookEndpoint;
}

/** Tell them apart by `type`. */
export type WebhookEvent = RequestEvent | EndpointEvent;

export class WebhookVerificationError extends Error {
  override readonly name = 'WebhookVerificationError';
}

export interface ReceivedWebhook {
  /** As it came, byte by byte: a body that was parsed and written anew has another signature. */
  readonly body: string | Uint8Array | ArrayBuffer;
  readonly headers:
    | Pick<Headers, 'get'>
    | Readonly<Record<string, string | readonly string[] | undefined>>;
  /** Several while one replaces another: any of them will do. */
  readonly secret: string | readonly string[];
  /** How old, or how far ahead of this clock, it may be; 300 when left out. */
  readonly toleranceSeconds?: number;
}

const TOLERANCE_SECONDS = 300;

/** @throws WebhookVerificationError when it is not Foreman's, was changed on the way, or is too old. */
export function verifyWebhook(received: ReceivedWebhook): WebhookEvent {
  const { headers, secret, toleranceSeconds = TOLERANCE_SECONDS } = received;
  const id = headerOf(headers, 'webhook-id');
  const timestamp = headerOf(headers, 'webhook-timestamp');
  const given = headerOf(headers, 'webhook-signature').split(' ');
  const at = readTimestamp(timestamp, toleranceSeconds);
  const body = textOf(received.body);
  const secrets = typeof secret === 'string' ? [secret] : secret;
  const expected = secrets.map((each) => new Webhook(each).sign(id, at, body));
  if (!expected.some((signature) => given.some((each) => isSame(each, signature)))) {
    throw new WebhookVerificationError('No signature is by any of the secrets.');
  }
  return parse(body);
}

function headerOf(headers: ReceivedWebhook['headers'], name: string): string {
  const given = isReader(headers)
    ? headers.get(name)
    : Object.entries(headers).find(([each]) => each.toLowerCase() === name)?.[1];
  // Some frameworks list the values of each header; of these there is one.
  const value = typeof given === 'string' ? given : given?.join(' ');
  if (value) return value;
  throw new WebhookVerificationError(`The header ${name} is missing.`);
}

/** By what it can do: each package that fetches has a class `Headers` of its own. */
const isReader = (headers: ReceivedWebhook['headers']): headers is Pick<Headers, 'get'> =>
  'get' in headers && typeof headers.get === 'function';

function readTimestamp(text: string, toleranceSeconds: number): Date {
  if (!/^\d{1,12}$/.test(text)) throw new WebhookVerificationError('The timestamp is no time.');
  const seconds = Number(text);
  // Of a tolerance that is no number none is near enough.
  const isNear = Math.abs(Date.now() / 1_000 - seconds) <= toleranceSeconds;
  if (!isNear) {
    throw new WebhookVerificationError('The timestamp is too old, or too far ahead.');
  }
  return new Date(seconds * 1_000);
}

function textOf(body: ReceivedWebhook['body']): string {
  if (typeof body === 'string') return body;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body);
  } catch (cause) {
    const why = 'The body is not UTF-8, or not as it came: what was parsed has no signature.';
    throw new WebhookVerificationError(why, { cause });
  }
}

/** Takes as long whatever differs; both are of the same known length, or there is nothing to learn. */
function isSame(given: string, expected: string): boolean {
  if (given.length !== expected.length) return false;
  let difference = 0;
  for (let index = 0; index < given.length; index += 1) {
    difference |= given.charCodeAt(index) ^ expected.charCodeAt(index);
  }
  return difference === 0;
}

/** It is signed by Foreman, so it is what Foreman says of it. */
function parse(body: string): WebhookEvent {
  try {
    return JSON.parse(body) as WebhookEvent;
  } catch (cause) {
    throw new WebhookVerificationError('The body is signed, and is no event.', { cause });
  }
}
