// An abort at every stage of generate(): what was submitted is canceled, and nothing else is.
import { describe, expect, it } from 'vitest';
import { type Client, held, image, newClient, openai, until, useWorld } from '../journeys/support';
import {
  answered,
  broken,
  type Fault,
  foremanOn,
  lineWith,
  painted,
  passed,
  quickTime,
  silent,
  stuck,
} from './support';

useWorld();

const REASON = new Error('enough');

/** Time in which the grace for an answer under way is over at once, or never. */
function time(grace: 'none' | 'plenty') {
  const { within } = quickTime();
  const pause = (ms: number, signal: AbortSignal) =>
    grace === 'plenty' ? new Promise<never>(() => {}) : within.pause(ms, signal);
  return { ...within, pause };
}

const statusesOf = (client: Client) =>
  client.sql((sql) =>
    sql
      .exec<{ status: string }>(`SELECT json_extract(state, '$.status') AS status FROM requests`)
      .toArray()
      .map(({ status }) => status),
  );

describe('an abort', () => {
  it('before anything was sent sends nothing', async () => {
    const line = lineWith();
    const foreman = foremanOn(line, await newClient());
    const signal = AbortSignal.abort(REASON);
    await expect(foreman.generate(painted, { signal })).rejects.toBe(REASON);
    expect(line.calls).toEqual([]);
  });

  it('while the submission is under way cancels what its answer names', async () => {
    const client = await newClient();
    openai(held().answer);
    const abort = new AbortController();
    const slow: Fault = async (request, onward) => {
      const answer = await onward(request);
      abort.abort(REASON);
      return answer;
    };
    const line = lineWith(slow);
    const generating = foremanOn(line, client, time('plenty')).generate(painted, abort);
    await expect(generating).rejects.toBe(REASON);
    expect(line.calls).toHaveLength(2);
    expect(line.calls[1]).toMatch(/^POST .*\/cancel$/);
    expect(await statusesOf(client)).toEqual(['canceled']);
  });

  it('before the answer that gets lost finds the request by its key, and cancels it', async () => {
    const client = await newClient();
    const calls = openai(held().answer);
    const abort = new AbortController();
    const line = lineWith(silent);
    const generating = foremanOn(line, client, time('none')).generate(painted, abort);
    await until(async () => expect(await statusesOf(client)).toHaveLength(1));
    abort.abort(REASON);
    await expect(generating).rejects.toBe(REASON);
    const posts = line.requests.filter(({ url }) => url.endsWith('/v1/requests'));
    expect(new Set(posts.map(({ headers }) => headers.get('idempotency-key'))).size).toBe(1);
    expect(posts).toHaveLength(2);
    expect(await statusesOf(client)).toEqual(['canceled']);
    expect(calls.length).toBeLessThanOrEqual(1);
  });

  it('of a submission that comes late leaves it nothing to start', async () => {
    const client = await newClient();
    const calls = openai(held().answer);
    const abort = new AbortController();
    const line = lineWith(stuck);
    const generating = foremanOn(line, client, time('none')).generate(painted, abort);
    await until(() => expect(line.requests).toHaveLength(1));
    abort.abort(REASON);
    await expect(generating).rejects.toBe(REASON);
    expect(await statusesOf(client)).toEqual(['canceled']);
    const started = calls.length;

    const [first] = line.requests;
    const late = await client.call('POST', '/v1/requests', {
      body: await first?.json(),
      headers: { 'idempotency-key': first?.headers.get('idempotency-key') ?? '' },
    });
    expect(late.headers.get('idempotent-replayed')).toBe('true');
    expect(await late.json()).toMatchObject({ status: 'canceled' });
    expect(await statusesOf(client)).toEqual(['canceled']);
    expect(calls).toHaveLength(started);
  });

  it('between tries that were all refused submits nothing any more', async () => {
    const client = await newClient();
    const abort = new AbortController();
    const line = lineWith(answered(429), answered(429), passed);
    const { within } = quickTime((ms) => {
      if (ms === 1_000) abort.abort(REASON);
    });
    const pause: typeof within.pause = async (ms, signal) => {
      await within.pause(ms, signal);
      if (abort.signal.aborted && ms === 1_000) await new Promise<never>(() => {});
    };
    const generating = foremanOn(line, client, { ...within, pause }).generate(painted, abort);
    await expect(generating).rejects.toBe(REASON);
    expect(line.calls).toHaveLength(2);
    expect(await statusesOf(client)).toEqual([]);
  });

  it('while it waits cancels the request', async () => {
    const client = await newClient();
    openai(held().answer);
    const abort = new AbortController();
    const onUpdate = ({ status }: { status: string }) => {
      if (status === 'running') abort.abort(REASON);
    };
    const { signal } = abort;
    const generating = foremanOn(lineWith(), client).generate(painted, { signal, onUpdate });
    await expect(generating).rejects.toBe(REASON);
    expect(await statusesOf(client)).toEqual(['canceled']);
  });

  it('that cannot be told to the server is answered all the same', async () => {
    const client = await newClient();
    openai(held().answer);
    const abort = new AbortController();
    const { within } = quickTime();
    const limits: number[] = [];
    const limit = (ms: number) => {
      limits.push(ms);
      return ms === 5_000 ? AbortSignal.timeout(10) : within.limit(ms);
    };
    // A fetch of the caller's own, which does not heed its signal.
    const deaf: Fault = () => new Promise<never>(() => {});
    const line = lineWith(passed, deaf, deaf);
    const generating = foremanOn(line, client, { ...within, limit }).generate(painted, abort);
    await until(() => expect(line.calls).toHaveLength(2));
    abort.abort(REASON);
    await expect(generating).rejects.toBe(REASON);
    expect(limits).toContain(5_000);
  });

  it('after the end changes nothing, and a line that is down hides no reason', async () => {
    const client = await newClient();
    openai(image);
    const abort = new AbortController();
    const { request } = await foremanOn(lineWith(), client).generate(painted, abort);
    abort.abort(REASON);
    expect((await client.get(request.id)).status).toBe('succeeded');

    const down = lineWith(...Array<Fault>(20).fill(broken));
    const other = new AbortController();
    const { within } = quickTime(() => other.abort(REASON));
    await expect(foremanOn(down, client, within).generate(painted, other)).rejects.toBe(REASON);
  });
});
