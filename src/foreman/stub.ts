/**
 * How everything else reaches a user's foreman. A call that the platform lost before or while the
 * object moved is made once more with a fresh stub; every method is safe to replay, as each names
 * its request, release or token.
 */
import type { Region } from '../accounts/types';
import { isThrownInside, withAnotherTry } from '../platform/durable-objects';
import { AppError } from '../platform/errors';
import { cellOf, type UserId } from '../platform/ids';
import { consoleLogger } from '../platform/log';
import { type CallAnswer, type CallInput, type CallName, clientCalls } from './calls';
import type { Denied } from './intake';
import type { Foreman, Heard } from './object';

const methods = [
  'submit',
  'submitAll',
  'replayOf',
  'read',
  'recordOf',
  'cancel',
  'remove',
  'claim',
  'renew',
  'settle',
  'preview',
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
  'changeStatus',
  'beginDeletion',
  'getDeletion',
  'claimDeletion',
  'reportDeletion',
  'addKey',
  'rotateKey',
  'revokeKey',
  'listKeys',
  'forgetGrant',
  'authorize',
] as const satisfies readonly (keyof Foreman)[];
type Method = (typeof methods)[number];
const callNames = Object.keys(clientCalls) as CallName[];

/** The object's methods as they look from outside: each answers with a promise of plain data. */
export type RemoteForeman = {
  readonly [M in Method]: (
    ...args: Parameters<Foreman[M]>
  ) => Promise<Told<ReturnType<Foreman[M]>>>;
} & {
  readonly [N in CallName]: (input: CallInput<N>) => Promise<CallAnswer<N> | Denied>;
};
type Told<Answer> = Awaited<Answer> extends Heard<infer T> ? T : Awaited<Answer>;

/** Is given what every answer to a client says of the user's rate limit. */
export type Note = (rateLimit: Heard<unknown>['rateLimit']) => void;

export type ForemanEnv = Pick<Env, 'FOREMAN' | 'ENVIRONMENT'>;

/**
 * The same name in another jurisdiction is another object, so the id alone decides. The region is
 * where Cloudflare makes an object that is not there yet, as far as it can; later it means nothing.
 */
export function stubOf(
  env: ForemanEnv,
  userId: UserId,
  region: Region | null = null,
): DurableObjectStub<Foreman> {
  const isInUnion = cellOf(userId) === 'e';
  // Local workerd has no jurisdictions and throws when asked for one.
  const isRestricted = isInUnion && env.ENVIRONMENT !== 'local';
  const namespace = isRestricted ? env.FOREMAN.jurisdiction('eu') : env.FOREMAN;
  return namespace.getByName(userId, region === null ? {} : { locationHint: region });
}

export function foremanFor(env: ForemanEnv, userId: UserId, note: Note = () => {}): RemoteForeman {
  const reach =
    (method: Method | 'ask') =>
    async (...args: unknown[]) => {
      const call = () => callOf(stubOf(env, userId, regionIn(method, args)), method)(...args);
      const answer = await withAnotherTry(call, asFault);
      if (!isHeard(answer)) return answer;
      note(answer.rateLimit);
      return answer.answer;
    };
  const ask = reach('ask');
  const remote = [
    ...methods.map((method) => [method, reach(method)] as const),
    ...callNames.map((name) => [name, (input: unknown) => ask(name, input)] as const),
  ];
  // One entry per name, each passing its arguments on as they are.
  return Object.fromEntries(remote) as unknown as RemoteForeman;
}

/** A hint is taken by the first call that an object ever gets, and later ones need none. */
function regionIn(method: Method | 'ask', args: readonly unknown[]): Region | null {
  if (method !== 'createAccount') return null;
  const [{ account }] = args as Parameters<Foreman['createAccount']>;
  return account.region;
}

/** No answer but `Heard` has a member of this name. */
const isHeard = (answer: unknown): answer is Heard<unknown> =>
  typeof answer === 'object' && answer !== null && 'rateLimit' in answer;

/** The object's one HTTP call, with the same other try. */
export function fetchForeman(
  env: ForemanEnv,
  userId: UserId,
  request: () => Request,
): Promise<Response> {
  return withAnotherTry(() => stubOf(env, userId).fetch(request()), asFault);
}

/** The stub's own types are too deep for the compiler to follow over a union of methods. */
function callOf(stub: DurableObjectStub<Foreman>, method: Method | 'ask') {
  return (...args: unknown[]) =>
    (stub as unknown as Record<typeof method, (...args: unknown[]) => Promise<unknown>>)[method](
      ...args,
    );
}

/** `unavailable` when the object cannot be reached; its own faults as they are. */
function asFault(error: unknown): unknown {
  if (isThrownInside(error)) return error;
  consoleLogger.warn('foreman.unreachable', { error });
  const message =
    'The service cannot be reached right now. With an Idempotency-Key it is safe to try again.';
  return new AppError('unavailable', message, { retryAfterMs: 2_000 });
}
