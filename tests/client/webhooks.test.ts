// What verifyWebhook takes for Foreman's: what Foreman really posts, and nothing that was touched.
import { describe, expect, it, vi } from 'vitest';
import {
  type ReceivedWebhook,
  verifyWebhook,
  WebhookVerificationError,
} from '../../src/client/webhooks';
import { createSecret } from '../../src/webhooks/signature';
import { newClient, receiver, until, useWorld } from '../journeys/support';

useWorld();

interface Delivered {
  readonly secrets: readonly [old: string, present: string];
  readonly succeeded: Pick<ReceivedWebhook, 'body' | 'headers'> & { readonly body: string };
  readonly ping: Pick<ReceivedWebhook, 'body' | 'headers'>;
}

let kept: Promise<Delivered> | null = null;
/** Made by the first test that asks: no call leaves before a test has begun. */
const delivered = () => {
  kept ??= deliver();
  return kept;
};

/** To an endpoint in the middle of a rotation, so that both secrets sign. */
async function deliver(): Promise<Delivered> {
  const client = await newClient();
  const { url, posts } = receiver();
  const made = await client.call('POST', '/v1/webhooks', { body: { url } });
  const { id, secret: old } = await made.json<{ id: string; secret: string }>();
  const rotated = await client.call('POST', `/v1/webhooks/${id}/rotate-secret`);
  const { secret: present } = await rotated.json<{ secret: string }>();
  await client.call('POST', `/v1/webhooks/${id}/ping`);
  await client.submit();
  const find = (type: string) => {
    const post = posts.find((candidate) => (candidate.json() as { type: string }).type === type);
    if (!post) throw new Error(`no ${type} has come`);
    return { body: post.text(), headers: Object.fromEntries(post.headers) };
  };
  const succeeded = await until(() => find('request.succeeded'));
  return { secrets: [old, present], succeeded, ping: find('endpoint.ping') };
}

const refused = (webhook: ReceivedWebhook) => expect(() => verifyWebhook(webhook));

describe('verifyWebhook', () => {
  it('takes what Foreman posts, by either secret of a rotation, and tells the types apart', async () => {
    const { secrets, succeeded, ping } = await delivered();
    for (const secret of [...secrets, secrets, [createSecret(), secrets[0]]]) {
      const event = verifyWebhook({ ...succeeded, secret });
      if (event.type !== 'request.succeeded') throw new Error(event.type);
      expect(event.data.status).toBe('succeeded');
      expect(event.sequence).toBe(event.data.version);
    }
    const event = verifyWebhook({ ...ping, secret: secrets });
    if (event.type !== 'endpoint.ping') throw new Error(event.type);
    expect([event.data.status, event.sequence]).toEqual(['active', null]);
  });

  it('takes bytes for text, and headers as any framework has them', async () => {
    const { secrets, succeeded } = await delivered();
    const body = new TextEncoder().encode(succeeded.body);
    const entries = Object.entries(succeeded.headers);
    const native = new Headers(entries as [string, string][]);
    const upper = Object.fromEntries(entries.map(([name, value]) => [name.toUpperCase(), value]));
    const listed = Object.fromEntries(entries.map(([name, value]) => [name, [`${value}`]]));
    const ofAnotherClass = { get: (name: string) => new Headers(native).get(name) };
    for (const headers of [native, ofAnotherClass, upper, listed]) {
      expect(verifyWebhook({ body, headers, secret: secrets }).type).toBe('request.succeeded');
    }
  });

  it('refuses what was changed on the way, and what other secrets have signed', async () => {
    const { secrets, succeeded } = await delivered();
    const secret = secrets[1];
    const { body, headers } = succeeded;
    const given = headers as Record<string, string>;
    const bytes = new TextEncoder().encode(body);
    for (const webhook of [
      { ...succeeded, secret: createSecret() },
      { ...succeeded, secret: [] },
      { body: `${body} `, headers, secret },
      { body: body.replace('succeeded', 'failed'), headers, secret },
      { body: new Uint8Array([...bytes, 0xff]), headers, secret },
      { body: JSON.parse(body) as string, headers, secret },
      { body, headers: { ...given, 'webhook-id': `${given['webhook-id']}0` }, secret },
      { body, headers: { ...given, 'webhook-timestamp': 'soon' }, secret },
      { body, headers: { ...given, 'webhook-signature': 'v1,' }, secret },
      { body, headers: { ...given, 'webhook-signature': undefined }, secret },
      { body, headers: {}, secret },
    ]) {
      refused(webhook).toThrow(WebhookVerificationError);
    }
  });

  it('refuses what is older, or further ahead, than it may be', async () => {
    const { secrets, succeeded } = await delivered();
    const { headers } = succeeded as { headers: Record<string, string> };
    const at = Number(headers['webhook-timestamp']) * 1_000;
    const webhook = { ...succeeded, secret: secrets };
    const clock = vi.spyOn(Date, 'now');
    for (const [offset, toleranceSeconds] of [
      [301_000, undefined],
      [-301_000, undefined],
      [61_000, 60],
      [0, Number.NaN],
    ] as const) {
      clock.mockReturnValue(at + offset);
      const allowed = toleranceSeconds === undefined ? {} : { toleranceSeconds };
      refused({ ...webhook, ...allowed }).toThrow(WebhookVerificationError);
    }
    clock.mockReturnValue(at + 299_000);
    expect(verifyWebhook(webhook).type).toBe('request.succeeded');
    clock.mockReturnValue(at + 3_599_000);
    expect(verifyWebhook({ ...webhook, toleranceSeconds: 3_600 }).type).toBe('request.succeeded');
  });
});
