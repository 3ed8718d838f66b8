/**
 * Our faults where apps look for the standard's words: a problem document may have members of others
 * (RFC 9457, section 3.2), and an app that finds no `error` takes it that its access is gone and
 * sends its user to the consent page once more.
 */
import type { ErrorDetails } from '../platform/errors';
import type { Problem } from '../platform/http';

/** Of apps, not of browsers: the consent page answers those. */
export const isForApps = (path: string) => path === '/oauth/token' || path === '/oauth/register';

export function inOAuthWords(problem: Problem, details: ErrorDetails): ErrorDetails {
  const { status, detail } = problem;
  const members = { error: errorFor(status), error_description: detail };
  return {
    ...details,
    extensions: { ...details.extensions, ...members },
    // Also of what is refused before these routes are reached, for apps that are pages.
    headers: { ...details.headers, 'access-control-allow-origin': '*' },
  };
}

function errorFor(status: number): string {
  if (status === 429 || status === 503) return 'temporarily_unavailable';
  return status >= 500 ? 'server_error' : 'invalid_request';
}
