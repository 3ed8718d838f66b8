import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Snapshot } from '../../src/foreman/intake';
import { AppError } from '../../src/platform/errors';
import {
  eventStream,
  hasSeenAll,
  type StreamTiming,
  versionSeen,
} from '../../src/requests/event-stream';
import * as lifecycle from '../../src/requests/lifecycle';
import type { RequestState } from '../../src/requests/types';
import { createPresentRequest, type RequestView } from '../../src/requests/view';
import type { Watch } from '../../src/requests/watcher';
import { failure, NOW, queued, success, tryTarget } from '../support/states';

/** The state at each of its versions: `lives[0]` is version 1. It fails twice and then succeeds. */
const lives: readonly RequestState[] = (() => {
  const all: RequestState[] = [queued()];
  let at = NOW;
  const run = (result: typeof success | ReturnType<typeof failure>) => {
    at += 1_000;
    const token = `token-${at}`;
    const due = lifecycle.wake(all.at(-1) as RequestState, at);
    const sent = lifecycle.release(due, at);
    const claim = { release: sent.release, token, decide: tryTarget };
    const started = lifecycle.claim(sent, claim, at);
    const wait = { next: 'wait', until: at, reason: 'backoff', inTurn: false } as const;
    const settling = { token, result, nextToken: null, decide: () => wait };
    all.push(started, lifecycle.settle(started, settling, at + 10));
  };
  run(failure('failed'));
  run(failure('failed'));
  run(success);
  return all.filter((state, index) => state.version !== all[index - 1]?.version);
})();

const LAST = lives.length;
const stateAt = (version: number) => lives[version - 1] as RequestState;
const snapshotAt = (version: number): Snapshot => ({
  ...{ state: stateAt(version), position: null, eta: null },
});
const present = createPresentRequest(() => ({ images: [] }));

/** Hands out what it is given; a number is a version, `gone` is a foreman that went away. */
function scripted(script: readonly (number | 'gone')[], closed = { count: 0 }): Watch {
  const rest = [...script];
  let wake: (() => void) | null = null;
  let isOver = false;
  return {
    async next(timeoutMs) {
      const step = rest.shift();
      if (isOver || step === 'gone') return null;
      if (step !== undefined) return snapshotAt(step);
      let timer: ReturnType<typeof setTimeout> | undefined;
      await new Promise<void>((resolve) => {
        wake = resolve;
        timer = setTimeout(resolve, timeoutMs);
      });
      clearTimeout(timer);
      return isOver ? null : 'timeout';
    },
    close() {
      if (!isOver) closed.count += 1;
      isOver = true;
      wake?.();
    },
  };
}

const QUICK: StreamTiming = { heartbeatMs: 60_000, rewatchMs: 0, stallMs: 60_000 };

interface Opening {
  readonly from?: number;
  readonly after?: number;
  readonly watches?: readonly (Watch | null | Error)[];
  readonly left?: number;
  readonly timing?: Partial<StreamTiming>;
}

function open({ from = 1, after = 0, watches = [], left = LAST, timing }: Opening) {
  const rest = [...watches];
  const hangUp = new AbortController();
  const presented: number[] = [];
  const nextWatch = () => {
    const watch = rest.shift() ?? null;
    if (watch instanceof Error) throw watch;
    return watch;
  };
  const response = eventStream(
    {
      snapshot: snapshotAt(from),
      after,
      watch: nextWatch(),
      watchAgain: async () => nextWatch(),
      read: async () => snapshotAt(left),
      present: (state, facts) => {
        presented.push(state.version);
        return present(state, facts);
      },
      hungUp: hangUp.signal,
    },
    { ...QUICK, ...timing },
  );
  return { response, hangUp, presented };
}

interface Told {
  readonly id: number;
  readonly event: string;
  readonly data: { type: string; sequence: number; data: RequestView };
}

function parse(text: string): Told[] {
  return Array.from(text.matchAll(/^id: (\d+)\nevent: (.+)\ndata: (.+)\n\n/gm), (match) => ({
    id: Number(match[1]),
    event: String(match[2]),
    data: JSON.parse(String(match[3])),
  }));
}

