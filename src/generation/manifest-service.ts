/** Manifests of images, signed as they are asked for: nothing of them is stored. */
import { CompactSign } from 'jose';
import { imageNotFound } from '../images/errors';
import type { ImageService } from '../images/service';
import { AppError } from '../platform/errors';
import type { RequestId, UserId } from '../platform/ids';
import type { PublicKey, SigningKeys } from '../platform/signing-keys';
import type { RequestService } from '../requests/service';
import { type Manifest, manifestOf, withoutBill } from './manifest';

/** One pair for the service: what is signed is of its own making, not of a client's. */
const PURPOSE = 'foreman.manifest.v1';
/** Tells a manifest from every other JWS, should one ever be signed by the same pair. */
const TYPE = 'foreman-manifest+jws';

export interface SignedManifest {
  readonly manifest: Manifest;
  /** RFC 7515, compact; its payload is the manifest. */
  readonly jws: string;
  /** Of the image, epoch ms. */
  readonly expiresAt: number;
}

export interface ManifestService {
  /**
   * @param viewer null behind a verified link, which does not open what the image has cost.
   * @throws AppError `not_found`, for an upload as well; `unavailable`.
   */
  get(input: { id: string; viewer: UserId | null; now: number }): Promise<SignedManifest>;
  keys(): Promise<readonly PublicKey[]>;
}

export function createManifestService(deps: {
  readonly images: Pick<ImageService, 'describe'>;
  readonly requests: Pick<RequestService, 'record'>;
  readonly signingKeys: SigningKeys;
}): ManifestService {
  const { images, requests, signingKeys } = deps;

  /** A request without its image, or no such request, says no more than that there is no image. */
  const manifestIn = async (of: { userId: UserId; id: RequestId }, imageId: string) => {
    try {
      return manifestOf(await requests.record(of), imageId);
    } catch (error) {
      if (error instanceof AppError && error.code === 'not_found') return null;
      throw error;
    }
  };

  return {
    async get(asking) {
      const { userId, requestId, expiresAt } = await images.describe(asking);
      if (requestId === null) throw uploadHasNone();
      const whole = await manifestIn({ userId, id: requestId }, asking.id);
      if (!whole) throw imageNotFound();
      const manifest = asking.viewer === null ? withoutBill(whole) : whole;
      const { privateKey, publicKey } = await signingKeys.pairFor(PURPOSE);
      const jws = await new CompactSign(new TextEncoder().encode(JSON.stringify(manifest)))
        .setProtectedHeader({ alg: publicKey.alg, kid: publicKey.kid, typ: TYPE })
        .sign(privateKey);
      return { manifest, jws, expiresAt };
    },

    keys: () => signingKeys.publicKeysFor(PURPOSE),
  };
}

const uploadHasNone = () =>
  new AppError(
    'not_found',
    'This image was brought by its user: how it was made is not known here, so it has no manifest.',
  );
