/**
 * How everything else reaches a target's breaker. A call that the platform lost before or while the
 * object moved is made once more with a fresh stub; every method is safe to replay, as each names its
 * permit or the start of its call.
 */
import { createDeadline } from '../../platform/bounds';
import { isWorthAnotherTry } from '../../platform/durable-objects';
import type { TargetName } from '../../requests/types';
import type { Breaker } from './object';

export type BreakerEnv = Pick<Env, 'BREAKER'>;
export type Call<T> = (breaker: DurableObjectStub<Breaker>) => Promise<T>;

/** @throws what the call threw, or an AbortError when time is up. */
export async function callBreaker<T>(
  env: BreakerEnv,
  { name, timeoutMs }: { readonly name: TargetName; readonly timeoutMs: number },
  call: Call<T>,
): Promise<T> {
  const deadline = createDeadline(timeoutMs);
  const once = () => deadline.race(call(env.BREAKER.getByName(name)));
  try {
    return await once().catch((error: unknown) => {
      // The runtime flags its own aborts as retryable, too.
      if (deadline.signal.aborted || !isWorthAnotherTry(error)) throw error;
      return once();
    });
  } finally {
    deadline.clear();
  }
}
