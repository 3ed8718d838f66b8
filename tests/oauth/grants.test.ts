// What a user has let in: for how long it may do what, and who can see and end it.
import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import { MAX_GRANTS } from '../../src/accounts/grants/register';
import { steadyKv } from '../../src/oauth/kv';
import { GRANT_LIFE_SECONDS } from '../../src/oauth/server';
import {
  ADMIN,
  advance,
  type Client,
  http,
  newClient,
  newKey,
  until,
  useWorld,
} from '../journeys/support';
import { ACROSS_A_MINUTE, newAddress, spend } from '../support/shield';
import { faulted, faults, guarded, kvCalls } from '../support/worker';
import {
  authorizationOf,
  callMcp,
  codeFor,
  decide,
  exchange,
  go,
  letIn,
  mcp,
  newApp,
  openPage,
  refresh,
  register,
  tokensIn,
} from './support';

useWorld();

let client: Client;
beforeAll(async () => {
  client = await newClient();
});

interface Listed {
  readonly id: string;
  readonly client: { readonly id: string; readonly name: string };
  readonly scopes: readonly string[];
  readonly key_id: string;
  readonly created_at: string;
  readonly expires_at: string;
}
const grantsOf = async (owner: Client) => {
  const answer = await owner.call('GET', '/v1/me/grants');
  expect(answer.status).toBe(200);
  return (await answer.json<{ items: Listed[] }>()).items;
};

const statusOf = async (token: string) => (await mcp(token)).status;
const admin = async (method: string, path: string, body?: object) => {
  const answer = await http(method, `/v1/admin${path}`, { headers: ADMIN, ...(body && { body }) });
  expect(answer.status).toBeLessThan(300);
  return answer;
};

interface Drawn {
  readonly result?: { readonly isError?: boolean };
  readonly error?: unknown;
}

