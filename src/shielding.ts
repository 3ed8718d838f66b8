/** Where the shield stands: before who asks is found out, and behind every answer that denies. */
import type { MiddlewareHandler } from 'hono';
import { isDenial } from './accounts/errors';
import type { App } from './app';
import type { Whence } from './platform/actor';
import type { AnswerNotes } from './platform/answer-notes';
import type { HttpEnv } from './platform/http';
import type { Purpose, Shield } from './platform/shield';

export function shieldRoutes(app: App, shield: Shield): void {
  const counting =
    (purpose: Purpose): MiddlewareHandler<HttpEnv> =>
    async (c, next) => {
      await shield.count(purpose, c.get('asking').from);
      await next();
    };
  const link = counting('link');
  app.use('/v1/admin/*', counting('admin'));
  for (const opened of ['/v1/images/:id/content', '/v1/images/:id/manifest']) {
    app.use(opened, (c, next) => (c.req.query('signature') === undefined ? next() : link(c, next)));
  }
  app.use('/.well-known/*', counting('keys'));
  app.use('/oauth/*', counting('oauth'));
}

/**
 * What a fault is answered with. A credential may be found wanting here or by its foreman: either
 * counts against the address, and beyond the limit the answer is that.
 */
export async function countedFault(
  fault: unknown,
  deps: {
    readonly shield: Shield;
    readonly answerNotes: AnswerNotes;
    /** Undefined when the request failed before it was known. */
    readonly from: Whence | undefined;
  },
): Promise<unknown> {
  if (!isDenial(fault)) return fault;
  deps.answerNotes.forget();
  if (fault.code !== 'unauthorized' || !deps.from) return fault;
  return deps.shield.count('auth', deps.from).then(
    () => fault,
    (tooMany: unknown) => tooMany,
  );
}
