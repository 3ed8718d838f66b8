/**
 * The breaker: one Durable Object per target, shared by all users. It is the authority on whether the
 * target may be called and on how many calls are out; the rules are in the files it calls. It has no
 * alarm: every state that time changes is worked out when somebody asks.
 */
import { DurableObject } from 'cloudflare:workers';
import { consoleLogger } from '../../platform/log';
import type { TargetName } from '../../requests/types';
import { afterCall, type Circuit, judge, untried, windowOf } from './circuit';
import { paceOf, type Runs, withRun } from './pace';
import { callsOf, extend, holderOf, noPermits, othersOf, release, reserve } from './permits';
import { isWorthStoring, readSnapshot, type Snapshot } from './snapshot';
import { join, type Line, leave, lengthOf, owedToOthers } from './turns';
import { type Answer, type BreakerView, type CallEnd, partsOf } from './types';

const SNAPSHOT = 'snapshot';
/** A report that is sent again comes soon after the first. */
const MAX_TOLD = 200;

export interface Asked {
  readonly permit: string;
  readonly concurrency: number | null;
  /** No other target can serve the request. */
  readonly sole: boolean;
  /** Calls that ended since the asker last spoke. */
  readonly ends: readonly CallEnd[];
}

export class Breaker extends DurableObject<Env> {
  #circuit: Circuit;
  #runs: Runs;
  #kept: Snapshot | null;
  readonly #permits = noPermits();
  readonly #line: Line = new Map();
  readonly #told = new Set<string>();

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#kept = readSnapshot(ctx.storage.kv.get(SNAPSHOT));
    this.#circuit = this.#kept?.circuit ?? untried;
    this.#runs = this.#kept?.runs ?? [];
  }

  /** Reserves a permit where calls are counted: under a cap, and for a probe. */
  ask({ permit, concurrency, sole, ends }: Asked): Answer {
    this.report(ends);
    const now = Date.now();
    const { isOwn, ...others } = othersOf(this.#permits, { permit, now });
    const who = holderOf(permit);
    const asker = { who, now, callsOf: (user: string) => callsOf(this.#permits, user) };
    const owed = isOwn ? 0 : owedToOthers(this.#line, asker);
    const inLine = lengthOf(this.#line, now);
    const traffic = { ...others, inUse: others.inUse + owed, concurrency, inLine };
    const standing = judge(this.#circuit, traffic, { now, sole });
    // Who has another target goes there, if it can: a place kept for nobody would lie idle.
    if (standing.state === 'full' && sole) join(this.#line, { who, now });
    const verdict = { ...standing, pace: paceOf(this.#runs) };
    const isProbe = standing.state === 'half_open';
    const isCounted = isProbe || concurrency !== null;
    if (standing.blockedUntil !== null || !isCounted) return { verdict, reserved: false };
    reserve(this.#permits, { permit, isProbe, now });
    leave(this.#line, who);
    return { verdict, reserved: true };
  }

  /** Safe to replay: a call is known by its permit and its start. */
  report(ends: readonly CallEnd[]): void {
    const now = Date.now();
    for (const end of ends) {
      if (this.#isTold(end)) continue;
      release(this.#permits, end.permit);
      this.#turn(afterCall(this.#circuit, end, now));
      if (end.outcome === 'succeeded') {
        this.#runs = withRun(this.#runs, end.endedAt - end.startedAt);
      }
    }
    const current = { storedAt: now, circuit: this.#circuit, runs: this.#runs };
    if (isWorthStoring(this.#kept, current)) this.#store(current);
  }

  /** Every target that could serve the request has turned the asker away. */
  standInLine(permit: string): void {
    join(this.#line, { who: holderOf(permit), now: Date.now() });
  }

  giveBack(permit: string): void {
    release(this.#permits, permit);
  }

  /** Makes the permit anew when an eviction has lost it. */
  extend({ permit, forMs }: { readonly permit: string; readonly forMs: number }): void {
    extend(this.#permits, { permit, until: Date.now() + forMs });
  }

  view(concurrency: number | null): BreakerView {
    const now = Date.now();
    const { phase, failuresInARow, lastSuccessAt, lastFailureAt } = this.#circuit;
    const others = othersOf(this.#permits, { permit: null, now });
    const inLine = lengthOf(this.#line, now);
    return {
      ...judge(this.#circuit, { ...others, concurrency, inLine }, { now, sole: false }),
      openedAt: phase.is === 'open' ? phase.openedAt : null,
      failuresInARow,
      window: windowOf(this.#circuit, now),
      inUse: others.inUse,
      lastSuccessAt,
      lastFailureAt,
      pace: paceOf(this.#runs),
    };
  }

  /** As if the target had never been called. Permits stay: their calls are still out. */
  reset(): void {
    this.#turn(untried);
    this.#store({ storedAt: Date.now(), circuit: untried, runs: this.#runs });
  }

  #isTold({ permit, startedAt }: CallEnd): boolean {
    const call = `${permit} ${startedAt}`;
    if (this.#told.has(call)) return true;
    this.#told.add(call);
    const [oldest] = this.#told;
    if (this.#told.size > MAX_TOLD && oldest !== undefined) this.#told.delete(oldest);
    return false;
  }

  #turn(next: Circuit): void {
    const { phase: before } = this.#circuit;
    const { phase } = next;
    this.#circuit = next;
    if (phase === before) return;
    // The object's name is the target's: nothing else addresses one.
    const target = partsOf((this.ctx.id.name ?? '') as TargetName);
    if (phase.is === 'open') {
      consoleLogger.warn('breaker.opened', { ...target, reason: phase.reason });
    } else if (before.is === 'open') {
      consoleLogger.info('breaker.closed', target);
    }
  }

  #store(snapshot: Snapshot): void {
    this.ctx.storage.kv.put(SNAPSHOT, snapshot);
    this.#kept = snapshot;
  }
}
