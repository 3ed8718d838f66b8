/**
 * The use cases of requests, whatever their kind. The foreman is asked first; what it has handed
 * over is read from D1.
 */
import { deniedFault, refusalFault } from '../accounts/errors';
import type { Credential } from '../accounts/types';
import type { Denied, ReadAnswer, Snapshot, Submission, SubmitAnswer } from '../foreman/intake';

export type { Submission };

import { cellOf, newId, type RequestId } from '../platform/ids';
import {
  idempotencyMismatch,
  notFinished,
  replayOfDeleted,
  requestNotFound,
  unavailable,
} from './errors';
import { fingerprintOf } from './idempotency';
import { retrySpec } from './retry';
import type { PageQuery, PageRow, RequestStore } from './store';
import type { Preview, RequestSpec, RequestState } from './types';
import { isTerminal } from './types';
import type { Watch } from './watcher';

export interface ReplayOf {
  readonly credential: Credential;
  readonly key: string;
  readonly fingerprint: string;
}

/** The calls of the user's foreman that this service makes. */
export interface RequestForeman {
  submit(submission: Submission): Promise<SubmitAnswer>;
  submitAll(submissions: readonly Submission[]): Promise<SubmitAnswer[]>;
  replayOf(input: ReplayOf): Promise<SubmitAnswer | null>;
  read(input: { credential: Credential; id: RequestId }): Promise<ReadAnswer>;
  recordOf(id: RequestId): Promise<ReadAnswer>;
  cancel(input: { credential: Credential; id: RequestId }): Promise<ReadAnswer>;
  remove(input: {
    credential: Credential;
    id: RequestId;
    archived: Pick<RequestState, 'version' | 'reuseKey'> | null;
  }): Promise<{ outcome: 'deleted' | 'absent' } | Denied>;
  /** Null when the request cannot be watched; `read` then says why. */
  watch(input: Named & Pick<Holding, 'onPreview'>): Promise<Watch | null>;
}

export interface Submitted extends Snapshot {
  readonly replayed: boolean;
}

/** A held line outlives this many restarts of its foreman, and no endless row of them. */
const MAX_WATCHES = 10;

type Named = { readonly credential: Credential; readonly id: RequestId };
/** A client's line, held for so long at most. */
type Holding = {
  readonly ms: number;
  readonly hungUp: AbortSignal;
  /**
   * Is given what there is to show before the end, where the attempt gives anything. What was shown
   * before somebody watched is lost. Must not throw.
   */
  readonly onPreview?: ((preview: Preview) => void) | undefined;
};

export interface RequestService {
  submit(submission: Submission): Promise<Submitted>;
  /** Of one user, in one transaction; answers in the same order. */
  submitAll(submissions: readonly Submission[]): Promise<PromiseSettledResult<Submitted>[]>;
  /** What an idempotency key already stands for; null when it is free. */
  replayOf(input: ReplayOf): Promise<Submitted | null>;
  get(input: Named): Promise<Snapshot>;
  /** For whoever has shown the right to it already, as by a signed link to what the request made. */
  record(input: { userId: Credential['userId']; id: RequestId }): Promise<RequestState>;
  /**
   * Waits until `until` holds or the time is over, and answers with what is true then. For nobody
   * but who still holds the line: once it was hung up, `known` is the answer.
   */
  wait(
    input: Named & Holding & { known: Snapshot; until: (state: RequestState) => boolean },
  ): Promise<Snapshot>;
  /**
   * Holds a submission's line for up to `ms`. Whatever becomes of the waiting, the request is
   * accepted and the client must hear its id, so this never fails.
   */
  awaitEnd(input: Holding & { credential: Credential; submitted: Submitted }): Promise<Submitted>;
  /** Null when the request has left the foreman: nothing will change any more. */
  watch(input: Named & Pick<Holding, 'onPreview'>): Promise<Watch | null>;
  cancel(input: Named): Promise<Snapshot>;
  remove(input: Named): Promise<void>;
  retry(
    input: Named & Pick<RequestSpec, 'idempotencyKey' | 'origin' | 'correlationId' | 'traceparent'>,
  ): Promise<Submitted>;
  list(query: PageQuery): Promise<PageRow[]>;
  count(query: PageQuery): Promise<number>;
}

