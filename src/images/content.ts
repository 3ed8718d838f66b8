/**
 * The answer that carries an image's bytes. They were made by a third party from a stranger's prompt:
 * no browser may take them for anything but the image they are.
 */
import type { Credential } from '../accounts/types';
import type { ImageFacts } from './objects';
import type { OpenedImage } from './reader';
import type { MediaType } from './types';

/** What the owner's own cache may keep of an image that was deleted. */
const KEY_MAX_AGE_SECONDS = 3_600;
/** How long a deleted image may still come out of a shared cache; more would spare more requests. */
const LINK_MAX_AGE_SECONDS = 60;

const extensions: Record<MediaType, string> = {
  'image/png': 'png',
  'image/jpeg': 'jpg',
  'image/webp': 'webp',
  'image/gif': 'gif',
};

/** What opened the image; a link ends at a time, in epoch ms. */
export type Opener =
  | { readonly via: Credential['via'] }
  | { readonly via: 'link'; readonly expiresAt: number };

export function contentResponse(opened: OpenedImage, opener: Opener, now: number): Response {
  const { facts } = opened;
  const headers = new Headers({
    etag: facts.etag,
    'last-modified': new Date(facts.createdAt).toUTCString(),
    'accept-ranges': 'bytes',
    'cache-control': cacheControl(facts, opener, now),
    'x-content-type-options': 'nosniff',
    'content-security-policy': "default-src 'none'; sandbox",
    'cross-origin-resource-policy': 'cross-origin',
  });
  if (opener.via !== 'link') headers.set('vary', 'Authorization');
  if (opened.answer === 'not_modified') return new Response(null, { status: 304, headers });
  headers.set('content-type', facts.mediaType);
  headers.set(
    'content-disposition',
    `inline; filename="${facts.id}.${extensions[facts.mediaType]}"`,
  );
  if (opened.answer === 'whole') {
    headers.set('content-length', String(facts.bytes));
    return new Response(opened.body, { status: 200, headers });
  }
  const { offset, length } = opened.range;
  headers.set('content-length', String(length));
  headers.set('content-range', `bytes ${offset}-${offset + length - 1}/${facts.bytes}`);
  return new Response(opened.body, { status: 206, headers });
}

/** No cache keeps an image beyond its own end or its link's. */
function cacheControl(facts: ImageFacts, opener: Opener, now: number): string {
  const maxAge = (limit: number, endsAt: number) =>
    `max-age=${Math.max(0, Math.min(limit, Math.floor((endsAt - now) / 1000)))}`;
  switch (opener.via) {
    case 'link': {
      const endsAt = Math.min(facts.expiresAt, opener.expiresAt);
      return `public, ${maxAge(LINK_MAX_AGE_SECONDS, endsAt)}`;
    }
    case 'key':
      return `private, ${maxAge(KEY_MAX_AGE_SECONDS, facts.expiresAt)}`;
    // Whoever signs in next has the same browser, and what told them apart was added behind it.
    case 'token':
      return 'private, no-cache';
  }
}