const idsOf = (events: readonly Told[]) => events.map(({ id }) => id);
const numbers = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);

describe('Last-Event-ID', () => {
  it.each<[string | undefined, number]>([
    [undefined, 0],
    ['', 0],
    ['0', 0],
    ['1', 1],
    [String(LAST), LAST],
    // Nothing that this stream has ever sent.
    [String(LAST + 1), 0],
    ['999999999', 0],
    ['99999999999999999999', 0],
    ['-1', 0],
    ['1.5', 0],
    ['1e0', 0],
    ['0x1', 0],
    [' 1', 0],
    ['NaN', 0],
    ['msg_1', 0],
    ['１', 0],
  ])('%j goes on after version %i', (header, version) => {
    expect(versionSeen(header, stateAt(LAST))).toBe(version);
  });

  it('leaves nothing to tell only when it is that of the end', () => {
    expect(hasSeenAll(LAST, stateAt(LAST))).toBe(true);
    expect(hasSeenAll(LAST - 1, stateAt(LAST))).toBe(false);
    expect(hasSeenAll(LAST - 1, stateAt(LAST - 1))).toBe(false);
  });

  it('is that of the last event, though an ended request was revised', () => {
    const revised = { ...stateAt(LAST), version: LAST + 1 };
    expect(hasSeenAll(versionSeen(String(LAST), revised), revised)).toBe(true);
  });
});

