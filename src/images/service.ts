/** The life of an image: stored under its attempt's lease or brought by its user, served, swept. */
import { createImageReader, type ImageReader } from './reader';
import {
  type NewImages,
  removeImages,
  type StoreResult,
  type StoringDeps,
  storeImages,
} from './storing';
import { sweepAll } from './sweep';
import { createUploads, type Uploads, type UploadsDeps } from './uploads';

export interface ImageService extends ImageReader, Uploads {
  /**
   * Takes in the images of one attempt, checks them on the way and puts them, again and again while
   * R2 fails; nothing is generated again for it. All or none.
   */
  store(input: NewImages): Promise<StoreResult>;
  /** For an attempt that was settled without its images. Never throws: the sweep comes after it. */
  removeAttempt(input: Parameters<typeof removeImages>[0]): Promise<void>;
  /** Bounded and safe to repeat. @returns how many images it deleted. */
  sweepExpired(input: { now: number }): Promise<number>;
}

export function createImageService(deps: StoringDeps & UploadsDeps): ImageService {
  return {
    ...createImageReader(deps),
    ...createUploads(deps),
    store: (input) => storeImages(input, deps),
    removeAttempt: (input) => removeImages(input, deps),
    sweepExpired: ({ now }) => sweepAll(deps.store, now),
  };
}
