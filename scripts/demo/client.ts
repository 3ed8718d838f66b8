// Foreman's HTTP API as the demo uses it: each call checks the status and parses the answer.
import { z } from 'zod';
import {
  eventSchema,
  isLast,
  keySchema,
  type RequestEvent,
  requestSchema,
  secretSchema,
  userSchema,
} from './types.ts';

export interface Submission {
  model: string;
  prompt: string;
  webhook_url: string;
}

export interface Client {
  createUser(name: string): Promise<z.output<typeof userSchema>>;
  createKey(user: string, name: string): Promise<z.output<typeof keySchema>>;
  webhookSecret(key: string): Promise<string>;
  submit(key: string, submission: Submission): Promise<z.output<typeof requestSchema>>;
  /** The request's events as they happen; ends with the terminal one. */
  follow(key: string, id: string): AsyncGenerator<RequestEvent>;
  /** Without a key: the link's signature is all it takes. */
  download(signedUrl: string): Promise<{ bytes: Buffer; mediaType: string }>;
}

export function createClient(options: {
  origin: string;
  adminToken: string;
  signal: AbortSignal;
}): Client {
  const { origin, adminToken, signal } = options;

  const ask = async (token: string, path: string, body?: object) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const asked = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) };
    const response = await fetch(`${origin}${path}`, { ...asked, headers, signal });
    if (!response.ok) throw await refusal(response);
    return response;
  };
  const call = async <T extends z.ZodType>(schema: T, ...asked: Parameters<typeof ask>) =>
    parse(schema, await (await ask(...asked)).text());

  return {
    createUser: (name) => call(userSchema, adminToken, '/v1/admin/users', { name }),
    createKey: (user, name) =>
      call(keySchema, adminToken, `/v1/admin/users/${user}/keys`, { name }),
    async webhookSecret(key) {
      const { secret } = await call(secretSchema, key, '/v1/webhooks/default-secret');
      return secret;
    },
    submit: (key, submission) => call(requestSchema, key, '/v1/requests', submission),
    async *follow(key, id) {
      const response = await ask(key, `/v1/requests/${id}/events`);
      for await (const data of serverSentData(response)) {
        const event = parse(eventSchema, data);
        yield event;
        if (isLast(event)) return;
      }
      throw new Error('the stream of events ended before the request did');
    },
    async download(signedUrl) {
      const response = await fetch(signedUrl, { signal });
      if (!response.ok) throw await refusal(response);
      const bytes = Buffer.from(await response.arrayBuffer());
      return { bytes, mediaType: response.headers.get('content-type') ?? '' };
    },
  };
}

async function refusal(response: Response): Promise<Error> {
  const text = await response.text();
  const path = new URL(response.url).pathname;
  return new Error(`${path} answered ${response.status}: ${text.slice(0, 1_000)}`);
}

function parse<T extends z.ZodType>(schema: T, text: string): z.output<T> {
  const parsed = schema.safeParse(JSON.parse(text));
  if (parsed.success) return parsed.data;
  throw new Error(`an answer is not as documented:\n${z.prettifyError(parsed.error)}`);
}

/** The `data` of each server-sent event; comments, such as heartbeats, have none. */
async function* serverSentData(response: Response): AsyncGenerator<string> {
  if (response.body === null) return;
  let rest = '';
  for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
    const blocks = (rest + text).split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const lines = block.split('\n').filter((line) => line.startsWith('data: '));
      if (lines.length > 0) yield lines.map((line) => line.slice('data: '.length)).join('\n');
    }
  }
}
