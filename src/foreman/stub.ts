/**
 * How everything else reaches a user's foreman. A call that the platform lost before or while the
 * object moved is made once more with a fresh stub; every method is safe to replay, as each names
 * its request, release or token.
 */
import type { UserId } from '../platform/ids';
import type { Foreman } from './object';

const methods = [
  'submit',
  'read',
  'cancel',
  'remove',
  'deliveriesOf',
  'claim',
  'renew',
  'settle',
  'deadLetter',
  'claimDelivery',
  'settleDelivery',
  'pullNews',
  'confirmNews',
  'recheck',
  'createAccount',
  'getAccount',
  'changeLimits',
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
  ) => Promise<Awaited<ReturnType<Foreman[M]>>>;
};

export function stubOf(env: Pick<Env, 'FOREMAN'>, userId: UserId): DurableObjectStub<Foreman> {
  return env.FOREMAN.getByName(userId);
}

export function foremanFor(env: Pick<Env, 'FOREMAN'>, userId: UserId): RemoteForeman {
  const remote = methods.map((method) => {
    const call = (...args: unknown[]) => callOf(stubOf(env, userId), method)(...args);
    return [method, (...args: unknown[]) => withAnotherTry(() => call(...args))] as const;
  });
  // One entry per method name, each passing its arguments on as they are.
  return Object.fromEntries(remote) as unknown as RemoteForeman;
}

/** The stub's own types are too deep for the compiler to follow over a union of methods. */
function callOf(stub: DurableObjectStub<Foreman>, method: Method) {
  return (...args: unknown[]) =>
    (stub as unknown as Record<Method, (...args: unknown[]) => Promise<unknown>>)[method](...args);
}

async function withAnotherTry<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (!isWorthAnotherTry(error)) throw error;
    return call();
  }
}

function isWorthAnotherTry(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  const flags = error as {
    retryable?: boolean;
    overloaded?: boolean;
    durableObjectReset?: boolean;
  };
  return flags.durableObjectReset === true || (flags.retryable === true && !flags.overloaded);
}
