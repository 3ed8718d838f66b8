/**
 * The isolate's side of the breakers. It fails open: a target whose breaker cannot be reached counts
 * as closed, because a call that fails costs less than work that stands still.
 */
import type { Logger } from '../../platform/log';
import type { Outcome, TargetName, TargetVerdict, TargetVerdicts } from '../../requests/types';
import { unreachable } from './errors';
import { type BreakerEnv, type Call, callBreaker } from './stub';
import { type BreakerView, type CallEnd, partsOf } from './types';
import { createVerdicts } from './verdicts';

export interface BreakerTarget {
  readonly name: TargetName;
  /** How many calls the provider allows at once; null when it does not say. */
  readonly concurrency: number | null;
}

/** Targets with an embedded provider have no breaker: the caller leaves them out. */
export interface Breakers {
  /**
   * What this isolate knows and is not older than 1 s, without a call: closed uncapped targets and
   * blocked ones. Never a verdict that holds a permit.
   */
  known(): TargetVerdicts;
  /**
   * A verdict on each target, within about a second. One that may be called and is capped or
   * half-open has a permit reserved for `permit`, to be used or given back. `sole`: no other target
   * can serve the request.
   */
  ask(input: {
    readonly targets: readonly BreakerTarget[];
    readonly sole: boolean;
    readonly permit: string;
  }): Promise<TargetVerdicts>;
  /**
   * Whoever holds or asked for the permit waits for a place, though others could have served it.
   * Never throws.
   */
  standInLine(input: { readonly target: TargetName; readonly permit: string }): Promise<void>;
  /** Permits of targets that were not chosen. Never throws. */
  giveBack(input: {
    readonly targets: readonly TargetName[];
    readonly permit: string;
  }): Promise<void>;
  /** The permit is in use for at least as long again. Never throws. */
  extend(input: {
    readonly target: TargetName;
    readonly permit: string;
    readonly forMs: number;
  }): Promise<void>;
  /**
   * The end of a call; releases its permit. Failures are told at once. Of the successes of a free
   * target one a second is told, and the others with whatever is said next: those that are lost with
   * the isolate are less than a second younger than one that was told. Never throws.
   */
  report(input: {
    readonly target: BreakerTarget;
    readonly permit: string;
    readonly outcome: Outcome;
    /** `details.kind` of its error. */
    readonly errorKind: string | null;
    readonly retryAfterMs: number | null;
    readonly startedAt: number;
    readonly endedAt: number;
  }): Promise<void>;
  /** No permit, no effect. A target whose breaker cannot be reached is left out. */
  peek(
    targets: readonly BreakerTarget[],
  ): Promise<Readonly<Partial<Record<TargetName, BreakerView>>>>;
  /** @throws AppError `unavailable` when the breaker cannot be reached. */
  reset(target: TargetName): Promise<void>;
}

/** What a caller on the way to a provider waits for a breaker at most. */
const CALL_TIMEOUT_MS = 1_000;
/** An operator rather waits than misses a breaker. */
const ADMIN_TIMEOUT_MS = 5_000;
const TELL_EVERY_MS = 1_000;
/** Keeps a message small: more successes than this in a second are told sooner. */
const MAX_UNTOLD = 100;

/** What a breaker that cannot be reached is taken to say. */
const silence: TargetVerdict = { state: 'closed', blockedUntil: null, reason: null, pace: null };