describe('an app that was let in', () => {
  it('is seen by its user, and on record with the key it came by', async () => {
    const owner = await newClient();
    const { app } = await letIn(owner);
    const [grant, ...others] = await grantsOf(owner);
    expect(others).toEqual([]);
    expect(grant).toMatchObject({
      client: { id: app.clientId, name: 'Painter' },
      scopes: ['requests:read', 'requests:write'],
    });
    const life = Date.parse(grant?.expires_at ?? '') - Date.parse(grant?.created_at ?? '');
    expect(life).toBeGreaterThanOrEqual(GRANT_LIFE_SECONDS * 1_000);
    expect(await grantsOf(client)).not.toContainEqual(grant);
    await until(async () => {
      const path = `/audit?user_id=${owner.userId}&action=grant.created`;
      const { items } = await (await admin('GET', path)).json<{ items: object[] }>();
      expect(items).toEqual([
        expect.objectContaining({
          actor: { type: 'key', id: grant?.key_id },
          target: grant?.id,
          details: expect.objectContaining({ client_name: 'Painter', client_id: app.clientId }),
        }),
      ]);
    });
  });

  it('is on record once, although the answer to that got lost', async () => {
    const owner = await newClient();
    const app = await newApp();
    const page = await openPage(app);
    Object.assign(faults, { foreman: 'lose_answer', only: ['ask'], times: 1 });
    expect((await decide(page, { key: owner.key })).status).toBe(302);
    expect(faulted.foreman).toBe(1);
    expect(await grantsOf(owner)).toHaveLength(1);
    const told = await owner.sql((sql) =>
      sql.exec("SELECT id FROM audit_events WHERE state LIKE '%grant.created%'").toArray(),
    );
    expect(told.length).toBeLessThanOrEqual(1);
  });

  it('is one of a hundred at the most', async () => {
    const owner = await newClient();
    await letIn(owner);
    await owner.sql((sql) => {
      for (let index = 1; index < MAX_GRANTS; index += 1) {
        sql.exec(
          `INSERT INTO grants (id, expires_at, state)
           SELECT id || ?, expires_at, replace(state, 'clientId":"', 'clientId":"x') FROM grants
           WHERE length(id) = 16`,
          index,
        );
      }
    });
    const refused = await decide(await openPage(await newApp()), { key: owner.key });
    expect([refused.status, refused.headers.get('location')]).toEqual([409, null]);
    advance((GRANT_LIFE_SECONDS + 7_200) * 1_000);
    expect((await decide(await openPage(await newApp()), { key: owner.key })).status).toBe(302);
    expect(await grantsOf(owner)).toHaveLength(1);
  });

  it('is on record, with its key, for what it does', async () => {
    const owner = await newClient();
    const { id } = await owner.submit();
    const { images } = await owner.reached(id, 'succeeded');
    const { app, access_token: token } = await letIn(owner);
    const [grant] = await grantsOf(owner);
    const deleted = { name: 'delete_image', arguments: { id: images[0]?.id } };
    expect((await callMcp(token, 'tools/call', deleted)).status).toBe(200);
    await until(async () => {
      const path = `/audit?user_id=${owner.userId}&action=image.deleted`;
      const { items } = await (await admin('GET', path)).json<{ items: { actor: object }[] }>();
      expect(items.map(({ actor }) => actor)).toEqual([
        { type: 'grant', id: `${grant?.key_id}|${app.clientId}` },
      ]);
    });
  });

  it('is out at once when its user ends that, and so is its refresh token', async () => {
    const owner = await newClient();
    const { app, access_token, refresh_token } = await letIn(owner);
    const [grant] = await grantsOf(owner);
    expect((await client.call('DELETE', `/v1/me/grants/${grant?.id}`)).status).toBe(404);
    expect(await statusOf(access_token)).toBe(200);
    // KV may be away, or show what is gone for a minute: the foreman's word is what counts.
    faults.kv = 'fail';
    faults.only = [];
    expect((await owner.call('DELETE', `/v1/me/grants/${grant?.id}`)).status).toBe(204);
    faults.kv = null;
    expect(await grantsOf(owner)).toEqual([]);
    advance(31_000);
    expect(await statusOf(access_token)).toBe(401);
    expect((await refresh(app, refresh_token)).status).toBe(400);
    expect((await owner.call('DELETE', `/v1/me/grants/${grant?.id}`)).status).toBe(404);
  });

  it('takes the place of what was agreed with it before', async () => {
    const owner = await newClient();
    const app = await newApp();
    const first = await letIn(owner, app);
    const second = await letIn(owner, app, ['requests:read']);
    advance(31_000);
    expect(await statusOf(first.access_token)).toBe(401);
    expect(await statusOf(second.access_token)).toBe(200);
    expect((await grantsOf(owner)).map(({ scopes }) => scopes)).toEqual([['requests:read']]);
  });

  it('is no longer shown once it has given its access back, whether the foreman hears or not', async () => {
    const owner = await newClient();
    const giveBack = async () => {
      const { app, refresh_token: token } = await letIn(owner);
      const body = new URLSearchParams({ client_id: app.clientId, token });
      expect((await go('/oauth/token', { method: 'POST', body })).status).toBe(200);
    };
    await giveBack();
    expect(await grantsOf(owner)).toEqual([]);
    Object.assign(faults, { foreman: 'fail', only: ['forgetGrant'] });
    await giveBack();
    expect(faulted.foreman).toBeGreaterThan(0);
    faults.foreman = null;
    // For KV's minute it might be one that is not seen there yet.
    expect(await grantsOf(owner)).toHaveLength(1);
    advance(130_000);
    expect(await grantsOf(owner)).toEqual([]);
  });

  it('is no longer shown, and on record as ended, once its code has come twice', async () => {
    const owner = await newClient();
    const other = await letIn(owner);
    const app = await newApp();
    const code = await codeFor(app, owner);
    const { access_token: token } = await tokensIn(await exchange(app, code));
    const [ended, ...others] = await grantsOf(owner);
    expect((await exchange(app, code)).status).toBe(400);
    expect(await statusOf(token)).toBe(401);
    expect(await grantsOf(owner)).toEqual(others);
    expect([others.length, await statusOf(other.access_token)]).toEqual([1, 200]);
    await until(async () => {
      const path = `/audit?user_id=${owner.userId}&action=grant.revoked`;
      const { items } = await (await admin('GET', path)).json<{ items: object[] }>();
      const actor = { type: 'system', id: null };
      expect(items).toEqual([expect.objectContaining({ actor, target: ended?.id })]);
    });
  });

  it('is shown while KV is away, however old it is', async () => {
    const owner = await newClient();
    await letIn(owner);
    advance(130_000);
    Object.assign(faults, { kv: 'fail', only: [] });
    expect(await grantsOf(owner)).toHaveLength(1);
    expect(faulted.kv).toBeGreaterThan(0);
  });
});

