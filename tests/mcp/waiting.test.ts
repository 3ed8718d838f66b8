// How a call waits, against a clock that only its waiting moves on.
import { describe, expect, it } from 'vitest';
import type { Snapshot } from '../../src/foreman/intake';
import { describeProgress } from '../../src/mcp/progress';
import { awaitEnd } from '../../src/mcp/waiting';
import type { RequestView } from '../../src/requests/view';

type Status = 'queued' | 'running' | 'succeeded';

const snapshot = (status: Status, version: number, position: number | null = null) =>
  ({ state: { id: 'req_1', status, version }, position, eta: null }) as unknown as Snapshot;

const present = ((state: Snapshot['state'], facts?: { position: number | null }) => ({
  status: state.status,
  attempts: state.status === 'running' ? [{ provider: 'openai', number: 1 }] : [],
  waiting:
    state.status === 'queued' ? { reason: 'queue', position: facts?.position ?? null } : null,
})) as never;

/** Changes by the second at which they come. */
function world(changes: readonly (readonly [number, Snapshot])[]) {
  let seconds = 0;
  const waits: number[] = [];
  const at = (second: number) => changes.findLast(([when]) => when <= second)?.[1] as Snapshot;
  const requests = {
    async wait({ ms, until }: { ms: number; until: (state: Snapshot['state']) => boolean }) {
      waits.push(ms / 1000);
      const end = seconds + ms / 1000;
      for (; seconds < end; seconds += 1) {
        const { state } = at(seconds);
        if (until(state) || state.status === 'succeeded') break;
      }
      return at(seconds);
    },
  } as never;
  const told: [number, string][] = [];
  const tell = async (message: string) => void told.push([seconds, message]);
  const deps = { requests, present, now: () => seconds * 1000 };
  return { deps, tell, told, waits, first: at(0) };
}

const waitingFor = (seconds: number, known: Snapshot) => ({
  credential: {} as never,
  known,
  ms: seconds * 1000,
  signal: new AbortController().signal,
});

describe('waiting', () => {
  it('tells every change, and at least every 10 s how it stands, until the end', async () => {
    const { deps, tell, told, first } = world([
      [0, snapshot('queued', 1, 3)],
      [20, snapshot('running', 2)],
      [45, snapshot('succeeded', 3)],
    ]);
    const ended = await awaitEnd({ ...waitingFor(60, first), tell }, deps);
    expect(ended.state.status).toBe('succeeded');
    const gaps = told.slice(1).map(([at], index) => at - (told[index]?.[0] ?? 0));
    expect(Math.max(...gaps)).toBeLessThan(10);
    expect([...new Set(told.map(([, message]) => message))]).toEqual([
      'waiting, position 3',
      'running on openai, attempt 1',
      'succeeded',
    ]);
    expect(told.filter(([at]) => at === 20 || at === 45)).toHaveLength(2);
  });

  it('asks once for whom nobody is told', async () => {
    const { deps, waits, first } = world([
      [0, snapshot('queued', 1)],
      [20, snapshot('running', 2)],
    ]);
    const latest = await awaitEnd({ ...waitingFor(60, first), tell: null }, deps);
    expect([waits, latest.state.status]).toEqual([[60], 'running']);
  });

  it('is over at its time, and does not begin when there is none', async () => {
    const { deps, tell, waits, first } = world([[0, snapshot('queued', 1)]]);
    await awaitEnd({ ...waitingFor(0, first), tell }, deps);
    expect(waits).toEqual([]);
    await awaitEnd({ ...waitingFor(20, first), tell }, deps);
    expect(waits.reduce((sum, wait) => sum + wait, 0)).toBe(20);
  });

  it('does not ask again and again where nobody waits with it', async () => {
    let asked = 0;
    const known = snapshot('queued', 1);
    const wait = async () => {
      asked += 1;
      return known;
    };
    const { deps, tell } = world([[0, known]]);
    await awaitEnd({ ...waitingFor(60, known), tell }, { ...deps, requests: { wait } as never });
    expect(asked).toBe(1);
  });
});

describe('what is told of a request', () => {
  const request = (status: string, waiting: object | null = null) =>
    ({ status, waiting, attempts: [{ provider: 'fal', number: 2 }] }) as unknown as RequestView;

  it.each([
    [request('queued', { reason: 'queue', position: 3 }), 'waiting, position 3'],
    [request('queued', { reason: 'queue', position: null }), 'waiting'],
    [request('queued', { reason: 'backoff', position: null }), 'waiting for the next attempt'],
    [request('queued', { reason: 'budget', position: 2 }), 'waiting for budget, position 2'],
    [request('running', { reason: 'provider_queue', position: 4 }), 'waiting at fal, position 4'],
    [request('running'), 'running on fal, attempt 2'],
    [request('failed'), 'failed'],
  ])('%#: %s', (view, said) => {
    expect(describeProgress(view)).toBe(said);
  });
});
