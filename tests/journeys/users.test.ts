import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { createUserNames } from '../../src/accounts/directory';
import { DEFAULT_LIMITS, regions } from '../../src/accounts/types';
import { faulted, faults, resetFaults } from '../support/worker';
import {
  ADMIN,
  advance,
  type Client,
  held,
  http,
  newClient,
  ORIGIN,
  openai,
  receiver,
  serverError,
  until,
  useWorld,
} from './support';

useWorld();

const USERS = '/v1/admin/users';
const admin = (method: string, path: string, body?: unknown) =>
  http(method, path, { headers: ADMIN, ...(body === undefined ? {} : { body }) });
const create = (fields: object = {}) => admin('POST', USERS, { name: 'Acme', ...fields });
const MODEL_AT = 'limits.allowed_models.1';
const newName = () => `customer-${crypto.randomUUID()}`;

interface UserView {
  readonly id: string;
  readonly status: string;
  readonly external_id: string | null;
}

async function user(fields: object = {}): Promise<UserView> {
  const response = await create(fields);
  expect(response.status).toBe(201);
  return response.json<UserView>();
}

async function turn({ userId }: Pick<Client, 'userId'>, way: 'suspend' | 'resume') {
  const response = await admin('POST', `${USERS}/${userId}/${way}`);
  expect(response.status).toBe(200);
  return response.json<UserView>();
}

async function expectProblem(response: Response, status: number, code: string) {
  const problem = await response.json<Record<string, unknown>>();
  expect([response.status, problem.code]).toEqual([status, code]);
  return problem;
}

describe('a user that is created', () => {
  it('is answered with all that is known of it, and read the same', async () => {
    const fields = { external_id: newName(), region: 'weur', limits: { burst: 7 } };
    const response = await create(fields);
    const made = await response.json<UserView>();
    expect(response.status).toBe(201);
    expect(response.headers.get('location')).toBe(`${ORIGIN}${USERS}/${made.id}`);
    expect(made).toEqual({
      ...fields,
      id: expect.stringMatching(/^usr_0/),
      name: 'Acme',
      jurisdiction: null,
      status: 'active',
      limits: { ...DEFAULT_LIMITS, burst: 7 },
      created_at: expect.any(String),
    });
    expect(await (await admin('GET', `${USERS}/${made.id}`)).json()).toEqual(made);
  });

  it('says by its id in which jurisdiction it is held', async () => {
    const made = await user({ jurisdiction: 'eu' });
    expect(made).toMatchObject({ jurisdiction: 'eu', external_id: null, region: null });
    expect(made.id).toMatch(/^usr_e/);
  });

  it.each<[string, object, string]>([
    ['an empty external id', { external_id: '' }, 'external_id'],
    ['an external id of 601 characters', { external_id: 'x'.repeat(601) }, 'external_id'],
    ['a control character in it', { external_id: 'a\u0007b' }, 'external_id'],
    ['a number for it', { external_id: 42 }, 'external_id'],
    ['a region that is none', { region: 'moon' }, 'region'],
    ['a jurisdiction that is none', { jurisdiction: 'us' }, 'jurisdiction'],
    ['a status', { status: 'suspended' }, 'status'],
    ['a model that there is not', { limits: { allowed_models: ['sketch', 'sketsh'] } }, MODEL_AT],
  ])('is not made with %s', async (_, fields, path) => {
    const problem = await expectProblem(await create(fields), 422, 'invalid_request');
    expect(problem.errors).toMatchObject([{ path }]);
  });

  it.each(regions)(
    'in the European Union is in the region %s only if that lies there',
    async (region) => {
      const response = await create({ jurisdiction: 'eu', region });
      if (region === 'weur' || region === 'eeur') {
        expect(await response.json()).toMatchObject({ jurisdiction: 'eu', region });
        return;
      }
      const problem = await expectProblem(response, 422, 'invalid_request');
      const message = 'must be one of weur, eeur with the jurisdiction eu';
      expect(problem.errors).toEqual([{ path: 'region', message }]);
    },
  );

  it('may have any other text for its external id', async () => {
    for (const text of ['x'.repeat(600), ' ', "o'; DROP TABLE users; --", 'Ünïcödé 🚤', '../..']) {
      const external_id = `${text}${crypto.randomUUID()}`.slice(-600);
      expect(await user({ external_id })).toMatchObject({ external_id });
      const query = new URLSearchParams({ external_id }).toString();
      expect((await admin('GET', `${USERS}?${query}`)).status).toBe(200);
    }
  });
});

