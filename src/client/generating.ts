/**
 * From a prompt to images, whatever breaks on the way. All tries of the submission have one and the same
 * idempotency key, so at most one request comes of them, and it is paid for once.
 *
 * **An abort** is not told to the call that submits: a call that is broken off may have arrived, and
 * nobody would know the id of what it made. It gets a moment for its answer. Should none come, the
 * submission is made once more with the same key: the answer is the request that the first one made, or
 * a new one if it never arrived, which then takes its key, so that the first one, should it come late,
 * finds it taken. Either is canceled. Nothing is submitted for that when all tries so far were refused,
 * or none was made. All of it together takes `CANCEL_LIMIT_MS` at the most; what could not be canceled
 * by then goes on, and its key collects it.
 *
 * **`timeoutMs`** is about the caller's patience and not about the request, so nothing is canceled.
 */
import { type Connection, dataOf, newKey } from './connection';
import { ConnectionFailed, GenerationFailed, WaitTimedOut } from './errors';
import { followFrom } from './following';
import { submitted } from './requests';
import { type Send, unlessAborted } from './retrying';
import {
  type ForemanRequest,
  hasEnded,
  type Image,
  type MakingOptions,
  type Submission,
} from './types';

export interface GenerateOptions extends MakingOptions {
  /** Called with every version that is seen, the first and the last included. */
  readonly onUpdate?: (request: ForemanRequest) => void;
  /** How long to wait for the end. The request goes on after it, and its key collects the result. */
  readonly timeoutMs?: number;
}

export interface Generated {
  readonly request: ForemanRequest;
  readonly images: Image[];
}

/** What canceling may take before the abort is answered. */
const CANCEL_LIMIT_MS = 5_000;
/** How much of it the answer of a submission that is under way may take. */
const ANSWER_GRACE_MS = 1_500;

export async function generate(
  connection: Connection,
  input: Submission,
  options: GenerateOptions = {},
): Promise<Generated> {
  const { idempotencyKey = newKey(), signal = never(), timeoutMs, onUpdate } = options;
  signal.throwIfAborted();
  const patience = timeoutMs === undefined ? never() : connection.surroundings.limit(timeoutMs);
  const ending = AbortSignal.any([signal, patience]);
  const submission = submit(connection, input, idempotencyKey);
  let request: ForemanRequest | null = null;
  try {
    request = await unlessAborted(submission.answer, ending);
    onUpdate?.(request);
    const from = { id: request.id, request, idempotencyKey };
    const versions = followFrom(connection, from, { signal: ending });
    for await (request of versions) onUpdate?.(request);
  } catch (error) {
    if (signal.aborted) {
      await cancel(connection, async (limit) => request ?? submission.made(limit));
      throw signal.reason;
    }
    submission.stop();
    if (patience.aborted) throw new WaitTimedOut({ idempotencyKey, request });
    throw error instanceof ConnectionFailed
      ? new ConnectionFailed(error.cause, idempotencyKey)
      : error;
  }
  if (request.status !== 'succeeded') throw new GenerationFailed(request);
  return { request, images: request.images };
}

function submit(connection: Connection, input: Submission, idempotencyKey: string) {
  const line = new AbortController();
  let mayHaveArrived = false;
  const noting =
    (send: Send): Send =>
    async (request) => {
      const before = mayHaveArrived;
      mayHaveArrived = true;
      const response = await send(request);
      if (response.status >= 400 && response.status < 500) mayHaveArrived = before;
      return response;
    };
  const fetch = connection.through(noting);
  const post = async (signal: AbortSignal): Promise<ForemanRequest> => {
    const params = { header: { 'idempotency-key': idempotencyKey } };
    const call = connection.http.POST('/v1/requests', { body: input, params, signal, fetch });
    return submitted(await dataOf(call, idempotencyKey));
  };
  const answer = post(line.signal);
  // Whoever waits for it may have gone by the time it fails.
  const answered = answer.catch(() => null);

  return {
    answer,
    stop: () => line.abort(),
    /** For who gives up: what came of it, as the head of this file says; null when nothing did. */
    async made(limit: AbortSignal): Promise<ForemanRequest | null> {
      const grace = connection.surroundings.pause(ANSWER_GRACE_MS, line.signal).then(() => null);
      const request = await Promise.race([answered, grace]);
      line.abort();
      return request ?? (mayHaveArrived ? post(limit) : null);
    },
  };
}

/** Never throws: the caller hears of the abort, and not of what became of this. */
async function cancel(
  connection: Connection,
  find: (limit: AbortSignal) => Promise<ForemanRequest | null>,
): Promise<void> {
  const limit = connection.surroundings.limit(CANCEL_LIMIT_MS);
  try {
    const request = await find(limit);
    if (request === null || hasEnded(request)) return;
    const params = { path: { id: request.id } };
    await connection.http.POST('/v1/requests/{id}/cancel', { params, signal: limit });
  } catch {
    // The request goes on, and its key collects it.
  }
}

/** One for each call: what listens to it goes with it. */
const never = () => new AbortController().signal;
