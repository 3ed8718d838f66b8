// Which calls are tried again, when, and how often. No Worker is asked here.
import { describe, expect, it, vi } from 'vitest';
import { ConnectionFailed } from '../../src/client/errors';
import { retrying, unlessAborted } from '../../src/client/retrying';
import { answered, broken, brokenOff, type Fault, lineWith, quickTime } from './support';

const REQUESTS = 'https://foreman.test/v1/requests';

/** Faults of the first tries; then it is answered with what was sent. */
function tried(...faults: Fault[]) {
  const echo: Fault = async (request) =>
    new Response(request.body && (await request.text()), { status: 200 });
  const line = lineWith(...faults, echo, echo);
  const { within, pauses } = quickTime();
  const send = (request: Request) => line.fetch(request);
  return { line, pauses, within, ask: retrying(send, 4, within) };
}

const keyed = () =>
  new Request(REQUESTS, { method: 'POST', body: 'body', headers: { 'idempotency-key': 'k' } });
const keyless = () => new Request(`${REQUESTS}/batch`, { method: 'POST', body: 'body' });
const get = () => new Request(REQUESTS);

describe('a call', () => {
  it.each([429, 502, 503, 504])('that is answered %i is made again, as it was', async (status) => {
    const { ask, line } = tried(answered(status), answered(status));
    expect(await (await ask(keyed())).text()).toBe('body');
    expect(line.requests.map(({ headers }) => headers.get('idempotency-key'))).toEqual([
      ...['k', 'k', 'k'],
    ]);
  });

  it.each([200, 304, 400, 401, 404, 409, 410, 422, 500])(
    'that is answered %i is answered',
    async (status) => {
      const answer: Fault = async () => new Response(null, { status });
      const { ask, line } = tried(answer);
      expect((await ask(get())).status).toBe(status);
      expect(line.calls).toHaveLength(1);
    },
  );

  it('that nothing answers ends after so many tries, and says with which key', async () => {
    const { ask, line, pauses } = tried(...Array<Fault>(9).fill(broken));
    const fault = await ask(keyed()).catch((error: unknown) => error);
    expect(fault).toBeInstanceOf(ConnectionFailed);
    expect(fault).toMatchObject({ idempotencyKey: 'k', cause: { message: 'the line broke' } });
    expect(line.calls).toHaveLength(5);
    expect(pauses).toEqual([500, 1_000, 2_000, 4_000]);
  });

  it.each([204, 304])('that is answered %i has no body, whatever brings it', async (status) => {
    const bodied: Fault = async () =>
      Object.defineProperty(new Response(''), 'status', { value: status });
    const { ask, line } = tried(bodied);
    expect((await ask(get())).status).toBe(status);
    expect(line.calls).toHaveLength(1);
  });

  it('leaves no listener on a signal that lives longer', async () => {
    const { signal } = new AbortController();
    const added = vi.spyOn(signal, 'addEventListener');
    const removed = vi.spyOn(signal, 'removeEventListener');
    await unlessAborted(Promise.resolve(), signal);
    await unlessAborted(Promise.reject(new Error('no')), signal).catch(() => {});
    expect(added).toHaveBeenCalledTimes(2);
    expect(removed.mock.calls.map(([, listener]) => listener)).toEqual(
      added.mock.calls.map(([, listener]) => listener),
    );
  });

  it('whose answer breaks off has none', async () => {
    const halfway: Fault = (request) => brokenOff(request, async () => new Response('x'));
    const { ask, line } = tried(halfway);
    expect(await (await ask(keyed())).text()).toBe('body');
    expect(line.calls).toHaveLength(2);
  });

  it('on a dead line is given up and made again', async () => {
    const limits: number[] = [];
    const { line, within } = tried(
      (request) =>
        new Promise((_, reject) => {
          request.signal.addEventListener('abort', () => reject(request.signal.reason));
        }),
    );
    const limit = (ms: number) => {
      limits.push(ms);
      return limits.length === 1 ? AbortSignal.timeout(1) : new AbortController().signal;
    };
    const ask = retrying((request) => line.fetch(request), 4, { ...within, limit });
    const waiting = new Request(REQUESTS, { headers: { prefer: 'wait=20' } });
    expect((await ask(waiting)).status).toBe(200);
    expect(limits).toEqual([50_000, 50_000]);
  });

  it('that would make a second thing is made again only when it was refused', async () => {
    for (const fault of [broken, answered(502), answered(503)]) {
      const { ask, line } = tried(fault);
      await ask(keyless()).catch((error: unknown) =>
        expect(error).toBeInstanceOf(ConnectionFailed),
      );
      expect(line.calls).toHaveLength(1);
    }
    const { ask, line } = tried(answered(429));
    expect((await ask(keyless())).status).toBe(200);
    expect(line.calls).toHaveLength(2);
  });
});

describe('the time between two tries', () => {
  it('is what the answer asks for, and no less', async () => {
    const { ask, pauses } = tried(answered(429, { 'retry-after': '7' }), answered(503));
    await ask(get());
    expect(pauses).toEqual([7_000, 1_000]);
  });

  it('may be given as a date', async () => {
    const utc = (offset: number) => new Date(Date.now() + offset).toUTCString();
    const skewed = { date: utc(-3_600_000), 'retry-after': utc(-3_590_000) };
    const { ask, pauses } = tried(
      answered(429, { 'retry-after': utc(10_000) }),
      answered(429, skewed),
    );
    await ask(get());
    expect(pauses[0]).toBeGreaterThan(8_000);
    expect(pauses[0]).toBeLessThan(10_001);
    expect(pauses[1]).toBeGreaterThan(8_999);
  });

  it('is not longer than a minute: whoever asks hears of a quota of the day', async () => {
    const { ask, line } = tried(answered(429, { 'retry-after': '61' }));
    expect((await ask(get())).status).toBe(429);
    expect(line.calls).toHaveLength(1);
  });

  it('is left to chance, from none to all of the backoff', async () => {
    const { line, within } = tried(broken);
    const waits: number[] = [];
    const pause = async (ms: number) => void waits.push(ms);
    const ask = retrying((request) => line.fetch(request), 4, {
      ...within,
      pause,
      random: () => 0,
    });
    await ask(get());
    expect(waits).toEqual([0]);
  });

  it('ends with the signal', async () => {
    const ending = new AbortController();
    const { within } = quickTime(() => ending.abort('enough'));
    const line = lineWith(answered(503), broken, broken);
    const ask = retrying((request) => line.fetch(request), 4, within);
    await expect(ask(new Request(REQUESTS, { signal: ending.signal }))).rejects.toBe('enough');
  });
});
