/** The HTTP surface: middleware order, feature mounts, the OpenAPI document, and error mapping. */
import { OpenAPIHono } from '@hono/zod-openapi';
import { createAuditRoutes } from './accounts/audit/routes';
import { createDeletionRoutes } from './accounts/deletion/routes';
import { takeGrants } from './accounts/grants/opening';
import { createGrantRoutes } from './accounts/grants/routes';
import { createKeyRoutes } from './accounts/keys/routes';
import { createMeRoutes } from './accounts/me/routes';
import { createAccountRoutes } from './accounts/routes';
import { takeTickets } from './accounts/tickets/opening';
import { createTicketRoutes } from './accounts/tickets/routes';
import { createUsageRoutes } from './accounts/usage/routes';
import { docsPage } from './docs';
import { createBatchRoutes } from './generation/batch-routes';
import { createBreakerRoutes } from './generation/breaker/routes';
import { createCallbackRoutes } from './generation/callback-routes';
import { createManifestRoutes } from './generation/manifest-routes';
import { createGenerationRoutes } from './generation/routes';
import { createHealthRoutes } from './health';
import { bucketsOf } from './images/buckets';
import { createContentRoutes } from './images/content-routes';
import { createOwnerRoutes } from './images/owner-routes';
import { createImageRoutes } from './images/routes';
import type { Register } from './mcp/caller';
import { createMcpRoutes } from './mcp/routes';
import { inOAuthWords, isForApps } from './oauth/errors';
import { createOAuthRoutes } from './oauth/routes';
import { openAiError } from './openai/errors';
import { isOpenAiPath } from './openai/paths';
import { createOpenAiRoutes } from './openai/routes';
import type { Whence } from './platform/actor';
import { crossOrigin, preflight } from './platform/cors';
import { AppError } from './platform/errors';
import { type HttpEnv, problemResponse, requestContext } from './platform/http';
import { securitySchemes } from './platform/openapi';
import { sleep } from './platform/patience';
import { addSecurityHeaders, STYLED_PAGE_POLICY } from './platform/security-headers';
import { describeFault, logFault, problemOf } from './problems';
import { createDeadLetterRoutes } from './requests/dead-letter-routes';
import { createRequestRoutes } from './requests/routes';
import type { Services } from './services';
import { countedFault, shieldRoutes } from './shielding';
import { createStreamRoutes } from './streams/routes';
import { createStyleRoutes } from './styles/routes';
import { createEndpointRoutes } from './webhooks/endpoints/routes';
import { createWebhookKeyRoutes } from './webhooks/keys-routes';
import { createDeliveryLogRoutes } from './webhooks/log/routes';
import { createWebhookRoutes } from './webhooks/routes';

export type App = OpenAPIHono<HttpEnv>;

