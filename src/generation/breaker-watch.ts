/**
 * The consumer's view of the breakers: names of targets in, verdicts out, and one call watched from
 * its start to its end.
 */
import type { RequestId, UserId } from '../platform/ids';
import type { AttemptResult, Running, TargetName, TargetVerdicts } from '../requests/types';
import type { Breakers, BreakerTarget } from './breaker/client';
import { type Catalog, hasBreaker, nameOf } from './catalog';
import { CUT_SHORT, OWN_FAULT, TARGET_GONE } from './failures';
import { INPUT_UNAVAILABLE, STORAGE_FAILED } from './plan';

const EXTEND_EVERY_MS = 10_000;
const PERMIT_MS = 30_000;
/** A job is asked for again within this, callback or not. */
const LEFT_PERMIT_MS = 120_000;

/** Ends that say nothing of the provider. */
const ownFaults = new Set([CUT_SHORT, INPUT_UNAVAILABLE, OWN_FAULT, TARGET_GONE]);

interface Named {
  readonly provider: string;
  readonly model: string;
}

export interface BreakerWatch {
  /** Every target of the catalogue that has a breaker. */
  targets(): readonly BreakerTarget[];
  known(): TargetVerdicts;
  ask(input: {
    readonly targets: readonly TargetName[];
    readonly sole: boolean;
    readonly permit: string;
  }): Promise<TargetVerdicts>;
  /**
   * None of several targets had a place. It is the first full one that is waited for: who stood in
   * every line would keep a place idle at all of them.
   */
  waitAt(input: {
    readonly targets: readonly TargetName[];
    readonly verdicts: TargetVerdicts;
    readonly permit: string;
  }): Promise<void>;
  /** Permits that the plan had no use for. */
  giveBack(input: {
    readonly targets: readonly TargetName[];
    readonly permit: string;
    readonly used: Named | null;
  }): Promise<void>;
  /** For dry runs: no permit, no effect. */
  peek(targets: readonly Named[]): Promise<TargetVerdicts>;
  extend(target: Named, permit: string, forMs: number): Promise<void>;
  report(target: Named, call: Omit<Parameters<Breakers['report']>[0], 'target'>): Promise<void>;
}

export function createBreakerWatch(breakers: Breakers, catalog: Catalog): BreakerWatch {
  const watched = ({ provider, model }: Named): BreakerTarget | null => {
    const target = catalog.target({ provider, model });
    if (!target || !hasBreaker(target)) return null;
    return { name: nameOf(target), concurrency: target.concurrency };
  };
  return {
    targets: () => catalog.targets().flatMap((target) => watched(target) ?? []),
    known: breakers.known,
    async ask({ targets, sole, permit }) {
      const known = targets
        .map((name) => catalog.named(name))
        .flatMap((target) => (target ? (watched(target) ?? []) : []));
      return known.length === 0 ? {} : breakers.ask({ targets: known, sole, permit });
    },
    async waitAt({ targets, verdicts, permit }) {
      const target = targets.find((name) => verdicts[name]?.state === 'full');
      if (target) await breakers.standInLine({ target, permit });
    },
    async giveBack({ targets, permit, used }) {
      const chosen = used && nameOf(used);
      const unused = targets.filter((name) => name !== chosen);
      if (unused.length > 0) await breakers.giveBack({ targets: unused, permit });
    },
    async peek(targets) {
      const known = targets.flatMap((target) => watched(target) ?? []);
      const views = Object.entries(await breakers.peek(known));
      return Object.fromEntries(views.flatMap(([name, view]) => (view ? [[name, view]] : [])));
    },
    async extend(target, permit, forMs) {
      const known = watched(target);
      if (known) await breakers.extend({ target: known.name, permit, forMs });
    },
    async report(target, call) {
      const known = watched(target);
      if (known) await breakers.report({ target: known, ...call });
    },
  };
}

export interface Watched {
  /** The call has ended with this. */
  end(result: AttemptResult): Promise<void>;
  /** The provider goes on with a job of its own, or its work is of no use any more. */
  leave(why: 'left' | 'unwanted'): Promise<void>;
  close(): void;
}

/** A permit is in the name of an attempt, whoever makes it or asks for its job. */
export const permitOf = (of: {
  readonly userId: UserId;
  readonly request: RequestId;
  readonly attempt: number;
}) => `${of.userId}/${of.request}/${of.attempt}`;

/** Keeps the permit of a call alive, and says how the call ended. */
export function watchOver(
  { userId, id: request, current }: Running,
  { breakers, now }: { readonly breakers: BreakerWatch; readonly now: () => number },
): Watched {
  const permit = permitOf({ userId, request, attempt: current.number });
  const freed = () => breakers.giveBack({ targets: [nameOf(current)], permit, used: null });
  const timer = setInterval(() => {
    void breakers.extend(current, permit, PERMIT_MS);
  }, EXTEND_EVERY_MS);
  return {
    async end(result) {
      const failed = result.outcome !== 'succeeded';
      if (failed && ownFaults.has(result.error.code)) return freed();
      const kind = failed ? result.error.details?.kind : null;
      const isStoringFault = failed && result.error.code === STORAGE_FAILED;
      await breakers.report(current, {
        permit,
        // The provider has delivered: that it could not be stored is none of its doing.
        outcome: isStoringFault ? 'succeeded' : result.outcome,
        errorKind: typeof kind === 'string' ? kind : null,
        retryAfterMs: failed ? result.retryAfterMs : null,
        startedAt: current.startedAt,
        endedAt: now(),
      });
    },
    leave: (why) => (why === 'left' ? breakers.extend(current, permit, LEFT_PERMIT_MS) : freed()),
    close: () => clearInterval(timer),
  };
}
