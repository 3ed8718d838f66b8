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
/** Of one target: far more than an isolate serves in a second. */
const MAX_TURNS = 1_000;

interface Entry {
  readonly verdict: TargetVerdict;
  readonly sole: boolean;
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
  /**
   * Target → user → that it is full. Who finds no place stands in line by asking: one user's answer
   * must not be another's, nor take its place.
   */
  const turns = new Map<TargetName, Map<string, Entry>>();
  const permits = new Map<string, boolean>();

  const note = ({ name, permit }: Asker, isHeld: boolean) => {
    permits.delete(`${permit} ${name}`);
    permits.set(`${permit} ${name}`, isHeld);
    const [oldest] = permits.keys();
    if (permits.size > MAX_PERMITS && oldest !== undefined) permits.delete(oldest);
  };
  const noteTurn = (name: TargetName, who: string, entry: Entry) => {
    const told = turns.get(name) ?? new Map<string, Entry>();
    turns.set(name, told);
    told.delete(who);
    told.set(who, entry);
    const [oldest] = told.keys();
    if (told.size > MAX_TURNS && oldest !== undefined) told.delete(oldest);
  };
  const isFree = (name: TargetName) => entries.get(name)?.verdict.state === 'closed';

  return {
    known(now) {
      const fresh = [...entries].filter(([, entry]) => isFresh(entry, now) && holdsForAll(entry));
      return Object.fromEntries(fresh.map(([name, { verdict }]) => [name, verdict]));
    },
    get({ name, permit }, { sole, now }) {
      const entry = [entries.get(name), turns.get(name)?.get(holderOf(permit))].find(
        (known) => known && isFresh(known, now),
      );
      if (!entry) return null;
      return dependsOnSole(entry.verdict) && entry.sole !== sole ? null : entry.verdict;
    },
    learn(asker, { verdict, reserved }, { sole, now }) {
      note(asker, reserved);
      const { name } = asker;
      const who = holderOf(asker.permit);
      turns.get(name)?.delete(who);
      const isTurn = verdict.state === 'full';
      if (reserved || isTurn) entries.delete(name);
      else entries.set(name, { verdict, sole, at: now });
      if (isTurn) noteTurn(name, who, { verdict, sole, at: now });
    },
    isFree,
    mayHold: ({ name, permit }) => permits.get(`${permit} ${name}`) ?? !isFree(name),
    note,
    forget(name) {
      entries.delete(name);
      turns.delete(name);
    },
  };
}

function isFresh({ verdict, at }: Entry, now: number): boolean {
  const isOver = verdict.blockedUntil !== null && verdict.blockedUntil <= now;
  return now - at < VERDICT_LIFE_MS && !isOver;
}

/** A sole target is probed sooner. */
const dependsOnSole = ({ state }: TargetVerdict) => state === 'open' || state === 'half_open';

/** Who has another target loses nothing by asking again as early as who has none. */
const holdsForAll = (entry: Entry) => entry.sole || !dependsOnSole(entry.verdict);
