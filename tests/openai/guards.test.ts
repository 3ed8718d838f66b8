// Every route of OpenAI's dialect, every way of having no business there, in OpenAI's shape.
import { env, exports } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import { issueKey } from '../../src/accounts/keys/text';
import type { Scope } from '../../src/accounts/types';
import { newId } from '../../src/platform/ids';
import { ADMIN, type Client, http, newClient, newKey, ORIGIN, useWorld } from '../journeys/support';
import { ACROSS_A_MINUTE, newAddress, spend } from '../support/shield';

useWorld();

/** What makes an image is answered with it, so it wants both scopes. */
const routes: readonly (readonly [string, string, Scope])[] = [
  ['POST', '/openai/v1/images/generations', 'requests:write'],
  ['POST', '/openai/v1/images/edits', 'requests:write'],
  ['POST', '/openai/v1/images/variations', 'requests:write'],
  ['GET', '/openai/v1/models', 'requests:read'],
  ['GET', '/openai/v1/models/sketch', 'requests:read'],
];

let owner: Client;
beforeAll(async () => {
  owner = await newClient();
});

const FORM = 'multipart/form-data; boundary=x';
const fieldOf = (name: string, value: string) =>
  `--x\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;

/** Nothing of it is faulty but who asks. */
function ask(method: string, path: string, headers: Record<string, string>) {
  if (!path.endsWith('edits')) {
    const body = { prompt: 'a boat', model: 'sketch', size: '64x64' };
    return http(method, path, { headers, ...(method === 'POST' ? { body } : {}) });
  }
  return exports.default.fetch(ORIGIN + path, {
    method,
    headers: { ...headers, 'content-type': FORM },
    body: `${fieldOf('prompt', 'a hat')}--x--\r\n`,
  });
}

async function expectDenied(response: Response, status: number, error: object): Promise<void> {
  expect([response.status, await response.json()]).toMatchObject([status, { error }]);
  expect(response.headers.get('content-type')).toBe('application/json');
  expect(response.headers.get('x-request-id')).toBe(response.headers.get('x-correlation-id'));
  expect(response.headers.get('ratelimit')).toBeNull();
  expect(response.headers.get('x-foreman-request-id')).toBeNull();
}

const signing = { newest: 1, secrets: new Map([[1, env.KEY_SIGNING_SECRET]]) };
const wrongKeys: Readonly<Record<string, () => Record<string, string>>> = {
  'no key': () => ({}),
  'another scheme': () => ({ authorization: `Basic ${owner.key}` }),
  'a key of OpenAI’s': () => ({ authorization: 'Bearer sk-proj-0123456789' }),
  'a key with another MAC': () => ({ authorization: `Bearer ${owner.key.slice(0, -4)}AAAA` }),
  'a key that was never stored': () => {
    const { key } = issueKey({ userId: owner.userId, keyId: newId('key', Date.now()), signing });
    return { authorization: `Bearer ${key}` };
  },
  'the admin token': () => ADMIN,
};
const unknown = { type: 'authentication_error', code: 'invalid_api_key', param: null };

describe.each(routes)('%s %s', (method, path, scope) => {
  it.each(Object.entries(wrongKeys))('answers 401 to %s', async (_, headers) => {
    const response = await ask(method, path, headers());
    expect(response.headers.get('www-authenticate')).toBe('Bearer');
    await expectDenied(response, 401, unknown);
  });

  it('answers 403 to a key without its scope, and names the scope', async () => {
    const other = scope === 'requests:read' ? 'requests:write' : 'requests:read';
    const { key } = await newKey(owner.userId, [other]);
    const response = await ask(method, path, { authorization: `Bearer ${key}` });
    expect(await response.clone().text()).toContain(scope);
    await expectDenied(response, 403, { type: 'permission_error' });
  });

  it(
    'answers 429 to an address that failed too often, and lets a key in',
    ACROSS_A_MINUTE,
    async () => {
      const address = newAddress();
      await spend('auth', address);
      const from = { 'cf-connecting-ip': address };
      const response = await ask(method, path, from);
      expect(response.headers.get('retry-after')).toBe('60');
      await expectDenied(response, 429, { type: 'rate_limit_error' });
      const letIn = await ask(method, path, { ...from, authorization: `Bearer ${owner.key}` });
      expect([401, 403, 429]).not.toContain(letIn.status);
      await letIn.body?.cancel();
    },
  );
});

describe.each(routes.filter(([method]) => method === 'POST'))('%s %s', (method, path) => {
  it('answers 403 to a key that may not read what it makes', async () => {
    const { key } = await newKey(owner.userId, ['requests:write']);
    const response = await ask(method, path, { authorization: `Bearer ${key}` });
    expect(await response.clone().text()).toContain('requests:read');
    await expectDenied(response, 403, { type: 'permission_error' });
  });

  it.each(['{"unclosed":', '[]', 'x'.repeat(2_000_000)])(
    'looks at the key, not at the body',
    async (body) => {
      for (const type of ['application/json', FORM, 'text/plain']) {
        const response = await exports.default.fetch(ORIGIN + path, {
          method,
          headers: { 'content-type': type },
          body,
        });
        await expectDenied(response, 401, unknown);
      }
    },
  );
});

it('a body of JSON has a cap, with or without a Content-Length', async () => {
  const [, path] = routes[0] ?? expect.fail('no route');
  const headers = { authorization: `Bearer ${owner.key}`, 'content-type': 'application/json' };
  const text = ' '.repeat(1_048_577);
  const endless = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(new Uint8Array(16_384).fill(32)),
  });
  for (const body of [text, endless]) {
    const response = await exports.default.fetch(ORIGIN + path, { method: 'POST', headers, body });
    expect([response.status, await response.json()]).toMatchObject([
      413,
      { error: { code: 'payload_too_large' } },
    ]);
  }
});

it.each([
  ['variations', 'is not made here', 400],
  ['edits', 'has too many parts', 400],
  ['edits', 'is for a key that nobody knows', 401],
])(
  'an upload to %s that %s is taken in to its end, for the answer to be heard',
  async (name, why, status) => {
    const chunk = new TextEncoder().encode(fieldOf('prompt', 'a hat').repeat(1_000));
    let left = 30;
    const body = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          if (left === 0) return controller.close();
          left -= 1;
          controller.enqueue(chunk);
        },
      },
      { highWaterMark: 0 },
    );
    const key = status === 401 ? 'sk-proj-0123456789' : owner.key;
    const headers = { authorization: `Bearer ${key}`, 'content-type': FORM };
    const path = `${ORIGIN}/openai/v1/images/${name}`;
    const response = await exports.default.fetch(path, { method: 'POST', headers, body });
    expect([why, response.status, left]).toEqual([why, status, 0]);
    await response.body?.cancel();
  },
);