describe('an external id', () => {
  it('is of one user: the next is refused, and told whose it is', async () => {
    const external_id = newName();
    const { id } = await user({ external_id });
    const problem = await expectProblem(await create({ external_id }), 409, 'conflict');
    expect(problem.user_id).toBe(id);
    expect(problem.detail).toContain(external_id);
    const elsewhere = await create({ external_id, jurisdiction: 'eu' });
    expect((await expectProblem(elsewhere, 409, 'conflict')).user_id).toBe(id);
  });

  it('is given to one of a hundred who ask at once', async () => {
    const external_id = newName();
    const answers = await Promise.all(Array.from({ length: 100 }, () => create({ external_id })));
    const statuses = answers.map(({ status }) => status).sort();
    expect(statuses).toEqual([201, ...Array.from({ length: 99 }, () => 409)]);
    const bodies = await Promise.all(
      answers.map((answer) => answer.json<{ id?: string; user_id?: string }>()),
    );
    expect(new Set(bodies.map((body) => body.id ?? body.user_id)).size).toBe(1);
  });

  it('claimed by a creation that broke off is of the next one, under the id that is fixed', async () => {
    const external_id = newName();
    Object.assign(faults, { foreman: 'fail', only: ['createAccount'] });
    const broken = await create({ external_id });
    expect(broken.headers.get('retry-after')).toBe('2');
    await expectProblem(broken, 503, 'unavailable');
    resetFaults();
    const claimed = await createUserNames(env).find(external_id);
    const elsewhere = await expectProblem(
      await create({ external_id, jurisdiction: 'eu' }),
      409,
      'conflict',
    );
    expect(elsewhere.detail).toContain('another jurisdiction');
    expect(await user({ external_id })).toMatchObject({ id: claimed, external_id });
    await expectProblem(await create({ external_id }), 409, 'conflict');
  });

  it('cannot be claimed while its object is away: 503, and nothing is made', async () => {
    const external_id = newName();
    faults.directory = 'fail';
    const response = await create({ external_id });
    expect(response.headers.get('retry-after')).toBe('2');
    await expectProblem(response, 503, 'unavailable');
    resetFaults();
    expect(await createUserNames(env).find(external_id)).toBeNull();
  });

  it.each(['directory', 'foreman'] as const)(
    'is claimed once when an answer of the %s got lost',
    async (part) => {
      Object.assign(faults, { [part]: 'lose_answer', times: 1 });
      expect((await create({ external_id: newName() })).status).toBe(201);
      expect(faulted[part]).toBe(1);
    },
  );

  it('needs no D1', async () => {
    faults.d1 = 'fail';
    const external_id = newName();
    const { id } = await user({ external_id });
    expect((await admin('GET', `${USERS}/${id}`)).status).toBe(200);
    await expectProblem(await create({ external_id }), 409, 'conflict');
  });
});

describe('the list of users', () => {
  const list = async (query: string) => {
    const response = await admin('GET', `${USERS}?${query}`);
    expect(response.status).toBe(200);
    return (await response.json<{ items: UserView[] }>()).items;
  };

  it('finds a user by its external id, whatever stands in it', async () => {
    const external_id = `a&b=ç ${crypto.randomUUID()}`;
    const made = await user({ external_id, jurisdiction: 'eu', region: 'weur' });
    const query = new URLSearchParams({ external_id }).toString();
    await until(async () => expect(await list(query)).toEqual([made]));
    expect(await list(`${query}x`)).toEqual([]);
    expect(await list(`${query}&status=suspended`)).toEqual([]);
  });

  it('shows those of one status', async () => {
    const client = await newClient();
    await turn(client, 'suspend');
    const suspended = async () => (await list('status=suspended&limit=100')).map(({ id }) => id);
    await until(async () => expect(await suspended()).toContain(client.userId));
    await turn(client, 'resume');
    await until(async () => expect(await suspended()).not.toContain(client.userId));
  });

  it.each(['status=gone', 'external_id=', 'name=x'])('refuses %s', async (query) => {
    await expectProblem(await admin('GET', `${USERS}?${query}`), 422, 'invalid_request');
  });
});

