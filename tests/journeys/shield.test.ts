// The shield, from HTTP to the real rate-limit binding and back. Other tests send no address, so
// that nothing of theirs counts.
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { callbackUrl } from '../../src/generation/callbacks';
import { ACROSS_A_MINUTE, newAddress, spend } from '../support/shield';
import { faulted, faults } from '../support/worker';
import { ADMIN, http, newClient, ORIGIN, useWorld } from './support';

useWorld();

const from = (address: string, headers: Record<string, string> = {}) => ({
  headers: { 'cf-connecting-ip': address, ...headers },
});

async function expectTurnedAway(response: Response, what: string): Promise<void> {
  expect(response.headers.get('retry-after')).toBe('60');
  expect(response.headers.get('ratelimit')).toBeNull();
  expect(await response.json()).toMatchObject({
    type: 'https://iana.org/assignments/http-problem-types#abnormal-usage-detected',
    status: 429,
    code: 'too_many_from_address',
    detail: expect.stringContaining(what),
    correlation_id: response.headers.get('x-correlation-id'),
  });
}

describe('failed authentications', () => {
  it(
    'answer 401 up to the limit, then 429, and a key is let in all the while',
    ACROSS_A_MINUTE,
    async () => {
      const address = newAddress();
      const client = await newClient();
      await spend('auth', address, 3);
      for (let failure = 1; failure <= 3; failure += 1) {
        expect((await http('GET', '/v1/me', from(address))).status).toBe(401);
      }
      const wrong = { authorization: `Bearer ${'x'.repeat(40)}` };
      for (const path of ['/v1/me', '/v1/requests', '/v1/admin/users']) {
        const response = await http('GET', path, from(address, wrong));
        await expectTurnedAway(response, 'without a valid credential');
      }
      const authorization = `Bearer ${client.key}`;
      for (const path of ['/v1/me', '/v1/requests', '/v1/models']) {
        expect((await http('GET', path, from(address, { authorization }))).status).toBe(200);
      }
      expect((await http('GET', '/v1/me', from(newAddress()))).status).toBe(401);
      expect((await http('GET', '/v1/admin/users', from(address, ADMIN))).status).toBe(200);
    },
  );

  it(
    'count also when only the foreman knows that the key is no good',
    ACROSS_A_MINUTE,
    async () => {
      const address = newAddress();
      const client = await newClient();
      const keys = `/v1/admin/users/${client.userId}/keys`;
      const { items } = await (await http('GET', keys, { headers: ADMIN })).json<{
        items: { id: string }[];
      }>();
      await http('DELETE', `${keys}/${items[0]?.id}`, { headers: ADMIN });
      await spend('auth', address, 1);
      const call = from(address, { authorization: `Bearer ${client.key}` });
      expect((await http('GET', '/v1/webhooks/default-secret', call)).status).toBe(401);
      const response = await http('GET', '/v1/webhooks/default-secret', call);
      await expectTurnedAway(response, 'without a valid credential');
    },
  );

  it('count by the /64 of an IPv6 address', ACROSS_A_MINUTE, async () => {
    const network = `2001:db8:aaaa:${newAddress().split('.').at(-1)}`;
    const failing = (host: string) => http('GET', '/v1/me', from(`${network}:${host}`));
    const group = network.split(':').map((part) => part.padStart(4, '0'));
    await spend('auth', `${group.join('')}/64`, 2);
    const statuses = [];
    for (const host of ['0:0:0:1', 'a:b:c:d', ':9']) statuses.push((await failing(host)).status);
    expect(statuses).toEqual([401, 401, 429]);
    const neighbour = from(`${network.replace('aaaa', 'bbbb')}::1`);
    expect((await http('GET', '/v1/me', neighbour)).status).toBe(401);
  });
});

describe('every request', () => {
  it('to /v1/admin counts, the operator’s too', ACROSS_A_MINUTE, async () => {
    const address = newAddress();
    await spend('admin', address, 1);
    const call = from(address, ADMIN);
    expect((await http('GET', '/v1/admin/breakers', call)).status).toBe(200);
    for (const path of ['/v1/admin/breakers', '/v1/admin/users', '/v1/admin/nothing']) {
      await expectTurnedAway(await http('GET', path, call), 'operator');
    }
    expect((await http('GET', '/v1/admin/breakers', from(newAddress(), ADMIN))).status).toBe(200);
    expect((await http('GET', '/v1/me', from(address))).status).toBe(401);
  });

  it('for a signed link counts, and none that comes with a key', ACROSS_A_MINUTE, async () => {
    const client = await newClient();
    const { id } = await client.submit();
    const [image] = (await client.reached(id, 'succeeded')).images;
    const { pathname, search } = new URL(image?.signed_url ?? '');
    const address = newAddress();
    await spend('link', address, 1);
    const opened = await http('GET', pathname + search, from(address));
    expect(opened.status).toBe(200);
    await opened.body?.cancel();
    await expectTurnedAway(await http('GET', pathname + search, from(address)), 'signed links');
    const byKey = from(address, { authorization: `Bearer ${client.key}` });
    const own = await http('GET', pathname, byKey);
    expect(own.status).toBe(200);
    await own.body?.cancel();
  });
});

describe('callbacks', () => {
  it('count when they are forged, and a provider’s own never', ACROSS_A_MINUTE, async () => {
    const client = await newClient();
    const { id } = await client.submit();
    const { pathname, search } = new URL(
      callbackUrl({
        userId: client.userId,
        requestId: id as `req_${string}`,
        attempt: 1,
        origin: ORIGIN,
        secret: env.LINK_SIGNING_SECRET,
      }),
    );
    const address = newAddress();
    await spend('callback', address, 2);
    const genuine = async () => (await http('POST', pathname + search, from(address))).status;
    expect([await genuine(), await genuine(), await genuine()]).toEqual([204, 204, 204]);
    const elsewhere = pathname.replace('/1', '/x') + search;
    for (const forged of [pathname, elsewhere]) {
      expect((await http('POST', forged, from(address))).status).toBe(404);
    }
    for (const forged of [pathname, elsewhere]) {
      await expectTurnedAway(await http('POST', forged, from(address)), 'genuine signature');
    }
    expect(await genuine()).toBe(204);
  });
});

it('a shield that is out of order turns nobody away', async () => {
  const address = newAddress();
  await spend('admin', address);
  faults.shield = 'fail';
  expect((await http('GET', '/v1/admin/breakers', from(address, ADMIN))).status).toBe(200);
  expect((await http('GET', '/v1/me', from(address))).status).toBe(401);
  expect(faulted.shield).toBe(2);
});

it('without an address nothing counts', async () => {
  expect((await http('GET', '/v1/admin/breakers', { headers: ADMIN })).status).toBe(200);
  expect((await http('GET', '/v1/me')).status).toBe(401);
  faults.shield = 'fail';
  await http('GET', '/v1/me');
  expect(faulted.shield).toBe(0);
});
