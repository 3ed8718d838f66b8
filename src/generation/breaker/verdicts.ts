/**
 * What one isolate remembers: verdicts for a second, and which permits it was given. It spares calls
 * to the object and is never the authority; what is forgotten is asked again.
 */
import type { TargetName, TargetVerdict, TargetVerdicts } from '../../requests/types';
import { holderOf } from './permits';
import type { Answer } from './types';

const VERDICT_LIFE_MS = 1_000;
/** Far more than an isolate has calls in flight. */
const MAX_PERMITS = 1_000;

interface Entry {
  readonly verdict: TargetVerdict;
  readonly sole: boolean;
  /** Of whom it was said. */
  readonly who: string;
  readonly at: number;
}

interface Asker {
  readonly name: TargetName;
  readonly permit: string;
}

export interface Verdicts {
  known(now: number): TargetVerdicts;
  get(asker: Asker, asked: { readonly sole: boolean; readonly now: number }): TargetVerdict | null;
  learn(
    asker: Asker,
    answer: Answer,
    asked: { readonly sole: boolean; readonly now: number },
  ): void;
  /** The last word on it was that anybody may call, and nobody counts. However old the word is. */
  isFree(name: TargetName): boolean;
  /** Whether the object may hold this permit. */
  mayHold(asker: Asker): boolean;
  note(asker: Asker, isHeld: boolean): void;
  forget(name: TargetName): void;
}

export function createVerdicts(): Verdicts {
  const entries = new Map<TargetName, Entry>();
  const permits = new Map<string, boolean>();

  const note = ({ name, permit }: Asker, isHeld: boolean) => {
    permits.delete(`${permit} ${name}`);
    permits.set(`${permit} ${name}`, isHeld);
    const [oldest] = permits.keys();
    if (permits.size > MAX_PERMITS && oldest !== undefined) permits.delete(oldest);
  };
  const isFree = (name: TargetName) => entries.get(name)?.verdict.state === 'closed';

  return {
    known(now) {
      const fresh = [...entries].filter(([, entry]) => isFresh(entry, now) && holdsForAll(entry));
      return Object.fromEntries(fresh.map(([name, { verdict }]) => [name, verdict]));
    },
    get({ name, permit }, { sole, now }) {
      const entry = entries.get(name);
      if (!entry || !isFresh(entry, now)) return null;
      if (isTurn(entry) && entry.who !== holderOf(permit)) return null;
      return dependsOnSole(entry.verdict) && entry.sole !== sole ? null : entry.verdict;
    },
    learn(asker, { verdict, reserved }, { sole, now }) {
      note(asker, reserved);
      if (reserved) entries.delete(asker.name);
      else entries.set(asker.name, { verdict, sole, who: holderOf(asker.permit), at: now });
    },
    isFree,
    mayHold: ({ name, permit }) => permits.get(`${permit} ${name}`) ?? !isFree(name),
    note,
    forget: (name) => void entries.delete(name),
  };
}

function isFresh({ verdict, at }: Entry, now: number): boolean {
  const isOver = verdict.blockedUntil !== null && verdict.blockedUntil <= now;
  return now - at < VERDICT_LIFE_MS && !isOver;
}

/** A sole target is probed sooner. */
const dependsOnSole = ({ state }: TargetVerdict) => state === 'open' || state === 'half_open';

/** Who finds no place stands in line by asking: one user's answer must not be another's. */
const isTurn = ({ verdict }: Entry) => verdict.state === 'full';

/** Who has another target loses nothing by asking again as early as who has none. */
const holdsForAll = (entry: Entry) =>
  !isTurn(entry) && (entry.sole || !dependsOnSole(entry.verdict));
