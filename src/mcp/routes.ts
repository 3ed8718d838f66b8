/** `/mcp`, for agents: the Model Context Protocol over streamable HTTP. */
import { OpenAPIHono } from '@hono/zod-openapi';
import type { Authenticate } from '../accounts/authenticate';
import { type HttpEnv, jsonBody } from '../platform/http';
import type { Logger } from '../platform/log';
import type { McpDeps, Register } from './caller';
import { createMcpEndpoint } from './endpoint';
import { strangeHost, strangePage } from './errors';
import { type Reach, strangeness } from './reach';

const PATH = '/mcp';

export function createMcpRoutes(
  deps: McpDeps & {
    readonly authenticate: Authenticate;
    readonly reach: Reach;
    readonly log: Logger;
  },
  /** More than Foreman's own, for tests of what a server of this kind can do. */
  register?: Register,
): OpenAPIHono<HttpEnv> {
  const { authenticate, reach } = deps;
  const endpoint = createMcpEndpoint(deps, register);
  const routes = new OpenAPIHono<HttpEnv>();

  // A page that may not ask learns nothing, not even that it lacks a key.
  routes.use(PATH, async (c, next) => {
    const call = { url: c.req.url, page: c.req.header('origin') ?? null };
    const strange = strangeness(call, reach);
    if (strange) throw strange === 'host' ? strangeHost() : strangePage();
    await next();
  });
  routes.use(PATH, async (c, next) => {
    await authenticate.principal(c.get('asking'), 'requests:read');
    await next();
  });

  routes.post(PATH, jsonBody(), async (c) => {
    const asking = c.get('asking');
    const caller = {
      credential: await authenticate.credential(asking),
      mayWrite: () => authenticate.principal(asking, 'requests:write'),
      origin: c.get('origin'),
      correlationId: c.get('correlationId'),
      traceparent: c.get('traceparent'),
    };
    const { method, url, raw } = c.req;
    // Its body has been read; that its client hangs up must still be heard.
    const request = new Request(url, { method, headers: raw.headers, signal: c.get('hungUp') });
    return endpoint.answer({ request, message: await c.req.json(), caller });
  });
  return routes;
}
