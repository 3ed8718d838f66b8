/**
 * Lets a parser that reads front to back be fed chunk by chunk: a parser is a generator that yields
 * where it needs more. What is held is the chunk at hand and, across a border, the few bytes that
 * one `take` or `peek` is about.
 */
export type Parse<T> = Generator<undefined, T, undefined>;

export interface Feed {
  /** The next `count` bytes, or all that there are, without moving on. */
  peek(count: number): Parse<Uint8Array>;
  /** @throws EndOfFeed, like all that follow. */
  take(count: number): Parse<Uint8Array>;
  skip(count: number): Parse<void>;
  /** Moves behind the next `lead` whose follower is `wanted`, and behind that; it is the answer. */
  skipPast(lead: number, wanted: (follower: number) => boolean): Parse<number>;
  /** Moves to the end and says how far that was. */
  drain(): Parse<number>;
}

export class EndOfFeed extends Error {}
export class TooManyReads extends Error {}

/** @param maxReads how often a parser may `take`: bytes made to be read one by one cost seconds. */
export function createFeed(
  maxReads: number,
): Feed & { give(chunk: Uint8Array): void; end(): void } {
  let chunk = new Uint8Array();
  let at = 0;
  let ended = false;
  let reads = 0;
  const left = () => chunk.length - at;

  function* more(): Parse<void> {
    if (ended) throw new EndOfFeed();
    yield;
  }

  function* peek(count: number): Parse<Uint8Array> {
    while (left() < count && !ended) yield;
    return chunk.subarray(at, at + count);
  }

  function* take(count: number): Parse<Uint8Array> {
    reads += 1;
    if (reads > maxReads) throw new TooManyReads();
    while (left() < count) yield* more();
    at += count;
    return chunk.subarray(at - count, at);
  }

  function* skip(count: number): Parse<void> {
    let rest = count;
    for (;;) {
      const step = Math.min(rest, left());
      at += step;
      rest -= step;
      if (rest === 0) return;
      yield* more();
    }
  }

  function* skipPast(lead: number, wanted: (follower: number) => boolean): Parse<number> {
    for (;;) {
      const found = chunk.indexOf(lead, at);
      at = found === -1 ? chunk.length : found;
      const follower = chunk[at + 1];
      if (follower === undefined) yield* more();
      else {
        at += 1;
        if (!wanted(follower)) continue;
        at += 1;
        return follower;
      }
    }
  }

  function* drain(): Parse<number> {
    let count = 0;
    for (;;) {
      count += left();
      at = chunk.length;
      if (ended) return count;
      yield;
    }
  }

  return {
    peek,
    take,
    skip,
    skipPast,
    drain,
    give(next) {
      chunk = left() === 0 ? next : Buffer.concat([chunk.subarray(at), next]);
      at = 0;
    },
    end() {
      ended = true;
    },
  };
}
