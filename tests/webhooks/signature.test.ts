import { Webhook } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';
import { createSecret, signWebhook } from '../../src/webhooks/signature';

const id = 'dlv_00000000000000000000000000';
const body = JSON.stringify({ type: 'request.succeeded', data: { prompt: 'Füchse 🦊' } });
const nowSeconds = () => Math.floor(Date.now() / 1000);

function signed(secrets: readonly string[], timestampSeconds = nowSeconds()) {
  return {
    'webhook-id': id,
    'webhook-timestamp': String(timestampSeconds),
    'webhook-signature': signWebhook({ id, timestampSeconds, body, secrets }),
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
  it('is the one that the specification computes for its example', () => {
    const given = {
      id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      timestampSeconds: 1_614_265_330,
      body: '{"test": 2432232314}',
      secrets: ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'],
    };
    expect(signWebhook(given)).toBe('v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=');
  });

  it("is accepted by the standard library with the endpoint's secret", () => {
    const secret = createSecret();
    expect(new Webhook(secret).verify(body, signed([secret]))).toEqual(JSON.parse(body));
  });

  it.each([
    ['old', 0],
    ['new', 1],
  ])('during a rotation is accepted with the %s secret', (_, index) => {
    const secrets = [createSecret(), createSecret()];
    const headers = signed(secrets);
    expect(headers['webhook-signature']).toMatch(/^v1,\S{44} v1,\S{44}$/);
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
  ] as const)('is refused with %s', (_, change: Change, message) => {
    const secret = createSecret();
    const headers = { ...signed([secret], change.timestamp), ...change.headers };
    const receiver = new Webhook(change.secret ?? secret);
    expect(() => receiver.verify(change.body ?? body, headers)).toThrow(message);
  });

  it.each([
    ['there is no secret', []],
    ['a secret has another prefix', [createSecret().replace('whsec_', 'whsk_x')]],
    ['a secret is shorter than 24 bytes', [`whsec_${btoa('x'.repeat(23))}`]],
    ['one of two secrets is empty', [createSecret(), '']],
  ])('is not made when %s', (_, secrets) => {
    const sign = () => signWebhook({ id, timestampSeconds: 1, body, secrets });
    expect(sign).toThrow(/^A webhook [a-z ]+\.$/);
  });
});

interface Change {
  readonly body?: string;
  readonly headers?: Record<string, string>;
  readonly secret?: string;
  readonly timestamp?: number;
}
