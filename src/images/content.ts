/**
 * The answer that carries an image's bytes. They were made by a third party from a stranger's prompt:
 * no browser may take them for anything but the image they are.
 */
import type { Credential } from '../accounts/types';
import { dispositionOf } from './disposition';
import type { ServedFacts } from './reader';
import type { ServedImage } from './serving';
import { SHARED_MAX_AGE_SECONDS } from './shared-cache';

/** What the owner's own cache may keep of an image that was deleted. */
const KEY_MAX_AGE_SECONDS = 3_600;
/** What opened the image; a link ends at a time, in epoch ms. */
export type Opener =
  | { readonly via: Credential['via'] }
  | { readonly via: 'link'; readonly expiresAt: number };

export function contentResponse(
  opened: ServedImage,
  input: { readonly opener: Opener; readonly download: string | null; readonly now: number },
): Response {
  const { facts } = opened;
  const { opener } = input;
  const headers = new Headers({
    etag: facts.etag,
    'last-modified': new Date(facts.createdAt).toUTCString(),
    'accept-ranges': 'bytes',
    'cache-control': cacheControl(opened, input),
    'x-content-type-options': 'nosniff',
    'content-security-policy': "default-src 'none'; sandbox",
    'cross-origin-resource-policy': 'cross-origin',
  });
  if (opener.via !== 'link') headers.set('vary', 'Authorization');
  if (opened.answer === 'not_modified') return new Response(null, { status: 304, headers });
  headers.set('content-type', facts.mediaType);
  headers.set('content-disposition', dispositionOf(facts, input.download));
  if (opened.answer === 'whole') {
    headers.set('content-length', String(facts.bytes));
    return new Response(opened.body, { status: 200, headers });
  }
  const { offset, length } = opened.range;
  headers.set('content-length', String(length));
  headers.set('content-range', `bytes ${offset}-${offset + length - 1}/${facts.bytes}`);
  return new Response(opened.body, { status: 206, headers });
}

/** No cache keeps an image beyond its own end or its link's, nor one that may be gone for a minute. */
function cacheControl(
  { facts, readAt }: { readonly facts: ServedFacts; readonly readAt: number },
  { opener, now }: { readonly opener: Opener; readonly now: number },
): string {
  const maxAge = (...ends: readonly number[]) =>
    `max-age=${Math.max(0, Math.floor((Math.min(facts.expiresAt, ...ends) - now) / 1000))}`;
  switch (opener.via) {
    case 'link':
      return `public, ${maxAge(opener.expiresAt, readAt + SHARED_MAX_AGE_SECONDS * 1000)}`;
    case 'key':
      return `private, ${maxAge(now + KEY_MAX_AGE_SECONDS * 1000)}`;
    // Whoever signs in next has the same browser, and what told them apart was added behind it.
    case 'token':
    case 'ticket':
    case 'grant':
      return 'private, no-cache';
  }
}
