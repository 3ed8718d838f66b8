/** What every route that takes submissions reads of the HTTP request. */
import type { Context } from 'hono';
import type { Authenticate } from '../accounts/authenticate';
import type { HttpEnv } from '../platform/http';
import type { SubmissionBody } from './submission';

/** Inputs are stored before admission: not for a key that is not known to be active. */
export function credentialFor(
  authenticate: Authenticate,
  c: Context<HttpEnv>,
  bodies: readonly SubmissionBody[],
) {
  const hasInputs = bodies.some(({ image, mask }) => image !== undefined || mask !== undefined);
  return hasInputs
    ? authenticate.principal(c.get('asking'), 'requests:write')
    : authenticate.credential(c.get('asking'));
}

export const contextOf = (c: Context<HttpEnv>) => ({
  origin: c.get('origin'),
  correlationId: c.get('correlationId'),
  traceparent: c.get('traceparent'),
});
