// The faults of a storm, dealt by request and call alone: every run meets the same ones, in whatever
// order its calls come. A fifth of the calls is answered with 500, a tenth with 429, and one in
// fifty never.
import type { Behaviour, Schedule } from './fake-openai.ts';

const SEED = 2;
/** Shares no factor with the deck, so that no request meets a card twice in its ten attempts. */
const STRIDE = 7;

type Card = 'ok' | 'fault' | 'hang' | Wait;
/** How a 429 spells the time it asks for. */
type Wait = 'seconds' | 'date' | 'milliseconds';

const times = (count: number, card: Card): Card[] => Array.from({ length: count }, () => card);

const deck = shuffled([
  ...times(34, 'ok'),
  ...times(10, 'fault'),
  ...times(1, 'seconds'),
  ...times(1, 'date'),
  ...times(3, 'milliseconds'),
  // The only one: the engine dispatches once more after an unknown outcome, and then never again.
  ...times(1, 'hang'),
]);

/** How long the images of a request take, by its number: the end of its correlation id. */
type OkDelay = (request: number) => number;

export function createCalmSchedule(okDelayMs: OkDelay): Schedule {
  return (headers) => ({ mode: 'ok', delayMs: okDelayMs(numberIn(nameOf(headers))) });
}

export function createFaultSchedule(okDelayMs: OkDelay): Schedule {
  const calls = new Map<string, number>();
  return (headers) => {
    const name = nameOf(headers);
    const call = calls.get(name) ?? 0;
    calls.set(name, call + 1);
    const request = numberIn(name);
    const card = deck[(request + call * STRIDE) % deck.length];
    return card === undefined ? { mode: 404 } : behaviourFor(card, { request, okDelayMs });
  };
}

const nameOf = (headers: Parameters<Schedule>[0]) => String(headers['x-correlation-id']);
const numberIn = (name: string) => Number(/\d+$/.exec(name)?.[0]);

function behaviourFor(
  card: Card,
  of: { readonly request: number; readonly okDelayMs: OkDelay },
): Behaviour {
  switch (card) {
    case 'ok':
      return { mode: 'ok', delayMs: of.okDelayMs(of.request) };
    case 'fault':
      return { mode: 500 };
    case 'hang':
      return { mode: of.request % 100 < 50 ? 'hang' : 'hang-after-body' };
    case 'seconds':
      return { mode: 429, retryAfter: '1' };
    case 'date':
      // Whole seconds: one to two of them from now.
      return { mode: 429, retryAfter: new Date(Date.now() + 2_000).toUTCString() };
    case 'milliseconds':
      return { mode: 429, retryAfterMs: '400' };
  }
}

function shuffled(cards: Card[]): Card[] {
  const random = mulberry32(SEED);
  for (let last = cards.length - 1; last > 0; last -= 1) {
    const other = Math.floor(random() * (last + 1));
    const [a, b] = [cards[last], cards[other]];
    if (a === undefined || b === undefined) continue;
    cards[last] = b;
    cards[other] = a;
  }
  return cards;
}

/** A seeded generator of numbers in [0, 1). */
function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
