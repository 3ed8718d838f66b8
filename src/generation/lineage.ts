/** What a submission takes over from the request that it varies, and who is to blame for it. */
import type { Credential } from '../accounts/types';
import { AppError } from '../platform/errors';
import { isId } from '../platform/ids';
import type { JsonObject } from '../platform/json';
import type { RequestService } from '../requests/service';
import type { RequestState } from '../requests/types';
import { inputOf } from './decide';
import { invalidGeneration } from './errors';
import type { Defaults, Filled } from './submission';

/** @throws AppError `invalid_request` when the user has no such request. */
export async function findRequest(
  requests: Pick<RequestService, 'get'>,
  of: { credential: Credential; path: string; id: string | undefined },
): Promise<RequestState | null> {
  const { credential, path, id } = of;
  if (id === undefined) return null;
  const missing = () => invalidGeneration([{ path, message: 'there is no such request' }]);
  if (!isId('req', id)) throw missing();
  try {
    return (await requests.get({ credential, id })).state;
  } catch (error) {
    throw error instanceof AppError && error.code === 'not_found' ? missing() : error;
  }
}

/** What a variation takes over. A seed of its own is what makes it one; who listens is another. */
export function originalOf(state: RequestState): Defaults {
  const { seed: _, style: __, styled: ___, previews: ____, ...input } = inputOf(state);
  return { ...(input as unknown as JsonObject), model: state.model };
}

/** Fields that are as the original had them: neither the client nor a style of its own said them. */
export function inheritedFields(
  { input }: Filled,
  from: { readonly original: Defaults; readonly said: readonly Defaults[] },
): ReadonlySet<string> {
  const isSaid = (name: string) => from.said.some((layer) => name in layer);
  const names = [...Object.keys(input), 'model'];
  return new Set(names.filter((name) => name in from.original && !isSaid(name)));
}

/** A client is told of a field that it wrote: what came with the original is the original's fault. */
export async function blamingOriginal<T>(
  inherited: ReadonlySet<string>,
  work: () => T | Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (fault) {
    throw fault instanceof AppError ? atOriginal(fault, inherited) : fault;
  }
}

function atOriginal(fault: AppError, inherited: ReadonlySet<string>): AppError {
  const { errors = [] } = fault.details;
  const isInherited = ({ path }: { path: string }) => inherited.has(path.split('.')[0] ?? '');
  if (!errors.some(isInherited)) return fault;
  const blamed = errors.map((error) =>
    isInherited(error)
      ? { path: 'variations_of', message: `its ${error.path}: ${error.message}` }
      : error,
  );
  if (fault.code === 'invalid_request') return invalidGeneration(blamed);
  return new AppError(fault.code, fault.message, { ...fault.details, errors: blamed });
}
