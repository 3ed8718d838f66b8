import { env } from 'cloudflare:workers';
import { describe, expect, it, vi } from 'vitest';
import { faulted, faults } from '../support/worker';
import {
  ADMIN,
  advance,
  confirmed,
  count,
  deliver,
  held,
  http,
  indexed,
  messagesTo,
  newClient,
  openai,
  receiver,
  runCrons,
  until,
  useWorld,
} from './support';

useWorld();

const poisons: readonly (readonly [string, unknown])[] = [
  ['null', null],
  ['a string', 'generation.run'],
  ['an unknown type', { type: 'generation.dance', v: 1 }],
  ['a known type without its fields', { type: 'generation.run', v: 1 }],
  ['another version', { type: 'projection.wake', v: 2, user: 'usr_0' }],
  ['a release that is no number', { type: 'generation.run', v: 1, release: 'one' }],
];

describe('a poison message', () => {
  it.each(poisons)(
    '(%s) between two good ones is stored, and holds nobody up',
    async (_, poison) => {
      const client = await newClient();
      faults.generation = 'swallow';
      const ids = [(await client.submit()).id, (await client.submit()).id];
      const [first, second] = messagesTo('generation');
      const before = await count('dead_letters', 'true');
      const result = await deliver('generation', [first, poison, second]);
      expect(result.explicitAcks).toHaveLength(3);
      expect(result.retryMessages).toEqual([]);
      for (const id of ids) expect(await client.get(id)).toMatchObject({ status: 'succeeded' });
      expect(await count('dead_letters', 'true')).toBe(before + 1);
      const stored = await env.DB.prepare(
        'SELECT queue, body, reason FROM dead_letters ORDER BY created_at DESC, id DESC',
      ).first();
      expect(stored).toMatchObject({ queue: 'foreman-generation', body: JSON.stringify(poison) });
    },
  );

  it('is tried again while D1 is down, and the good ones are done meanwhile', async () => {
    const client = await newClient();
    Object.assign(faults, { generation: 'swallow', d1: 'fail' });
    const { id } = await client.submit();
    const result = await deliver('generation', [{ type: 'nonsense' }, ...messagesTo('generation')]);
    expect(result.retryMessages).toMatchObject([{ msgId: 'message-0' }]);
    expect(result.explicitAcks).toEqual(['message-1']);
    expect(await client.get(id)).toMatchObject({ status: 'succeeded' });
  });
});

describe('a dead letter', () => {
  it('of the current release ends its request, and is stored with it', async () => {
    const hook = receiver();
    const client = await newClient();
    faults.generation = 'swallow';
    const { id } = await client.submit({ webhook_url: hook.url });
    await deliver('dead-letters', messagesTo('generation'));
    expect(await client.get(id)).toMatchObject({
      status: 'failed',
      error: { code: 'dead_lettered', details: { retryable: true } },
      attempts: [],
    });
    await indexed(id, 'failed');
    await until(() => expect(hook.posts).toHaveLength(1));
    expect(await count('dead_letters', 'user_id = ? AND request_id = ?', client.userId, id)).toBe(
      1,
    );
  });

  it.each([
    ['of an older release', (message: object) => ({ ...message, release: 7 })],
    [
      'of another user',
      async (message: object) => {
        const { userId } = await newClient();
        return { ...message, user: userId };
      },
    ],
  ])('%s is stored and ends nothing', async (_, other) => {
    const client = await newClient();
    faults.generation = 'swallow';
    const { id } = await client.submit();
    const [message] = messagesTo('generation') as object[];
    await deliver('dead-letters', [await other(message ?? {})]);
    expect(await client.get(id)).toMatchObject({ status: 'queued', version: 1 });
    expect(await count('dead_letters', 'request_id = ?', id)).toBe(1);
    await deliver('generation', [message]);
    expect(await client.get(id)).toMatchObject({ status: 'succeeded' });
  });

  it('of a release that a consumer has taken meanwhile ends nothing', async () => {
    const gate = held();
    const calls = openai(gate.answer);
    const client = await newClient();
    const { id } = await client.submit({ model: 'gpt-image-1' });
    await until(() => expect(calls).toHaveLength(1));
    await deliver('dead-letters', messagesTo('generation'));
    expect(await client.get(id)).toMatchObject({ status: 'running' });
    gate.open();
    await client.reached(id, 'succeeded');
  });

  it('of a webhook is stored, and the delivery goes on by its due time', async () => {
    const hook = receiver();
    const client = await newClient();
    faults.webhooks = 'swallow';
    const { id } = await client.submit({ webhook_url: hook.url });
    await client.reached(id, 'succeeded');
    await until(() => expect(messagesTo('webhooks')).toHaveLength(1));
    const before = await count('dead_letters', 'true');
    await deliver('dead-letters', messagesTo('webhooks'));
    expect(await count('dead_letters', 'true')).toBe(before + 1);
    expect(await client.deliveries(id)).toMatchObject([{ status: 'pending' }]);
  });
});

