/**
 * How everything else reaches a user's foreman. A call that the platform lost before or while the
 * object moved is made once more with a fresh stub; every method is safe to replay, as each names
 * its request, release or token.
 */
import { flagsOf, isWorthAnotherTry } from '../platform/durable-objects';
import { AppError } from '../platform/errors';
import type { UserId } from '../platform/ids';
import { consoleLogger } from '../platform/log';
import type { Foreman, Heard } from './object';

const methods = [
  'submit',
  'submitAll',
  'replayOf',
  'read',
  'cancel',
  'remove',
  'deliveriesOf',
  'claim',
  'renew',
  'settle',
  'keepJob',
  'nudge',
  'claimAbandoned',
  'forgetAbandoned',
  'deadLetter',
  'revive',
  'claimDelivery',
  'settleDelivery',
  'pullNews',
  'confirmNews',
  'recheck',
  'createAccount',
  'getAccount',
  'changeAccount',
  'addKey',
  'revokeKey',
  'listKeys',
  'authorize',
  'me',
  'defaultWebhookSecret',
] as const satisfies readonly (keyof Foreman)[];
type Method = (typeof methods)[number];

/** The object's methods as they look from outside: each answers with a promise of plain data. */
export type RemoteForeman = {
  readonly [M in Method]: (
    ...args: Parameters<Foreman[M]>
  ) => Promise<Told<ReturnType<Foreman[M]>>>;
};
type Told<Answer> = Awaited<Answer> extends Heard<infer T> ? T : Awaited<Answer>;

/** Is given what every answer to a client says of the user's rate limit. */
export type Note = (rateLimit: Heard<unknown>['rateLimit']) => void;

export function stubOf(env: Pick<Env, 'FOREMAN'>, userId: UserId): DurableObjectStub<Foreman> {
  return env.FOREMAN.getByName(userId);
}

export function foremanFor(
  env: Pick<Env, 'FOREMAN'>,
  userId: UserId,
  note: Note = () => {},
): RemoteForeman {
  const remote = methods.map((method) => {
    const call = (...args: unknown[]) => callOf(stubOf(env, userId), method)(...args);
    const ask = async (...args: unknown[]) => {
      const answer = await withAnotherTry(() => call(...args));
      if (!isHeard(answer)) return answer;
      note(answer.rateLimit);
      return answer.answer;
    };
    return [method, ask] as const;
  });
  // One entry per method name, each passing its arguments on as they are.
  return Object.fromEntries(remote) as unknown as RemoteForeman;
}

/** No answer but `Heard` has a member of this name. */
const isHeard = (answer: unknown): answer is Heard<unknown> =>
  typeof answer === 'object' && answer !== null && 'rateLimit' in answer;

/** The object's one HTTP call, with the same other try. */
export function fetchForeman(
  env: Pick<Env, 'FOREMAN'>,
  userId: UserId,
  request: () => Request,
): Promise<Response> {
  return withAnotherTry(() => stubOf(env, userId).fetch(request()));
}

/** The stub's own types are too deep for the compiler to follow over a union of methods. */
function callOf(stub: DurableObjectStub<Foreman>, method: Method) {
  return (...args: unknown[]) =>
    (stub as unknown as Record<Method, (...args: unknown[]) => Promise<unknown>>)[method](...args);
}

/** @throws AppError `unavailable` when the object cannot be reached; its own faults as they are. */
async function withAnotherTry<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (!isWorthAnotherTry(error)) throw asFault(error);
  }
  return call().catch((error: unknown) => {
    throw asFault(error);
  });
}

/** A fault thrown by our own code in the object is ours; anything else is the way there. */
function asFault(error: unknown): unknown {
  const { remote, retryable, overloaded, durableObjectReset } = flagsOf(error);
  if (remote && !retryable && !overloaded && !durableObjectReset) return error;
  consoleLogger.warn('foreman.unreachable', { error });
  const message =
    'The service cannot be reached right now. With an Idempotency-Key it is safe to try again.';
  return new AppError('unavailable', message, { retryAfterMs: 2_000 });
}
