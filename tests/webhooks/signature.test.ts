import { createPublicKey, verify } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';
import { newId } from '../../src/platform/ids';
import { createSigningKeys } from '../../src/platform/signing-keys';
import {
  createSecret,
  signWebhook,
  spellPublicKey,
  webhookPurpose,
} from '../../src/webhooks/signature';

const id = 'dlv_00000000000000000000000000';
const body = JSON.stringify({ type: 'request.succeeded', data: { prompt: 'Füchse 🦊' } });
const nowSeconds = () => Math.floor(Date.now() / 1000);

const keys = createSigningKeys({ secret: 'x'.repeat(32), previous: null });
const [userId, other] = [newId('usr', 0), newId('usr', 0)];
const pairOf = (user = userId) => keys.pairFor(webhookPurpose(user));

async function signed(secrets: readonly string[], timestampSeconds = nowSeconds()) {
  const pair = await pairOf();
  return {
    'webhook-id': id,
    'webhook-timestamp': String(timestampSeconds),
    'webhook-signature': await signWebhook({ id, timestampSeconds, body, secrets, pair }),
  };
}

describe('a secret', () => {
  it('is whsec_ and 32 bytes in base64', () => {
    const secret = createSecret();
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect(Buffer.from(secret.slice(6), 'base64')).toHaveLength(32);
  });

  it('is another one every time', () => {
    expect(new Set(Array.from({ length: 100 }, createSecret)).size).toBe(100);
  });
});

describe('a signature', () => {
  it('is the one that the specification computes for its example', async () => {
    const given = {
      id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      timestampSeconds: 1_614_265_330,
      body: '{"test": 2432232314}',
      secrets: ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'],
      pair: await pairOf(),
    };
    const [first] = (await signWebhook(given)).split(' ');
    expect(first).toBe('v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=');
  });

  it("is accepted by the standard library with the endpoint's secret", async () => {
    const secret = createSecret();
    expect(new Webhook(secret).verify(body, await signed([secret]))).toEqual(JSON.parse(body));
  });

  it.each([
    ['old', 0],
    ['new', 1],
  ])('during a rotation is accepted with the %s secret', async (_, index) => {
    const secrets = [createSecret(), createSecret()];
    const headers = await signed(secrets);
    expect(headers['webhook-signature']).toMatch(/^v1,\S{44} v1,\S{44} v1a,\S{88}$/);
    expect(new Webhook(secrets[index] ?? '').verify(body, headers)).toEqual(JSON.parse(body));
  });

  it.each([
    ['a body with one character more', { body: `${body} ` }, /No matching signature/],
    ['another id', { headers: { 'webhook-id': `${id}1` } }, /No matching signature/],
    [
      'another timestamp',
      { headers: { 'webhook-timestamp': String(nowSeconds() - 60) } },
      /No matching signature/,
    ],
    ['another secret', { secret: createSecret() }, /No matching signature/],
    ['an age over five minutes', { timestamp: nowSeconds() - 310 }, /too old/],
    ['a time over five minutes ahead', { timestamp: nowSeconds() + 330 }, /too new/],
  ] as const)('is refused with %s', async (_, change: Change, message) => {
    const secret = createSecret();
    const headers = { ...(await signed([secret], change.timestamp)), ...change.headers };
    const receiver = new Webhook(change.secret ?? secret);
    expect(() => receiver.verify(change.body ?? body, headers)).toThrow(message);
  });

  it.each([
    ['there is no secret', []],
    ['a secret has another prefix', [createSecret().replace('whsec_', 'whsk_x')]],
    ['a secret is shorter than 24 bytes', [`whsec_${btoa('x'.repeat(23))}`]],
    ['one of two secrets is empty', [createSecret(), '']],
  ])('is not made when %s', async (_, secrets) => {
    const signing = signWebhook({ id, timestampSeconds: 1, body, secrets, pair: await pairOf() });
    await expect(signing).rejects.toThrow(/^A webhook [a-z ]+\.$/);
  });
});

describe('a signature by the pair of a user', () => {
  const timestampSeconds = 1_614_265_330;
  const content = `${id}.${timestampSeconds}.${body}`;

  /** As a receiver would: by what `whpk_` says, and nothing of ours. */
  async function isVerified(text: string, user = userId): Promise<boolean> {
    const pair = await pairOf();
    const secrets = [createSecret()];
    const header = await signWebhook({ id, timestampSeconds, body, secrets, pair });
    const [, signature = ''] = /v1a,(\S+)$/.exec(header) ?? [];
    const spelled = spellPublicKey((await pairOf(user)).publicKey);
    expect(spelled).toMatch(/^whpk_[A-Za-z0-9+/]{43}=$/);
    const x = Buffer.from(spelled.slice('whpk_'.length), 'base64').toString('base64url');
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
    return verify(null, Buffer.from(text), key, Buffer.from(signature, 'base64'));
  }

  it('is verified over id, time and body, and over nothing else', async () => {
    expect(await isVerified(content)).toBe(true);
    for (const tampered of [`${content} `, `x${content}`, content.replace('.1614', '.1615')]) {
      expect(await isVerified(tampered)).toBe(false);
    }
  });

  it('is not verified by the key of another user', async () => {
    expect(await isVerified(content, other)).toBe(false);
  });
});

interface Change {
  readonly body?: string;
  readonly headers?: Record<string, string>;
  readonly secret?: string;
  readonly timestamp?: number;
}
