/** What the platform tells of an error that came from a Durable Object, and what follows from it. */
export interface ObjectFlags {
  readonly remote?: boolean;
  readonly retryable?: boolean;
  readonly overloaded?: boolean;
  readonly durableObjectReset?: boolean;
}

export const flagsOf = (error: unknown): ObjectFlags =>
  typeof error === 'object' && error !== null ? error : {};

/** Thrown by our own code in the object; anything else is the way there. */
export function isThrownInside(error: unknown): boolean {
  const { remote, retryable, overloaded, durableObjectReset } = flagsOf(error);
  return remote === true && !retryable && !overloaded && !durableObjectReset;
}

/**
 * A call that is safe to replay, made once more if the platform lost it. It takes a fresh stub each
 * time: one of an object that was reset stays broken.
 * @throws what `faultOf` makes of the last error.
 */
export async function withAnotherTry<T>(
  call: () => Promise<T>,
  faultOf: (error: unknown) => unknown,
): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (!isWorthAnotherTry(error)) throw faultOf(error);
  }
  return call().catch((error: unknown) => {
    throw faultOf(error);
  });
}

/** The call was lost before or while the object moved. The runtime flags its own aborts like that, too. */
export function isWorthAnotherTry(error: unknown): boolean {
  const { durableObjectReset, retryable, overloaded } = flagsOf(error);
  return durableObjectReset === true || (retryable === true && !overloaded);
}