describe('a change of a user', () => {
  it.each([{}, { limits: {} }])('that names nothing, %j, is refused and says so', async (body) => {
    const { id } = await user();
    const response = await admin('PATCH', `${USERS}/${id}`, body);
    const problem = await expectProblem(response, 422, 'invalid_request');
    expect(problem.errors).toEqual([
      { path: '', message: 'must name what to change: name, limits or both' },
    ]);
  });

  it('to models that there are not is refused with their places, and changes nothing', async () => {
    const { id } = await user({ limits: { allowed_models: ['sketch', 'auto'] } });
    const limits = { burst: 3, allowed_models: ['sketsh', 'auto', 'SKETCH'] };
    const response = await admin('PATCH', `${USERS}/${id}`, { limits });
    const problem = await expectProblem(response, 422, 'invalid_request');
    const message = 'names no model that there is';
    expect(problem.errors).toEqual([
      { path: 'limits.allowed_models.0', message },
      { path: 'limits.allowed_models.2', message },
    ]);
    const kept = { limits: { burst: 100, allowed_models: ['sketch', 'auto'] } };
    expect(await (await admin('GET', `${USERS}/${id}`)).json()).toMatchObject(kept);
  });

  it('of name or limits holds at once, for a suspended user too', async () => {
    const client = await newClient();
    await turn(client, 'suspend');
    const changes = { name: 'Acme 2', limits: { burst: 3 } };
    const response = await admin('PATCH', `${USERS}/${client.userId}`, changes);
    expect(await response.json()).toMatchObject({
      ...{ name: 'Acme 2', status: 'suspended', limits: { burst: 3 } },
    });
  });
});