/** To be made once per isolate: what it remembers is what spares the calls. */
export function createBreakers(deps: {
  readonly env: BreakerEnv;
  readonly log: Logger;
  readonly now: () => number;
}): Breakers {
  const { env, log, now } = deps;
  const verdicts = createVerdicts();
  const successes = createSuccesses();

  const logUnreachable = (name: TargetName, error: unknown) =>
    log.warn('breaker.unreachable', { ...partsOf(name), error });

  const ask = <T>(name: TargetName, call: Call<T>) =>
    callBreaker(env, { name, timeoutMs: CALL_TIMEOUT_MS }, call);

  const tell = (name: TargetName, call: Call<void>) =>
    ask(name, call).catch((error: unknown) => logUnreachable(name, error));

  const verdictOn = async (
    { name, concurrency }: BreakerTarget,
    { sole, permit }: { readonly sole: boolean; readonly permit: string },
  ): Promise<TargetVerdict> => {
    const asker = { name, permit };
    const asked = { sole, now: now() };
    const known = verdicts.get(asker, asked);
    if (known) {
      verdicts.note(asker, false);
      return known;
    }
    try {
      const ends = successes.take(name);
      const answer = await ask(name, (breaker) => breaker.ask({ permit, concurrency, sole, ends }));
      verdicts.learn(asker, answer, asked);
      return answer.verdict;
    } catch (error) {
      logUnreachable(name, error);
      // Its answer may be all that was lost: a permit may have been reserved.
      if (concurrency !== null) verdicts.note(asker, true);
      else verdicts.learn(asker, { verdict: silence, reserved: false }, { sole, now: now() });
      return silence;
    }
  };

  return {
    known: () => verdicts.known(now()),

    async ask({ targets, ...asked }) {
      const answers = targets.map(
        async (target) => [target.name, await verdictOn(target, asked)] as const,
      );
      return Object.fromEntries(await Promise.all(answers));
    },

    standInLine: ({ target, permit }) => tell(target, (breaker) => breaker.standInLine(permit)),

    async giveBack({ targets, permit }) {
      const held = targets.filter((name) => verdicts.mayHold({ name, permit }));
      for (const name of held) verdicts.note({ name, permit }, false);
      await Promise.all(held.map((name) => tell(name, (breaker) => breaker.giveBack(permit))));
    },

    async extend({ target: name, permit, forMs }) {
      if (!verdicts.mayHold({ name, permit })) return;
      await tell(name, (breaker) => breaker.extend({ permit, forMs }));
    },

    async report({ target: { name }, ...end }) {
      const asker = { name, permit: end.permit };
      const isSuccess = end.outcome === 'succeeded';
      const isRoutine = isSuccess && verdicts.isFree(name) && !verdicts.mayHold(asker);
      if (isRoutine && successes.keep(name, end, now())) return;
      verdicts.note(asker, false);
      if (!isSuccess) verdicts.forget(name);
      const ends = [...successes.take(name), end];
      await tell(name, (breaker) => breaker.report(ends));
    },

    async peek(targets) {
      const views = targets.map(async ({ name, concurrency }) => {
        const timing = { name, timeoutMs: ADMIN_TIMEOUT_MS };
        const view = await callBreaker(env, timing, (breaker) => breaker.view(concurrency)).catch(
          (error: unknown) => logUnreachable(name, error),
        );
        return view ? [[name, view] as const] : [];
      });
      return Object.fromEntries((await Promise.all(views)).flat());
    },

    async reset(name) {
      const timing = { name, timeoutMs: ADMIN_TIMEOUT_MS };
      await callBreaker(env, timing, (breaker) => breaker.reset()).catch((error: unknown) => {
        throw unreachable(name, error);
      });
      verdicts.forget(name);
    },
  };
}

/** Successes that nobody has been told of, and when one was last told at once. */
function createSuccesses() {
  const untold = new Map<TargetName, CallEnd[]>();
  const toldAt = new Map<TargetName, number>();
  return {
    /** False: it is time to tell it, and those that were kept. */
    keep(name: TargetName, end: CallEnd, at: number): boolean {
      const kept = untold.get(name) ?? [];
      const isTime = at - (toldAt.get(name) ?? 0) >= TELL_EVERY_MS || kept.length >= MAX_UNTOLD;
      if (isTime) toldAt.set(name, at);
      else untold.set(name, [...kept, end]);
      return !isTime;
    },
    take(name: TargetName): CallEnd[] {
      const kept = untold.get(name) ?? [];
      untold.delete(name);
      return kept;
    },
  };
}
