/** OpenAI's Images API and its list of models, for clients that speak them already. */
import { OpenAPIHono } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { Authenticate } from '../accounts/authenticate';
import type { Catalog } from '../generation/catalog';
import { contextOf } from '../generation/submitting';
import { createDeadline, drain } from '../platform/bounds';
import { type HttpEnv, validationHook } from '../platform/http';
import { readIdempotencyKey } from '../requests/idempotency';
import { editsRoute, generationsRoute, modelRoute, modelsRoute, variationsRoute } from './contract';
import { notAnObject, noVariations } from './errors';
import { createForms } from './form';
import { presentModels, presentNamed } from './models-view';
import { answerCall, keepFiles, type OpenAiDeps } from './service';
import { readRetries } from './submit';
import { translate } from './translate';

/** Of an upload that is refused: twice the largest form and more, for clients that know no limit. */
const MAX_DRAINED_BYTES = 64 * 1024 * 1024;
/** As long for an answer that is known already as a client can be asked to wait: 6 MB/s make it. */
const DRAIN_TIMEOUT_MS = 10_000;

export interface OpenAiRouteDeps extends OpenAiDeps {
  readonly authenticate: Authenticate;
  readonly catalog: Catalog;
}

export function createOpenAiRoutes(deps: OpenAiRouteDeps): OpenAPIHono<HttpEnv> {
  const { authenticate, catalog } = deps;
  const forms = createForms();
  const app = new OpenAPIHono<HttpEnv>({ defaultHook: validationHook });

  // The official clients show it with every error.
  app.use('/openai/*', async (c, next) => {
    await next();
    c.header('X-Request-Id', c.get('correlationId'));
  });
  // A line that is closed in the middle of an upload is all that the client hears of the refusal.
  app.use('/openai/v1/images/*', async (c, next) => {
    const upload = c.req.raw;
    await next();
    if (!c.error) return;
    const deadline = createDeadline(DRAIN_TIMEOUT_MS, c.get('hungUp'));
    await drain(upload.body, { maxBytes: MAX_DRAINED_BYTES, deadline });
  });
  // Who asks comes before what is asked, as under /v1; and who may not read would wait in vain.
  app.use('/openai/v1/images/*', async (c, next) => {
    await authenticate.principal(c.get('asking'), 'requests:read');
    await next();
  });

  app.openapi(generationsRoute, async (c) => {
    const credential = await authenticate.credential(c.get('asking'));
    const body: unknown = await c.req.json();
    if (!isObject(body)) throw notAnObject();
    const { submission, wanted } = translate('generations', body, { isForm: false });
    return answerCall({ credential, submission, wanted, ...callOf(c) }, deps);
  });

  app.openapi(editsRoute, async (c) => {
    // Files are stored before admission: not for a key that is not known to be active.
    const credential = await authenticate.principal(c.get('asking'), 'requests:write');
    const from = { request: c.req.raw, hungUp: c.get('hungUp') };
    const { submission, wanted } = await forms.read(from, async (fields) => {
      const { files, ...translation } = translate('edits', fields, { isForm: true });
      const kept = await keepFiles({ credential, files }, deps);
      return { ...translation, submission: { ...translation.submission, ...kept } };
    });
    return answerCall({ credential, submission, wanted, ...callOf(c) }, deps);
  });

  app.openapi(variationsRoute, async (c) => {
    await authenticate.principal(c.get('asking'), 'requests:write');
    throw noVariations();
  });

  app.openapi(modelsRoute, async (c) => {
    await authenticate.principal(c.get('asking'), 'requests:read');
    return c.json(presentModels(catalog), 200);
  });

  app.openapi(modelRoute, async (c) => {
    await authenticate.principal(c.get('asking'), 'requests:read');
    return c.json(presentNamed(c.req.valid('param').model, catalog), 200);
  });

  return app;
}

const callOf = (c: Context<HttpEnv>) => ({
  context: {
    ...contextOf(c),
    idempotencyKey: readIdempotencyKey(c.req.header('idempotency-key')),
  },
  retries: readRetries(c.req.header('x-stainless-retry-count')),
  hungUp: c.get('hungUp'),
});

const isObject = (body: unknown): body is Record<string, unknown> =>
  typeof body === 'object' && body !== null && !Array.isArray(body);
