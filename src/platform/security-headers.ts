/**
 * What every answer tells a browser that may have been led to open it: nothing of it is to be run,
 * framed or guessed at. An answer that needs other words brings its own.
 */

/** JSON, problems, event streams: nothing in them loads or runs anything. */
const NOTHING = "default-src 'none'; frame-ancestors 'none'";
/** For a page whose own style stands in it. */
export const STYLED_PAGE_POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; " +
  "frame-ancestors 'none'";

/**
 * For such a page with a form of its own. Browsers hold where a form's answer redirects to against
 * `form-action` too, hop by hop, so `targets` has to name all of that.
 */
export const formPagePolicy = (targets: readonly string[]): string =>
  STYLED_PAGE_POLICY.replace("form-action 'none'", `form-action 'self' ${targets.join(' ')}`);

const always: Readonly<Record<string, string>> = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'content-security-policy': NOTHING,
  'cross-origin-resource-policy': 'same-origin',
  'x-frame-options': 'DENY',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
};

/** A year. Not for subdomains: they may be someone else's. */
const HTTPS_ONLY = 'max-age=31536000';

/** @param headers of an answer that may be changed. What they say already stays. */
export function addSecurityHeaders(headers: Headers, origin: string): void {
  for (const [name, value] of Object.entries(always)) {
    if (!headers.has(name)) headers.set(name, value);
  }
  if (origin.startsWith('https:')) headers.set('strict-transport-security', HTTPS_ONLY);
}
