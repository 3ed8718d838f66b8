/**
 * Which web pages may call the API from a browser (CORS, fetch.spec.whatwg.org). Closed unless the
 * operator names their origins; the operator's own routes are closed always. No cookies are
 * involved: a page brings a key, as everybody does.
 */
import type { MiddlewareHandler } from 'hono';
import type { HttpEnv } from './http';

/** Any, or exactly these; none of them: closed. */
export type Origins = '*' | readonly string[];

/** How long a browser remembers what it was allowed; more would outlast a change of the setting. */
const MAX_AGE_SECONDS = 600;

const METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE';
const REQUEST_HEADERS =
  'authorization, content-type, idempotency-key, prefer, last-event-id, if-none-match, ' +
  'if-modified-since, if-range, range, x-correlation-id, x-request-id, traceparent, ' +
  // Of the Model Context Protocol.
  'mcp-protocol-version, mcp-session-id, mcp-method, mcp-name, ' +
  // Of OpenAI’s own clients.
  'openai-organization, openai-project, x-stainless-arch, x-stainless-helper-method, ' +
  'x-stainless-lang, x-stainless-os, x-stainless-package-version, x-stainless-retry-count, ' +
  'x-stainless-runtime, x-stainless-runtime-version, x-stainless-timeout';
const ANSWER_HEADERS =
  'location, etag, retry-after, ratelimit, ratelimit-policy, x-correlation-id, ' +
  'idempotent-replayed, content-range, link, preference-applied, www-authenticate, ' +
  'x-foreman-request-id, x-request-id, x-should-retry';

/** Says on every answer who may read it, errors included. */
export function crossOrigin(origins: Origins): MiddlewareHandler<HttpEnv> {
  return async (c, next) => {
    await next();
    if (isClosed(origins, c.req.path)) return;
    if (origins !== '*') c.header('Vary', 'Origin', { append: true });
    const allowed = allowedOrigin(origins, c.req.header('origin'));
    if (allowed === null) return;
    c.header('Access-Control-Allow-Origin', allowed);
    c.header('Access-Control-Expose-Headers', ANSWER_HEADERS);
  };
}

/** Answers a browser that asks beforehand. It brings no key, so this stands before who asks. */
export function preflight(origins: Origins): MiddlewareHandler<HttpEnv> {
  return async (c, next) => {
    const isAsked =
      c.req.method === 'OPTIONS' &&
      c.req.header('access-control-request-method') !== undefined &&
      !isClosed(origins, c.req.path) &&
      allowedOrigin(origins, c.req.header('origin')) !== null;
    if (!isAsked) return next();
    c.header('Access-Control-Allow-Methods', METHODS);
    c.header('Access-Control-Allow-Headers', REQUEST_HEADERS);
    c.header('Access-Control-Max-Age', String(MAX_AGE_SECONDS));
    return c.body(null, 204);
  };
}

function isClosed(origins: Origins, path: string): boolean {
  return origins.length === 0 || path === '/v1/admin' || path.startsWith('/v1/admin/');
}

/** For a WebSocket, of which a browser lets every page have one that is not refused here. */
export const mayPageOpen = (origins: Origins, page: string): boolean =>
  allowedOrigin(origins, page) !== null;

function allowedOrigin(origins: Origins, origin: string | undefined): string | null {
  // The same for all, also for who names no origin: a cache may hand one's answer to another.
  if (origins === '*') return '*';
  return origin !== undefined && origins.includes(origin) ? origin : null;
}

/** @returns null when one of them is no origin: scheme, host and port, and nothing else. */
export function parseOrigins(text: string): Origins | null {
  const named = text.split(',').map((origin) => origin.trim());
  if (text.trim() === '') return [];
  if (named.length === 1 && named[0] === '*') return '*';
  return named.every(isOrigin) ? named : null;
}

function isOrigin(text: string): boolean {
  return /^https?:\/\/[^*]+$/.test(text) && URL.parse(text)?.origin === text;
}
