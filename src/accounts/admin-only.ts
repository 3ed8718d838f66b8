/** Stands before every route of the operator's, and says who is acting. */
import type { MiddlewareHandler } from 'hono';
import type { HttpEnv } from '../platform/http';
import type { Authenticate } from './authenticate';

/** Before the body is read: a stranger learns nothing about its validity. */
export function adminOnly(authenticate: Pick<Authenticate, 'admin'>): MiddlewareHandler<HttpEnv> {
  return async (c, next) => {
    c.set('by', await authenticate.admin(c.get('asking')));
    await next();
  };
}