/** `beside`: what a test puts on /mcp beside Foreman's own tools. */
export function createApp(services: Services, beside?: Register): App {
  const { authenticate, requests, present, catalog, generation } = services;
  const { images, webhooks } = services;
  const { settings, log, now } = services;
  const app = new OpenAPIHono<HttpEnv>();

  app.use(async (c, next) => {
    const startedAt = now();
    const noted = await services.answerNotes.collect(next);
    for (const [name, value] of noted) c.header(name, value);
    c.header('X-Correlation-Id', c.get('correlationId'));
    addSecurityHeaders(c.res.headers, c.get('origin'));
    log.info('http.answered', {
      correlation_id: c.get('correlationId'),
      method: c.req.method,
      route: c.req.routePath,
      status: c.res.status,
      duration_ms: now() - startedAt,
    });
  });
  app.use(crossOrigin(settings.corsOrigins));
  app.use(requestContext(settings.publicOrigin));
  app.use(preflight(settings.corsOrigins));
  shieldRoutes(app, services.shield);

  takeTickets(app);
  takeGrants(app);

  // Who asks comes before what is asked: a stranger learns nothing of how bodies are checked.
  app.use('/v1/requests/*', async (c, next) => {
    await authenticate.credential(c.get('asking'));
    await next();
  });

  app.route('/', createHealthRoutes(readiness(services)));
  app.route('/', createAccountRoutes({ authenticate, accounts: services.accounts }));
  app.route('/', createDeletionRoutes({ authenticate, deletions: services.deletions }));
  app.route('/', createKeyRoutes({ authenticate, keys: services.keys }));
  app.route('/', createMeRoutes({ authenticate, account: services.me }));
  app.route('/', createGrantRoutes({ authenticate, grants: services.grants }));
  app.route('/', createOAuthRoutes(services));
  app.route('/', createTicketRoutes({ authenticate, tickets: services.tickets }));
  app.route('/', createUsageRoutes({ authenticate, usage: services.usage, now }));
  app.route('/', createAuditRoutes({ authenticate, audit: services.audit }));
  app.route('/', createBreakerRoutes({ authenticate, ...services.breakerAdmin }));
  app.route('/', createGenerationRoutes({ authenticate, generation, requests, catalog, present }));
  app.route('/', createBatchRoutes({ authenticate, generation, present, describeFault }));
  const linkSecret = settings.linkSigningSecret;
  const countForged = (from: Whence) => services.shield.count('callback', from);
  app.route('/', createCallbackRoutes({ linkSecret, countForged, nudge: services.nudge }));
  app.route('/', createRequestRoutes({ authenticate, requests, present }));
  const { corsOrigins } = settings;
  app.route('/', createStreamRoutes({ authenticate, open: services.openStream, corsOrigins }));
  app.route('/', createDeadLetterRoutes({ authenticate, deadLetters: services.deadLetterService }));
  app.route('/', createStyleRoutes({ authenticate, styles: services.styles }));
  app.route(
    '/',
    createContentRoutes({ authenticate, content: services.imageContent, linkSecret, now }),
  );
  app.route('/', createImageRoutes({ authenticate, images, linkSecret, now }));
  app.route('/', createOwnerRoutes({ ...services, linkSecret }));
  app.route(
    '/',
    createWebhookRoutes({
      authenticate,
      defaultSecret: services.me.defaultWebhookSecret,
      deliveries: webhooks.deliveries,
    }),
  );
  // Behind all that has a name under /v1/webhooks, as any name could be an id.
  app.route('/', createEndpointRoutes({ authenticate, endpoints: services.endpoints, now }));

  const { signingKeys, manifests } = services;
  app.route('/', createManifestRoutes({ authenticate, manifests, linkSecret, now }));
  app.route('/', createWebhookKeyRoutes({ signingKeys }));

  app.route('/', createDeliveryLogRoutes({ authenticate, log: services.deliveryLog }));
  app.route('/', createMcpRoutes(mcpDeps(services), beside));
  app.route('/', createOpenAiRoutes(openAiDeps(services)));

  document(app);
  app.notFound((c) => {
    const allowed = methodsFor(app, c.req.path);
    if (allowed.length === 0) throw new AppError('not_found', 'There is nothing at this path.');
    throw new AppError('method_not_allowed', `This path takes ${allowed.join(', ')}.`, {
      headers: { allow: allowed.join(', ') },
    });
  });
  app.onError(async (error, c) => {
    const correlationId = c.get('correlationId') ?? crypto.randomUUID();
    const { method } = c.req;
    const fault = await countedFault(error, { ...services, from: c.get('asking')?.from });
    logFault(log, fault, { correlation_id: correlationId, method, route: c.req.routePath });
    const { problem, details } = problemOf(fault, correlationId);
    if (isOpenAiPath(c.req.path)) return openAiError(problem, details);
    if (isForApps(c.req.path)) return problemResponse(problem, inOAuthWords(problem, details));
    return problemResponse(problem, details);
  });
  return app;
}

function mcpDeps(services: Services) {
  const { settings, log } = services;
  const { publicOrigin, corsOrigins, linkSigningSecret: linkSecret } = settings;
  const reach = { publicOrigin, corsOrigins, isLocal: settings.environment === 'local' };
  return {
    ...services,
    linkSecret,
    reach,
    problemOf,
    logFault: (fault: unknown, correlationId: string) =>
      logFault(log, fault, { correlation_id: correlationId, method: 'POST', route: '/mcp' }),
  };
}

function openAiDeps(services: Services) {
  const { log, answerNotes } = services;
  const route = '/openai/v1/images';
  return {
    ...services,
    timing: services.openAiTiming,
    sleep,
    note: answerNotes.note,
    explain: (fault: unknown, correlationId: string) => {
      logFault(log, fault, { correlation_id: correlationId, method: 'POST', route });
      const { problem, details } = problemOf(fault, correlationId);
      return { code: problem.code, message: problem.detail, details };
    },
  };
}

function readiness({ env, foreman }: Services) {
  return {
    d1: () => env.DB.prepare('SELECT 1').first(),
    r2: () => Promise.all(bucketsOf(env).map((bucket) => bucket.head('ready'))),
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
  app.get('/docs', (c) => {
    c.header('Content-Security-Policy', STYLED_PAGE_POLICY);
    return c.html(docsPage(app.getOpenAPI31Document(config)));
  });
}