describe('a suspended user', () => {
  it('is refused with 403 whatever is asked, and as before once it is resumed', async () => {
    const client = await newClient();
    const { id } = await client.submit();
    await client.reached(id, 'succeeded');
    expect(await turn(client, 'suspend')).toMatchObject({ status: 'suspended' });
    expect(await turn(client, 'suspend')).toMatchObject({ status: 'suspended' });
    const body = { model: 'sketch', prompt: 'a boat' };
    for (const [method, path] of [
      ['POST', '/v1/requests'],
      ['GET', `/v1/requests/${id}`],
      ['POST', `/v1/requests/${id}/cancel`],
      ['DELETE', `/v1/requests/${id}`],
      ['GET', '/v1/me'],
    ] as const) {
      const call = client.call(method, path, method === 'POST' ? { body } : {});
      await expectProblem(await call, 403, 'account_suspended');
    }
    expect(await turn(client, 'resume')).toMatchObject({ status: 'active' });
    expect(await turn(client, 'resume')).toMatchObject({ status: 'active' });
    const next = await client.submit();
    await client.reached(next.id, 'succeeded');
    expect(await client.get(id)).toMatchObject({ status: 'succeeded' });
  });

  it('is read for by an isolate that just saw its key, for half a minute at most', async () => {
    const client = await newClient();
    expect((await client.call('GET', '/v1/models')).status).toBe(200);
    await turn(client, 'suspend');
    advance(30_001);
    await expectProblem(await client.call('GET', '/v1/models'), 403, 'account_suspended');
  });

  it('watches nothing any more', async () => {
    const gate = held();
    openai(gate.answer);
    const client = await newClient();
    const { id } = await client.submit({ model: 'gpt-image-1' });
    await client.reached(id, 'running');
    const stream = await client.call('GET', `/v1/requests/${id}/events`);
    const poll = client.call('GET', `/v1/requests/${id}`, { headers: { prefer: 'wait=30' } });
    await client.get(id);
    await turn(client, 'suspend');
    // Let go, so that the client comes again, and is refused.
    expect(await stream.text()).toMatch(/: account_suspended\n\n$/);
    await expectProblem(await poll, 403, 'account_suspended');
    gate.open();
  });

  it('has the call that runs made to its end, stored, charged and told of', async () => {
    const gate = held();
    const calls = openai(gate.answer);
    const hook = receiver();
    const client = await newClient({ max_running: 1 });
    const { id } = await client.submit({ model: 'gpt-image-1', webhook_url: hook.url });
    await until(() => expect(calls).toHaveLength(1));
    await turn(client, 'suspend');
    gate.open();
    await until(() => expect(hook.posts).toHaveLength(1));
    expect(hook.posts[0]?.json()).toMatchObject({ type: 'request.succeeded' });
    await turn(client, 'resume');
    expect(await client.get(id)).toMatchObject({ status: 'succeeded', cost_usd: 0.042 });
    const me = await (await client.call('GET', '/v1/me')).json();
    expect(me).toMatchObject({ usage: { month_cost_usd: 0.042, month_reserved_usd: 0 } });
  });

  it('has no second call made for one that fails', async () => {
    const gate = held(serverError);
    const calls = openai(gate.answer);
    const client = await newClient();
    const { id } = await client.submit({ model: 'gpt-image-1' });
    await until(() => expect(calls).toHaveLength(1));
    await turn(client, 'suspend');
    gate.open();
    await until(async () =>
      expect(await client.sql((sql) => sql.exec('SELECT phase FROM requests').one())).toEqual({
        phase: 'finished',
      }),
    );
    await turn(client, 'resume');
    const request = await client.get(id);
    expect(request).toMatchObject({
      status: 'canceled',
      error: { code: 'account_suspended', details: { retryable: true } },
      attempts: [{ outcome: 'failed' }],
    });
    expect(calls).toHaveLength(1);
    expect((await client.call('POST', `/v1/requests/${id}/retry`)).status).toBe(202);
  });

  it('has all of 150 that wait canceled and told of, through an end of its object', async () => {
    const hook = receiver();
    const client = await newClient({ max_running: 0, burst: 200 });
    const item = { model: 'sketch', prompt: 'a boat', width: 64, height: 64 };
    for (const length of [100, 50]) {
      const items = Array.from({ length }, (_, index) =>
        index % 10 === 0 ? { ...item, webhook_url: hook.url } : item,
      );
      const response = await client.call('POST', '/v1/requests/batch', { body: { items } });
      expect(response.status).toBe(200);
    }
    await turn(client, 'suspend');
    await client.evict();
    // Whatever asks for the object brings it back.
    expect((await admin('GET', `${USERS}/${client.userId}`)).status).toBe(200);
    await until(() => expect(hook.posts).toHaveLength(15));
    for (const post of hook.posts) {
      expect(post.json()).toMatchObject({
        type: 'request.canceled',
        data: { status: 'canceled', error: { code: 'account_suspended' } },
      });
    }
    await until(async () =>
      expect(
        await client.sql((sql) =>
          sql.exec('SELECT phase, count(*) AS n FROM requests GROUP BY phase').toArray(),
        ),
      ).toEqual([{ phase: 'finished', n: 150 }]),
    );
    await turn(client, 'resume');
    const me = await (await client.call('GET', '/v1/me')).json();
    expect(me).toMatchObject({ usage: { waiting: 0, running: 0, images_today: 0 } });
  });
});

describe.each(['suspend', 'resume'])('to %s', (way) => {
  it.each(['nothing', 'usr_0zzzzzzzzzzzzzzzzzzzzzzzzzz', 'req_0zzzzzzzzzzzzzzzzzzzzzzzzzz'])(
    '%s is to look for what is not there',
    async (id) => {
      await expectProblem(await admin('POST', `${USERS}/${id}/${way}`), 404, 'not_found');
    },
  );
});
