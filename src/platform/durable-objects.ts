/** What the platform tells of an error that came from a Durable Object, and what follows from it. */
export interface ObjectFlags {
  readonly remote?: boolean;
  readonly retryable?: boolean;
  readonly overloaded?: boolean;
  readonly durableObjectReset?: boolean;
}

export const flagsOf = (error: unknown): ObjectFlags =>
  typeof error === 'object' && error !== null ? error : {};

/** The call was lost before or while the object moved. The runtime flags its own aborts like that, too. */
export function isWorthAnotherTry(error: unknown): boolean {
  const { durableObjectReset, retryable, overloaded } = flagsOf(error);
  return durableObjectReset === true || (retryable === true && !overloaded);
}