export function createRequestService(deps: {
  readonly foreman: (userId: Credential['userId']) => RequestForeman;
  readonly store: RequestStore;
  readonly now: () => number;
}): RequestService {
  const archived = async ({
    credential,
    id,
  }: Pick<Named, 'id'> & { credential: Pick<Credential, 'userId'> }): Promise<RequestState> => {
    const { userId } = credential;
    const state = await fromIndex(deps.store.getOne({ userId, id }), 'This request');
    if (state === null || state === 'deleted') throw requestNotFound(id);
    return state;
  };

  const snapshotFrom = async (input: Named, answer: ReadAnswer): Promise<Snapshot> => {
    switch (answer.outcome) {
      case 'found':
        return answer;
      case 'absent':
        return { state: await archived(input), position: null, eta: null };
      case 'deleted':
        throw requestNotFound(input.id);
      default:
        throw deniedFault(answer.outcome, 'requests:read', input.credential);
    }
  };

  const get = async (input: Named) =>
    snapshotFrom(input, await deps.foreman(input.credential.userId).read(input));

  const submitted = async (credential: Credential, answer: SubmitAnswer): Promise<Submitted> => {
    switch (answer.outcome) {
      case 'accepted':
        return { ...answer, replayed: false };
      case 'replayed':
        return { ...answer, replayed: true };
      case 'replayed_archived': {
        const state = await archived({ credential, id: answer.requestId });
        return { state, position: null, eta: null, replayed: true };
      }
      case 'deleted':
        throw replayOfDeleted();
      case 'mismatch':
        throw idempotencyMismatch();
      case 'refused':
        throw refusalFault(answer.refusal, answer.at);
      default:
        throw deniedFault(answer.outcome, 'requests:write');
    }
  };

  const submit = async (submission: Submission): Promise<Submitted> => {
    const { credential } = submission;
    return submitted(credential, await deps.foreman(credential.userId).submit(submission));
  };

  const submitAll: RequestService['submitAll'] = async (submissions) => {
    const [first] = submissions;
    if (!first) return [];
    const { credential } = first;
    const answers = await deps.foreman(credential.userId).submitAll(submissions);
    return Promise.allSettled(answers.map((answer) => submitted(credential, answer)));
  };

  const wait: RequestService['wait'] = async ({ credential, id, hungUp, known, ...input }) => {
    // No more than these crosses to the foreman.
    const named = { credential, id };
    const { onPreview } = input;
    const until = deps.now() + input.ms;
    const isOver = (state: RequestState) => input.until(state) || isTerminal(state);
    // A foreman that moves or restarts drops the watch: then it is watched anew.
    for (let watches = 0; watches < MAX_WATCHES && deps.now() < until; watches += 1) {
      const watch = await deps.foreman(credential.userId).watch({ ...named, onPreview });
      if (!watch) break;
      const ended = await nextThat(isOver, watch, {
        timeLeftMs: () => until - deps.now(),
        hungUp,
      });
      if (ended) return ended;
      if (hungUp.aborted) return known;
    }
    return get(named);
  };

  return {
    submit,
    submitAll,
    get,
    wait,

    async record({ userId, id }) {
      const answer = await deps.foreman(userId).recordOf(id);
      if (answer.outcome === 'found') return answer.state;
      if (answer.outcome === 'absent') return archived({ credential: { userId }, id });
      throw requestNotFound(id);
    },

    async replayOf(input) {
      const { credential } = input;
      const answer = await deps.foreman(credential.userId).replayOf(input);
      return answer && submitted(credential, answer);
    },

    async awaitEnd({ credential, submitted, ...holding }) {
      const { state } = submitted;
      if (holding.ms === 0 || isTerminal(state)) return submitted;
      try {
        const named = { credential, id: state.id };
        const ended = await wait({ ...named, ...holding, known: submitted, until: isTerminal });
        return { ...submitted, ...ended };
      } catch {
        return submitted;
      }
    },

    async watch({ credential, id, onPreview }) {
      const watch = await deps.foreman(credential.userId).watch({ credential, id, onPreview });
      if (!watch) await get({ credential, id });
      return watch;
    },

    async cancel(input) {
      const answer = await deps.foreman(input.credential.userId).cancel(input);
      if (answer.outcome === 'forbidden') throw deniedFault('forbidden', 'requests:write');
      return snapshotFrom(input, answer);
    },

    async remove(input) {
      const foreman = deps.foreman(input.credential.userId);
      let answer = await foreman.remove({ ...input, archived: null });
      if (answer.outcome === 'absent') {
        const { version, reuseKey } = await archived(input);
        answer = await foreman.remove({ ...input, archived: { version, reuseKey } });
      }
      if (answer.outcome === 'absent') throw requestNotFound(input.id);
      if (answer.outcome !== 'deleted') throw deniedFault(answer.outcome, 'requests:write');
    },

    async retry({ credential, id, ...context }) {
      const { state } = await get({ credential, id });
      if (!isTerminal(state)) throw notFinished(id);
      const now = deps.now();
      const again = retrySpec(state, {
        id: newId('req', now, cellOf(credential.userId)),
        createdAt: now,
      });
      const spec: RequestSpec = { ...again, ...context };
      const fingerprint = await fingerprintOf({ retry_of: id });
      // What it may cost is checked again for each attempt.
      return submit({ credential, spec, warnings: [], fingerprint });
    },

    list: (query) => fromIndex(deps.store.getPage(query), 'The list of requests'),
    count: (query) => fromIndex(deps.store.getCount(query), 'The list of requests'),
  };
}

/** Null when the time is over, the line was hung up or the watch was dropped. */
async function nextThat(
  holds: (state: RequestState) => boolean,
  watch: Watch,
  { timeLeftMs, hungUp }: { readonly timeLeftMs: () => number; readonly hungUp: AbortSignal },
): Promise<Snapshot | null> {
  hungUp.addEventListener('abort', watch.close, { once: true });
  if (hungUp.aborted) watch.close();
  try {
    for (;;) {
      const latest = await watch.next(Math.max(0, timeLeftMs()));
      if (latest === null || latest === 'timeout') return null;
      if (holds(latest.state)) return latest;
    }
  } finally {
    hungUp.removeEventListener('abort', watch.close);
    watch.close();
  }
}

async function fromIndex<T>(query: Promise<T>, what: string): Promise<T> {
  try {
    return await query;
  } catch (error) {
    throw unavailable(what, error);
  }
}
