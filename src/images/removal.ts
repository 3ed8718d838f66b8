/**
 * Deletes one image for good. Its bytes go first: while they cannot, nothing is changed. Then its
 * request's record ceases to show it, by the foreman, which is the authority on it. What dies in
 * between leaves a record that shows an image which is gone; the same call again mends it.
 */
import { deniedFault } from '../accounts/errors';
import type { Credential, Denial } from '../accounts/types';
import type { RequestId } from '../platform/ids';
import type { Logger } from '../platform/log';
import { unavailable } from '../requests/errors';
import type { RequestState } from '../requests/types';
import { until } from './arrival';
import { imageNotDeleted, imageNotFound } from './errors';
import { imageIdOf, type Place, placeOf } from './keys';
import type { ImageStore } from './store';
import { CALL_TIMEOUT_MS } from './taking';
import type { ImageId, ImagePlace, UploadPlace } from './types';

type Denied = { readonly outcome: Denial };

export interface OfRequest {
  readonly credential: Credential;
  readonly requestId: RequestId;
  readonly imageId: ImageId;
  /** What D1 holds of a request that has left the foreman. */
  readonly archived: RequestState | null;
}
/** `archived`: the request has left for D1, and is to be brought along. */
export type RequestImageAnswer = { readonly outcome: 'found' | 'missing' | 'archived' };

/** The calls of the user's foreman that this makes. */
export interface ImageForeman {
  findImage(input: OfRequest): Promise<RequestImageAnswer | Denied>;
  /** `found`: it was there, and the record shows it no more. */
  forgetImage(input: OfRequest): Promise<RequestImageAnswer | Denied>;
  recordDeletedUpload(input: {
    readonly credential: Credential;
    readonly imageId: ImageId;
  }): Promise<{ readonly outcome: 'recorded' } | Denied>;
}

export interface ImageRemoval {
  /** @throws AppError `not_found` (malformed, unknown, another's, past its time), `unavailable`. */
  remove(input: { credential: Credential; id: string }): Promise<void>;
}

export interface ImageRemovalDeps {
  readonly foreman: (userId: Credential['userId']) => ImageForeman;
  readonly archive: {
    getOne(input: {
      userId: Credential['userId'];
      id: RequestId;
    }): Promise<RequestState | 'deleted' | null>;
  };
  readonly store: Pick<ImageStore, 'headImage' | 'deleteImage' | 'deleteRows'>;
  /** Never throws. */
  readonly forgetCached: (place: Place) => Promise<void>;
  readonly now: () => number;
  readonly log: Logger;
}

const SCOPE = 'requests:write';
/** For what is only sooner done than by the projector. */
const INDEX_TIMEOUT_MS = 2_000;

export function createImageRemoval(deps: ImageRemovalDeps): ImageRemoval {
  return {
    async remove({ credential, id }) {
      const place = placeOf(id);
      if (!place) throw imageNotFound();
      if ('requestId' in place) await removeMade(place, credential, deps);
      else await removeUpload(place, credential, deps);
    },
  };
}

async function removeMade(
  place: ImagePlace,
  credential: Credential,
  deps: ImageRemovalDeps,
): Promise<void> {
  const imageId = imageIdOf(place);
  const { requestId } = place;
  const foreman = deps.foreman(credential.userId);
  const of = { credential, requestId, imageId };
  const ask = async (call: (input: OfRequest) => Promise<RequestImageAnswer | Denied>) => {
    const answer = await call({ ...of, archived: null });
    if (answer.outcome !== 'archived') return granted(answer);
    return granted(await call({ ...of, archived: await archivedOf(of, deps) }));
  };
  if ((await ask(foreman.findImage)).outcome !== 'found') throw imageNotFound();
  await deleteBytes(place, deps);
  // Whoever has come before, or this call before its answer was lost, did the same.
  await ask(foreman.forgetImage);
  // The projector does it too, a moment later and for certain.
  const row = deps.store.deleteRows([imageId]);
  await until(AbortSignal.timeout(INDEX_TIMEOUT_MS), row).catch((error) => {
    deps.log.warn('image.row_left', { image_id: imageId, error });
  });
}

async function archivedOf(
  { credential, requestId }: Pick<OfRequest, 'credential' | 'requestId'>,
  { archive }: ImageRemovalDeps,
): Promise<RequestState> {
  const { userId } = credential;
  const state = await archive.getOne({ userId, id: requestId }).catch((error) => {
    throw unavailable('The request of this image', error);
  });
  if (state === null || state === 'deleted') throw imageNotFound();
  return state;
}

async function removeUpload(
  place: UploadPlace,
  credential: Credential,
  deps: ImageRemovalDeps,
): Promise<void> {
  if (place.userId !== credential.userId) throw imageNotFound();
  const facts = await reach(deps.store.headImage(place));
  if (!facts || facts.expiresAt <= deps.now()) throw imageNotFound();
  await deleteBytes(place, deps);
  const imageId = imageIdOf(place);
  granted(await deps.foreman(credential.userId).recordDeletedUpload({ credential, imageId }));
}

async function deleteBytes(place: Place, deps: ImageRemovalDeps): Promise<void> {
  await reach(deps.store.deleteImage(place));
  await deps.forgetCached(place);
}

async function reach<T>(work: Promise<T>): Promise<T> {
  try {
    return await until(AbortSignal.timeout(CALL_TIMEOUT_MS), work);
  } catch (error) {
    throw imageNotDeleted(error);
  }
}

function granted<T extends { readonly outcome: string }>(answer: T | Denied): T {
  if (isDenied(answer)) throw deniedFault(answer.outcome, SCOPE);
  return answer;
}

const denials: readonly string[] = ['unauthorized', 'forbidden', 'account_suspended'];

const isDenied = (answer: { readonly outcome: string }): answer is Denied =>
  denials.includes(answer.outcome);
