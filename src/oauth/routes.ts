/**
 * OAuth 2.1 for `/mcp`: what is published of it (RFC 8414, RFC 9728), registration (RFC 7591), tokens
 * and their revocation (RFC 6749, RFC 7009), and the consent page. Errors of the protocol are in the
 * protocol's words; what is ours to say is a problem document, as everywhere, with those words in it.
 */
import { type createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import type { Handler, MiddlewareHandler } from 'hono';
import { audienceAt, grantScopes } from '../accounts/grants/types';
import { AppError } from '../platform/errors';
import { type HttpEnv, readBody } from '../platform/http';
import { jsonAnswer, problemResponses } from '../platform/openapi';
import type { Consent } from './consent';
import { hereOf, type OAuth } from './server';

/** Names, redirect URIs, a handle and a key: far less in practice. */
const MAX_BODY_BYTES = 16_384;
const METADATA_AGE = 'public, max-age=300';
const FORM = 'application/x-www-form-urlencoded';

const METADATA_PATHS = {
  server: '/.well-known/oauth-authorization-server',
  resource: '/.well-known/oauth-protected-resource/mcp',
  /** For clients that look here only; the exact place is the other. */
  bare: '/.well-known/oauth-protected-resource',
} as const;

type Routes = OpenAPIHono<HttpEnv>;
type Contract = Omit<Parameters<typeof createRoute>[0], 'method' | 'path' | 'tags'>;

const fields = z.record(z.string(), z.unknown());
const formOf = (schema: z.ZodType) => ({ required: true, content: { [FORM]: { schema } } });
const fault = jsonAnswer(
  z.object({ error: z.string(), error_description: z.string().optional() }).openapi('OAuthError'),
  'What the standard says of it',
);

export function createOAuthRoutes(deps: {
  readonly oauth: OAuth;
  readonly consent: Consent;
}): Routes {
  const routes = new OpenAPIHono<HttpEnv>();
  addMetadata(routes, deps.oauth);
  addServer(routes, deps.oauth);
  addConsent(routes, deps.consent);
  return routes;
}

/** The answers are the library's or pages, so the contract is for the document only. */
function documented(
  routes: Routes,
  method: 'get' | 'post',
  path: string,
  contract: Contract,
  handler: Handler<HttpEnv>,
): void {
  routes.openAPIRegistry.registerPath({ tags: ['OAuth'], ...contract, method, path });
  routes[method](path, handler);
}

function addMetadata(routes: Routes, oauth: OAuth): void {
  const metadata = { 200: jsonAnswer(fields, 'The metadata'), ...problemResponses(404, 429) };
  for (const path of [METADATA_PATHS.resource, METADATA_PATHS.bare]) {
    const contract = { summary: 'Who lets apps in to /mcp (RFC 9728)', responses: metadata };
    routes.use(path, forPages);
    documented(routes, 'get', path, contract, (c) => {
      const origin = c.get('origin');
      hereOf(oauth, origin);
      c.header('cache-control', METADATA_AGE);
      return c.json({
        resource: audienceAt(origin),
        authorization_servers: [origin],
        scopes_supported: grantScopes,
        bearer_methods_supported: ['header'],
        resource_name: 'Foreman',
      });
    });
  }
  const summary = 'What the authorization server for /mcp can do, and where (RFC 8414)';
  routes.use(METADATA_PATHS.server, forPages);
  documented(routes, 'get', METADATA_PATHS.server, { summary, responses: metadata }, (c) =>
    hereOf(oauth, c.get('origin')).answer(c.req.raw),
  );
}

function addServer(routes: Routes, oauth: OAuth): void {
  const answer: Handler<HttpEnv> = async (c) => {
    const here = hereOf(oauth, c.get('origin'));
    const body = await readBody(c.req.raw, MAX_BODY_BYTES);
    const { headers } = c.req.raw;
    const request = new Request(c.req.url, { method: 'POST', headers, body });
    return here.answer(request);
  };
  const problems = problemResponses(404, 413, 429, 503);
  routes.use('/oauth/register', forPages);
  documented(
    routes,
    'post',
    '/oauth/register',
    {
      summary: 'Register an app (RFC 7591)',
      description: 'A registration that is not used for 90 days is forgotten.',
      request: { body: { required: true, content: { 'application/json': { schema: fields } } } },
      responses: { 201: jsonAnswer(fields, 'The registration'), 400: fault, ...problems },
    },
    answer,
  );
  routes.use('/oauth/token', forPages);
  documented(
    routes,
    'post',
    '/oauth/token',
    {
      summary: 'Get tokens for a code or a refresh token, or give one back (RFC 6749, RFC 7009)',
      description:
        'An access token is good for an hour and for `/mcp` only, a refresh token for 30 days from ' +
        'the consent. Either ends with the key that the user agreed with.',
      request: { body: formOf(fields) },
      responses: { 200: jsonAnswer(fields, 'The tokens'), 400: fault, 401: fault, ...problems },
    },
    answer,
  );
}

function addConsent(routes: Routes, consent: Consent): void {
  const page = (description: string) => ({
    description,
    content: { 'text/html': { schema: z.string() } },
  });
  const back = { description: 'Back to the app, with a code or an `error`' };
  documented(
    routes,
    'get',
    '/oauth/authorize',
    {
      summary: 'The page on which a user lets an app in',
      description: 'An authorization request (RFC 6749) with PKCE (S256).',
      responses: {
        200: page('The page'),
        302: back,
        400: page('Who asks, or where the answer is to go, cannot be trusted'),
        ...problemResponses(404, 429, 503),
      },
    },
    (c) => consent.ask(c.req.raw, c.get('origin')),
  );
  documented(
    routes,
    'post',
    '/oauth/authorize',
    {
      summary: 'What the user has decided on that page',
      request: {
        body: formOf(
          z.object({
            handle: z.string().describe('Of the page; good once, in its browser, for ten minutes'),
            decision: z.enum(['approve', 'deny']),
            key: z.string().optional().describe('The user’s API key, which shows who it is'),
            scope: z.array(z.enum(grantScopes)).optional(),
          }),
        ),
      },
      responses: {
        302: back,
        400: page('The page is not of this browser, or is used up'),
        401: page('The page again: that is no key'),
        403: page('The page again: the key may not do that'),
        422: page('The page again: nothing was ticked, or nothing that is of use alone'),
        ...problemResponses(404, 413, 415, 503),
      },
    },
    async (c) => {
      const { raw } = c.req;
      if (!raw.headers.get('content-type')?.toLowerCase().startsWith(FORM)) {
        throw new AppError('unsupported_media_type', 'The form of the page is what goes here.');
      }
      const text = new TextDecoder().decode(await readBody(raw, MAX_BODY_BYTES));
      const form = new URLSearchParams(text);
      const { from } = c.get('asking');
      return consent.decide({ request: raw, origin: c.get('origin'), form, from });
    },
  );
}

/**
 * Any page may read these: nothing of them hangs on a cookie or on where the browser is, and apps that
 * are pages begin here (CORS, fetch.spec.whatwg.org).
 */
const forPages: MiddlewareHandler<HttpEnv> = async (c, next) => {
  const isAsked =
    c.req.method === 'OPTIONS' && c.req.header('access-control-request-method') !== undefined;
  if (isAsked) {
    c.res = new Response(null, { status: 204 });
    c.header('Access-Control-Allow-Methods', 'GET, POST');
    c.header('Access-Control-Allow-Headers', 'authorization, content-type, mcp-protocol-version');
    c.header('Access-Control-Max-Age', '600');
  } else await next();
  c.header('Access-Control-Allow-Origin', '*');
};