describe('an event stream', () => {
  it('says when to come again, then every version with its id, and ends with the end', async () => {
    const { response } = open({ watches: [scripted(numbers(1, LAST))] });
    const text = await response.text();
    expect(text).toMatch(/^retry: \d+\n\nid: 1\n/);
    expect(parse(text).map(({ id, event }) => [id, event])).toEqual(
      lives.map(({ version, status }) => [version, `request.${status}`]),
    );
    expect(LAST).toBeGreaterThan(5);
  });

  it('tells of all that happened between two looks, with the request as it is now', async () => {
    const { response } = open({ watches: [scripted([2, LAST])] });
    const events = parse(await response.text());
    expect(idsOf(events)).toEqual(numbers(1, LAST));
    expect(events.map(({ data }) => data.data.version)).toEqual(
      numbers(1, LAST).map((version) => (version < 3 ? version : LAST)),
    );
  });

  it('brings every version once and in order, whatever drops in between', async () => {
    const step = fc.oneof(fc.integer({ min: 0, max: 3 }), fc.constant('gone' as const));
    const line = fc.record({ steps: fc.array(step, { maxLength: 6 }), take: fc.nat({ max: 4 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(line, { maxLength: 6 }), async (lines) => {
        let version = 1;
        let seen = 0;
        const told: Told[] = [];
        // A client whose line is cut after some events, again and again, and at last is not.
        for (const { steps, take } of [...lines, { steps: [], take: LAST }]) {
          const from = version;
          const watches = [[]] as (number | 'gone')[][];
          for (const each of steps) {
            if (each !== 'gone') version = Math.min(LAST - 1, version + each);
            watches.at(-1)?.push(each === 'gone' ? each : version);
            if (each === 'gone') watches.push([version]);
          }
          const whole = take === LAST;
          if (whole) watches.push([LAST]);
          const scripts = watches.map((script) => scripted(whole ? [...script, 'gone'] : script));
          const { response } = open({
            from,
            after: versionSeen(String(seen), stateAt(from)),
            watches: scripts,
          });
          const count = whole ? Number.POSITIVE_INFINITY : Math.min(take, version - seen);
          const events = await readSome(response, count);
          told.push(...events);
          seen = told.at(-1)?.id ?? 0;
        }
        expect(idsOf(told)).toEqual(numbers(1, LAST));
        for (const { id, data } of told) {
          expect(data.sequence).toBe(id);
          expect(data.data.version).toBeGreaterThanOrEqual(id);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('of an ended request is told from where it is asked for, without a watch', async () => {
    expect(idsOf(parse(await open({ from: LAST }).response.text()))).toEqual(numbers(1, LAST));
    const { response } = open({ from: LAST, after: LAST - 1 });
    expect(idsOf(parse(await response.text()))).toEqual([LAST]);
  });

  it('heartbeats while nothing happens', async () => {
    const { response, hangUp } = open({ watches: [scripted([])], timing: { heartbeatMs: 1 } });
    const text = await readUntil(response, (read) => read.split(': heartbeat\n\n').length > 3);
    expect(parse(text)).toHaveLength(1);
    hangUp.abort();
  });
});

describe('an event stream whose foreman', () => {
  it('went away is watched anew, as soon as the foreman can be reached', async () => {
    const away = new AppError('unavailable', 'away');
    const { response } = open({
      watches: [scripted([2, 'gone']), away, away, scripted([4, 'gone']), scripted([LAST])],
    });
    expect(idsOf(parse(await response.text()))).toEqual(numbers(1, LAST));
  });

  it('has let the request go ends with what is known of it', async () => {
    const { response } = open({ watches: [scripted([2, 'gone'])] });
    expect(idsOf(parse(await response.text()))).toEqual(numbers(1, LAST));
  });

  it('does not let the client in any more says so and ends', async () => {
    const refused = new AppError('account_suspended', 'no');
    const { response } = open({ watches: [scripted([2, 'gone']), refused] });
    const text = await response.text();
    expect(idsOf(parse(text))).toEqual([1, 2]);
    expect(text).toMatch(/: account_suspended\n\n$/);
  });

  it('breaks is cut off, so that the client comes again', async () => {
    const { response } = open({ watches: [scripted(['gone']), new Error('broken')] });
    await expect(response.text()).rejects.toThrow();
  });
});

describe('a client of an event stream', () => {
  it.each([
    [
      'hangs up, as the platform says',
      async ({ hangUp }: ReturnType<typeof open>) => hangUp.abort(),
    ],
    [
      'hangs up, as its line shows',
      async ({ response }: ReturnType<typeof open>) => response.body?.cancel(),
    ],
  ])('that %s is no longer watched for', async (_, leave) => {
    const closed = { count: 0 };
    const stream = open({ watches: [scripted([2], closed), scripted([LAST], closed)] });
    await leave(stream);
    await expect.poll(() => closed.count).toBe(1);
    expect(stream.presented).not.toContain(LAST);
  });

  it('that had hung up before is not watched for at all', async () => {
    const closed = { count: 0 };
    const watch = scripted([2], closed);
    const hungUp = AbortSignal.abort();
    const rest = { watchAgain: async () => null, read: async () => snapshotAt(1), present };
    eventStream({ snapshot: snapshotAt(1), after: 0, watch, hungUp, ...rest }, QUICK);
    await expect.poll(() => closed.count).toBe(1);
  });

  it('that reads nothing is not written ahead to, and is given up', async () => {
    const closed = { count: 0 };
    const script = Array.from({ length: 10_000 }, () => LAST - 1);
    const { response, presented } = open({
      watches: [scripted(script, closed)],
      timing: { stallMs: 20 },
    });
    await expect.poll(() => closed.count).toBe(1);
    expect(presented.length).toBeLessThan(4);
    await expect(response.text()).rejects.toThrow();
  });
});

/** The text up to where `enough` says so; the line stays open. */
async function readUntil(response: Response, enough: (text: string) => boolean): Promise<string> {
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  const decoder = new TextDecoder();
  let text = '';
  while (!enough(text)) {
    const { done, value } = await reader.read();
    if (done) return text;
    text += decoder.decode(value, { stream: true });
  }
  await reader.cancel();
  return text;
}

/** Some events, after which the line is cut. */
async function readSome(response: Response, count: number): Promise<Told[]> {
  const text = await readUntil(response, (read) => parse(read).length >= count);
  return parse(text).slice(0, count);
}