// --- What an operator does with them ---------------------------------------------------------------

interface Letter {
  readonly id: string;
  readonly type: string;
  readonly replayed_at: string | null;
  readonly replayed_as: string | null;
}
interface Page {
  readonly items: readonly Letter[];
  readonly next_cursor: string | null;
}

const PATH = '/v1/admin/dead-letters';
const DAY_MS = 86_400_000;

const admin = (method: string, path: string) => http(method, `${PATH}${path}`, { headers: ADMIN });
const listed = async (query: string) => {
  const response = await admin('GET', `?${query}`);
  expect(response.status).toBe(200);
  return response.json<Page>();
};
/** The newest letter of a user, or of nobody. */
const letterOf = async (query: string): Promise<Letter> => {
  const [letter] = (await listed(`${query}&limit=1`)).items;
  if (!letter) throw new Error(`no letter of ${query}`);
  return letter;
};
const replay = async ({ id }: Letter) => {
  const response = await admin('POST', `/${id}/replay`);
  expect(response.status).toBe(200);
  return response.json<Letter>();
};
const expectProblem = async (response: Response, status: number, code: string) =>
  expect([response.status, (await response.json<{ code: string }>()).code]).toEqual([status, code]);

/** A request whose wake-up was lost, and which has ended for it. */
async function lost(fields: object = {}) {
  const client = await newClient();
  faults.generation = 'swallow';
  const { id } = await client.submit(fields);
  const messages = messagesTo('generation');
  await deliver('dead-letters', messages);
  faults.generation = null;
  const letter = await letterOf(`user_id=${client.userId}`);
  return { client, id, letter, message: messages[0] as object };
}

describe('the operator', () => {
  it('sees a letter with its message, whose it is, and until when', async () => {
    const { client, id, letter, message } = await lost();
    const shown = await (await admin('GET', `/${letter.id}`)).json<Record<string, string>>();
    expect(shown).toEqual({
      ...letter,
      type: 'generation.run',
      queue: 'foreman-generation',
      reason: 'the queue gave up on it',
      message,
      user_id: client.userId,
      request_id: id,
      correlation_id: (message as { correlation_id: string }).correlation_id,
      replayed_at: null,
      replayed_as: null,
    });
    const life = Date.parse(shown.expires_at ?? '') - Date.parse(shown.created_at ?? '');
    expect(life).toBe(7 * DAY_MS);
    expect(JSON.stringify(shown)).not.toContain('a boat');
  });

  it('pages through letters, newest first, by type and by user', async () => {
    const { client } = await lost();
    const wake = { type: 'projection.wake', v: 1, user: client.userId };
    for (let sent = 0; sent < 3; sent += 1) await deliver('dead-letters', [wake]);
    const seen: Letter[] = [];
    for (let query: string | null = `user_id=${client.userId}&limit=3`; query !== null; ) {
      const page: Page = await listed(query);
      seen.push(...page.items);
      const { next_cursor } = page;
      query = next_cursor && `user_id=${client.userId}&limit=3&cursor=${next_cursor}`;
    }
    const type = 'projection.wake';
    expect(seen.map((letter) => letter.type)).toEqual([type, type, type, 'generation.run']);
    expect(new Set(seen.map(({ id }) => id)).size).toBe(4);
    const runs = await listed(`user_id=${client.userId}&type=generation.run`);
    expect(runs).toMatchObject({ items: [{ id: seen[3]?.id }], next_cursor: null });
  });

  it.each(['type=nonsense', 'cursor=nonsense', 'limit=0', 'queue=events'])(
    'is told that %s is no query',
    async (query) => {
      await expectProblem(await admin('GET', `?${query}`), 422, 'invalid_request');
    },
  );

  it('removes a letter once', async () => {
    const { letter } = await lost();
    expect((await admin('DELETE', `/${letter.id}`)).status).toBe(204);
    await expectProblem(await admin('DELETE', `/${letter.id}`), 404, 'not_found');
    await expectProblem(await admin('POST', `/${letter.id}/replay`), 404, 'not_found');
  });

  it('is told when D1 cannot be asked', async () => {
    const { letter } = await lost();
    faults.d1 = 'fail';
    const calls = [
      ['GET', ''],
      ['GET', `/${letter.id}`],
      ['POST', `/${letter.id}/replay`],
      ['DELETE', `/${letter.id}`],
    ] as const;
    for (const [method, path] of calls) {
      await expectProblem(await admin(method, path), 503, 'unavailable');
    }
  });

  it('is logged with the letter that was replayed or removed', async () => {
    const { client, id, letter } = await lost();
    const info = vi.spyOn(console, 'info').mockImplementation(() => {});
    await replay(letter);
    await admin('DELETE', `/${letter.id}`);
    const lines = info.mock.calls.map(([line]) => JSON.parse(String(line)));
    const fields = { letter_id: letter.id, user_id: client.userId, request_id: id };
    expect(lines.filter(({ event }) => /^dead_letter\./.test(event))).toMatchObject([
      { event: 'dead_letter.replayed', outcome: 'revived', ...fields },
      { event: 'dead_letter.removed', ...fields },
    ]);
  });
});