describe('the key behind it', () => {
  it('ends it by being revoked: what is called next is refused, and no token is renewed', async () => {
    const owner = await newClient();
    const app = await newApp();
    const { id, key } = await newKey(owner.userId);
    const { access_token, refresh_token } = await letIn({ ...owner, key }, app);
    expect(await draw(access_token)).toBe(true);
    await admin('DELETE', `/users/${owner.userId}/keys/${id}`);
    // Reading may be trusted for 30 s; what is made is asked of the foreman each time.
    expect(await draw(access_token)).toBe(false);
    advance(31_000);
    expect(await statusOf(access_token)).toBe(401);
    const refused = await refresh(app, refresh_token);
    expect([refused.status, await refused.json()]).toEqual([
      400,
      expect.objectContaining({ error: 'invalid_grant' }),
    ]);
  });

  it('ends it by being rotated away, past its overlap', async () => {
    const owner = await newClient();
    const { id, key } = await newKey(owner.userId);
    const { access_token: token } = await letIn({ ...owner, key });
    const overlap = { overlap_seconds: 600 };
    await admin('POST', `/users/${owner.userId}/keys/${id}/rotate`, overlap);
    expect(await statusOf(token)).toBe(200);
    advance(601_000);
    expect(await statusOf(token)).toBe(401);
  });

  it('is of a user who is suspended: refused until that is lifted', async () => {
    const owner = await newClient();
    const { app, access_token, refresh_token } = await letIn(owner);
    await admin('POST', `/users/${owner.userId}/suspend`);
    expect(await statusOf(access_token)).toBe(403);
    const renewed = await refresh(app, refresh_token);
    expect(renewed.status).toBe(400);
    // The word by which the official client keeps its registration and its tokens.
    expect(await renewed.json()).toMatchObject({ error: 'temporarily_unavailable' });
    await admin('POST', `/users/${owner.userId}/resume`);
    expect(await statusOf(access_token)).toBe(200);
    expect((await refresh(app, refresh_token)).status).toBe(200);
  });

  it('is of a user who is deleted: nothing is left in KV, late or soon', async () => {
    const owner = await newClient();
    const { access_token: token } = await letIn(owner);
    const left = async () => (await env.OAUTH_KV.list()).keys.filter(isOf(owner)).length;
    expect(await left()).toBeGreaterThan(0);
    faults.kv = 'fail';
    await admin('DELETE', `/users/${owner.userId}`);
    expect(await statusOf(token)).toBe(503);
    await until(() => expect(faulted.kv).toBeGreaterThan(1));
    faults.kv = null;
    expect(await statusOf(token)).toBe(401);
    await until(async () => {
      advance(60_000);
      await owner.alarm();
      expect(await left()).toBe(0);
    });
  });
});

const isOf =
  ({ userId }: Client) =>
  ({ name }: { readonly name: string }) =>
    name.includes(userId);

/** Whether the app was let make a request. */
async function draw(token: string): Promise<boolean> {
  const answer = await callMcp(token, 'tools/call', {
    name: 'generate_image',
    arguments: { prompt: 'a boat', model: 'sketch', width: 64, height: 64 },
  });
  const text = await answer.text();
  const data = /^data: (\{.*\})$/m.exec(text)?.[1] ?? text;
  if (answer.status !== 200) return false;
  const { result } = JSON.parse(data) as Drawn;
  return result !== undefined && result.isError !== true;
}

describe('a token that nobody was given', () => {
  const forged = (owner: Client) => `${owner.userId}:${'g'.repeat(16)}:${'s'.repeat(32)}`;

  it('costs one look into KV at most, and none when it has not the shape of one', async () => {
    kvCalls.length = 0;
    expect(await statusOf(forged(client))).toBe(401);
    expect(kvCalls).toEqual(['get']);
    for (const shapeless of [
      'x',
      'a:b:c',
      `${forged(client)}x`,
      'usr_x:'.repeat(200),
      client.key,
    ]) {
      await mcp(shapeless);
    }
    expect(kvCalls).toEqual(['get']);
  });

  it('is counted by address', ACROSS_A_MINUTE, async () => {
    const address = newAddress();
    await spend('auth', address);
    const answer = await mcp(forged(client), { 'cf-connecting-ip': address });
    expect(answer.status).toBe(429);
  });
});

describe('while KV is away', () => {
  it('it is not the token that is wrong', async () => {
    const { app, access_token, refresh_token } = await letIn(client);
    const code = await codeFor(app, client);
    faults.kv = 'fail';
    const answers = await Promise.all([
      mcp(access_token),
      register(),
      exchange(app, code),
      refresh(app, refresh_token),
      go(authorizationOf(app)),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([503, 503, 503, 503, 503]);
    expect(answers[0]?.headers.get('retry-after')).toBe('5');
    for (const answer of answers.slice(1, 4)) {
      expect(await answer.json()).toMatchObject({ error: 'temporarily_unavailable' });
    }
    expect((await mcp(client.key)).status).toBe(200);
  });

  it('nobody waits for long', async () => {
    faults.kv = 'hang';
    const kv = steadyKv(guarded(env).OAUTH_KV, 20);
    await expect(kv.get('client:x')).rejects.toMatchObject({ code: 'unavailable' });
    expect(await kv.get(`client:${'x'.repeat(600)}`)).toBeNull();
  });
});
