/**
 * Where a provider tells that an attempt's job has ended. The signature in the URL is all that is
 * trusted; what the call says is not read, as the job itself is asked at once.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { RequestId, UserId } from '../platform/ids';

export interface CallbackPlace {
  readonly userId: UserId;
  readonly requestId: RequestId;
  /** Number of the attempt. */
  readonly attempt: number;
}

export function callbackUrl(
  place: CallbackPlace & { readonly origin: string; readonly secret: string },
): string {
  const { origin, userId, requestId, attempt } = place;
  const signature = signatureOf(place, place.secret);
  return `${origin}/v1/callbacks/${userId}/${requestId}/${attempt}?signature=${signature}`;
}

export function isGenuine(
  place: CallbackPlace & { readonly signature: string; readonly secret: string },
): boolean {
  const expected = Buffer.from(signatureOf(place, place.secret));
  const given = Buffer.from(place.signature);
  return given.length === expected.length && timingSafeEqual(given, expected);
}

/** The purpose goes into the signature, as links to images are signed with the same secret. */
function signatureOf({ userId, requestId, attempt }: CallbackPlace, secret: string): string {
  return createHmac('sha256', secret)
    .update(`callback\n${userId}\n${requestId}\n${attempt}`)
    .digest('base64url');
}
