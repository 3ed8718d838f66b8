/** The HTTP surface: middleware order, feature mounts, the OpenAPI document, and error mapping. */
import { OpenAPIHono } from '@hono/zod-openapi';
import { HTTPException } from 'hono/http-exception';
import { createAccountRoutes } from './accounts/routes';
import { docsPage } from './docs';
import { createGenerationRoutes } from './generation/routes';
import { createHealthRoutes } from './health';
import { createImageRoutes } from './images/routes';
import { AppError } from './platform/errors';
import { type HttpEnv, problemResponse, requestContext } from './platform/http';
import { securitySchemes } from './platform/openapi';
import { problemFor } from './problems';
import { createRequestRoutes } from './requests/routes';
import type { Services } from './services';
import { createWebhookRoutes } from './webhooks/routes';

export type App = OpenAPIHono<HttpEnv>;

export function createApp(services: Services): App {
  const { authenticate, accounts, requests, present, catalog, generation } = services;
  const { images, webhooks } = services;
  const { settings, log, now } = services;
  const app = new OpenAPIHono<HttpEnv>();

  app.use(async (c, next) => {
    const startedAt = now();
    await next();
    c.header('X-Correlation-Id', c.get('correlationId'));
    c.header('X-Content-Type-Options', 'nosniff');
    log.info('http.answered', {
      correlation_id: c.get('correlationId'),
      method: c.req.method,
      route: c.req.routePath,
      status: c.res.status,
      duration_ms: now() - startedAt,
    });
  });
  app.use(requestContext(settings.publicOrigin));

  // Who asks comes before what is asked: a stranger learns nothing of how bodies are checked.
  app.use('/v1/requests/*', async (c, next) => {
    authenticate.credential(c.req.raw.headers);
    await next();
  });

  app.route('/', createHealthRoutes(readiness(services)));
  app.route('/', createAccountRoutes({ authenticate, accounts }));
  app.route('/', createGenerationRoutes({ authenticate, generation, requests, catalog, present }));
  app.route('/', createRequestRoutes({ authenticate, requests, present }));
  const linkSecret = settings.linkSigningSecret;
  app.route('/', createImageRoutes({ authenticate, images, linkSecret, now }));
  app.route(
    '/',
    createWebhookRoutes({
      authenticate,
      defaultSecret: accounts.defaultWebhookSecret,
      deliveries: webhooks.deliveries,
    }),
  );

  document(app);
  app.notFound((c) => {
    const allowed = methodsFor(app, c.req.path);
    if (allowed.length === 0) throw new AppError('not_found', 'There is nothing at this path.');
    throw new AppError('method_not_allowed', `This path takes ${allowed.join(', ')}.`, {
      headers: { allow: allowed.join(', ') },
    });
  });
  app.onError((error, c) => {
    const correlationId = c.get('correlationId') ?? crypto.randomUUID();
    const fault = asAppError(error);
    const known = fault && problemFor(fault.code);
    if (fault && known) {
      if (known.status >= 500) {
        const { method } = c.req;
        const fields = { correlation_id: correlationId, method, route: c.req.routePath };
        log.warn('http.unavailable', { ...fields, code: fault.code, error: fault.cause });
      }
      const problem = { ...known, code: fault.code, detail: fault.message, correlationId };
      return problemResponse(problem, fault.details);
    }
    log.error('http.failed', {
      correlation_id: correlationId,
      method: c.req.method,
      route: c.req.routePath,
      error,
    });
    return problemResponse({
      status: 500,
      code: 'internal_error',
      title: 'Internal error',
      detail: 'Something went wrong on our side. Nothing that was accepted is lost.',
      correlationId,
    });
  });
  return app;
}

/** Hono's own refusals (a malformed body that slipped past, say) get the same shape. */
function asAppError(error: Error): AppError | null {
  if (error instanceof AppError) return error;
  if (error instanceof HTTPException && error.status < 500) {
    return new AppError('malformed_json', error.message || 'The request cannot be read.');
  }
  return null;
}

function readiness({ env, foreman }: Services) {
  return {
    d1: () => env.DB.prepare('SELECT 1').first(),
    r2: () => env.IMAGES.head('ready'),
    // An id of nobody: its object answers that it has no account.
    foreman: () => foreman(READY_USER).getAccount(),
  };
}

const READY_USER = `usr_${'0'.repeat(27)}` as const;

/** The methods of the routes whose pattern fits this path. */
function methodsFor(app: App, path: string): string[] {
  const methods = app.routes
    .filter((route) => route.method !== 'ALL' && patternOf(route.path).test(path))
    .map((route) => route.method);
  return [...new Set(methods.includes('GET') ? [...methods, 'HEAD'] : methods)];
}

const patternOf = (path: string) => new RegExp(`^${path.replace(/:[^/]+/g, '[^/]+')}$`);

function document(app: App): void {
  for (const [name, scheme] of Object.entries(securitySchemes)) {
    app.openAPIRegistry.registerComponent('securitySchemes', name, scheme);
  }
  const config = {
    openapi: '3.1.0',
    info: {
      title: 'Foreman',
      version: '0.1.0',
      description:
        'Image generation requests, queued, retried and stored at the edge. Errors are RFC 9457 ' +
        'problem documents with `code`, `correlation_id` and, for faulty fields, `errors`.',
    },
  };
  app.get('/openapi.json', (c) => c.json(app.getOpenAPI31Document(config)));
  app.get('/docs', (c) => c.html(docsPage(app.getOpenAPI31Document(config))));
}