describe('a letter that is replayed', () => {
  it('makes a new request of one that it has ended, which stays as it is', async () => {
    const hook = receiver();
    const { client, id, letter } = await lost({ webhook_url: hook.url });
    const ended = await client.get(id);
    const replayed = await replay(letter);
    const again = await client.reached(replayed.replayed_as ?? '', 'succeeded');
    expect(again).toMatchObject({ retry_of: id, input: ended.input });
    expect(again.images).toHaveLength(1);
    expect(await client.get(id)).toEqual(ended);
    await until(() => expect(hook.posts).toHaveLength(2));
  });

  it('twice, or at once with another of the same request, makes no second one', async () => {
    const { client, id, letter, message } = await lost();
    await deliver('dead-letters', [message]);
    const { items } = await listed(`user_id=${client.userId}`);
    const other = items.find((item) => item.id !== letter.id) ?? letter;
    expect(items).toHaveLength(2);
    const [first, second] = await Promise.all([replay(letter), replay(other)]);
    expect(second.replayed_as).toBe(first.replayed_as);
    expect(await replay(letter)).toEqual(first);
    await client.reached(first.replayed_as ?? '', 'succeeded');
    await indexed(first.replayed_as ?? '', 'succeeded');
    expect((await client.list()).map((request) => request.id).sort()).toEqual(
      [id, first.replayed_as].sort(),
    );
  });

  it('makes one although the answer to the first call was lost', async () => {
    const { client, letter } = await lost();
    Object.assign(faults, { foreman: 'lose_answer', only: ['revive'], times: 2 });
    await expectProblem(await admin('POST', `/${letter.id}/replay`), 503, 'unavailable');
    expect(faulted.foreman).toBe(2);
    const replayed = await replay(letter);
    await client.reached(replayed.replayed_as ?? '', 'succeeded');
    await indexed(replayed.replayed_as ?? '', 'succeeded');
    expect(await client.list()).toHaveLength(2);
  });

  it('makes a new request also when the old one has left its foreman', async () => {
    const { client, id, letter } = await lost();
    await confirmed(client, id);
    advance(DAY_MS + 1);
    await client.alarm();
    const rows = await client.sql((sql) => sql.exec('SELECT id FROM requests').toArray());
    expect(rows).toEqual([]);
    const replayed = await replay(letter);
    const again = await client.reached(replayed.replayed_as ?? '', 'succeeded');
    expect(again).toMatchObject({ retry_of: id });
  });

  it('goes to its own queue again while its request is live, and ends nothing', async () => {
    const gate = held();
    const calls = openai(gate.answer);
    const client = await newClient();
    const { id } = await client.submit({ model: 'gpt-image-1' });
    await until(() => expect(calls).toHaveLength(1));
    const [message] = messagesTo('generation');
    await deliver('dead-letters', [message]);
    const letter = await letterOf(`user_id=${client.userId}`);
    const replayed = await replay(letter);
    expect(replayed).toEqual({
      ...letter,
      replayed_at: expect.any(String),
      replayed_as: null,
    });
    expect(await replay(letter)).toEqual(replayed);
    expect(messagesTo('generation')).toEqual([message, message]);
    gate.open();
    await client.reached(id, 'succeeded');
    expect(calls).toHaveLength(1);
  });

  it('is refused when its request goes on under a later release', async () => {
    const client = await newClient({ max_running: 0 });
    const { id } = await client.submit();
    const fields = { user: client.userId, request: id, release: 7, correlation_id: 'c' };
    await deliver('dead-letters', [{ type: 'generation.run', v: 1, ...fields }]);
    const letter = await letterOf(`user_id=${client.userId}`);
    await expectProblem(await admin('POST', `/${letter.id}/replay`), 409, 'conflict');
  });

  it('delivers the webhook that it is of, before its due time', async () => {
    const hook = receiver();
    const client = await newClient();
    faults.webhooks = 'swallow';
    const { id } = await client.submit({ webhook_url: hook.url });
    await until(() => expect(messagesTo('webhooks')).toHaveLength(1));
    await deliver('dead-letters', messagesTo('webhooks'));
    faults.webhooks = null;
    await replay(await letterOf(`user_id=${client.userId}&type=webhook.deliver`));
    await until(() => expect(hook.posts).toHaveLength(1));
    await until(async () =>
      expect(await client.deliveries(id)).toMatchObject([{ status: 'delivered' }]),
    );
  });

  it.each([
    ['projection.wake', 'events', {}],
    ['generation.cancel', 'generation', { job: 'token', correlation_id: 'c' }],
  ] as const)('of %s goes to the queue of %s as it was', async (type, queue, fields) => {
    const { userId } = await newClient();
    const message = { type, v: 1, user: userId, ...fields };
    await deliver('dead-letters', [message]);
    faults[queue] = 'swallow';
    const before = messagesTo(queue).length;
    await replay(await letterOf(`user_id=${userId}&type=${type}`));
    expect(messagesTo(queue).slice(before)).toEqual([message]);
  });

  it('is not taken for replayed when its queue does not take it', async () => {
    const { userId } = await newClient();
    await deliver('dead-letters', [{ type: 'projection.wake', v: 1, user: userId }]);
    const letter = await letterOf(`user_id=${userId}`);
    faults.events = 'fail';
    await expectProblem(await admin('POST', `/${letter.id}/replay`), 503, 'unavailable');
    expect(await letterOf(`user_id=${userId}`)).toMatchObject({ replayed_at: null });
  });

  it.each(poisons)(
    'and cannot be read (%s) is refused, by a code of its own',
    async (_, poison) => {
      await deliver('dead-letters', [poison]);
      const letter = await letterOf('type=unknown');
      await expectProblem(await admin('POST', `/${letter.id}/replay`), 409, 'unreadable_message');
      expect(await letterOf('type=unknown')).toEqual(letter);
    },
  );

  it('is refused when its request has ended otherwise, or is deleted', async () => {
    const client = await newClient();
    const { id } = await client.submit();
    await client.reached(id, 'succeeded');
    await deliver('dead-letters', messagesTo('generation'));
    const letter = await letterOf(`user_id=${client.userId}`);
    await expectProblem(await admin('POST', `/${letter.id}/replay`), 409, 'conflict');
    await client.call('DELETE', `/v1/requests/${id}`);
    await expectProblem(await admin('POST', `/${letter.id}/replay`), 409, 'conflict');
    expect(await letterOf(`user_id=${client.userId}`)).toMatchObject({ replayed_at: null });
  });
});

describe('the sweep of dead letters', () => {
  it('removes those older than 7 days, and no others', async () => {
    const old = await lost();
    advance(7 * DAY_MS - 60_000);
    const young = await lost();
    await runCrons();
    expect((await admin('GET', `/${old.letter.id}`)).status).toBe(200);
    advance(60_000);
    await runCrons();
    expect((await admin('GET', `/${old.letter.id}`)).status).toBe(404);
    expect((await admin('GET', `/${young.letter.id}`)).status).toBe(200);
  });
});
