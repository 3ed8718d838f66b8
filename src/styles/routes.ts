/** Reading styles, and the operator's writing of them. */
import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import type { MiddlewareHandler } from 'hono';
import { adminOnly } from '../accounts/admin-only';
import type { Authenticate } from '../accounts/authenticate';
import { type HttpEnv, jsonBody, MAX_ADMIN_JSON_BYTES, validationHook } from '../platform/http';
import {
  adminSecurity,
  apiKeySecurity,
  json,
  nextCursor,
  pageFields,
  problemResponses,
} from '../platform/openapi';
import type { StyleService } from './service';
import {
  newStyleSchema,
  type Style,
  type StyleContent,
  styleDefaultsSchema,
  styleFieldsSchema,
} from './types';

interface Deps {
  readonly authenticate: Authenticate;
  readonly styles: StyleService;
}

// A plain string: a malformed id is an unknown one, which the service answers with not_found.
const params = z.object({ id: z.string().openapi({ example: 'watercolor' }) });

const styleSchema = z
  .object({
    id: z.string().openapi({ example: 'watercolor' }),
    description: z.string(),
    prompt_template: z.string().openapi({ example: 'a watercolor of {prompt}, soft light' }),
    negative_prompt: z.string().nullable(),
    defaults: styleDefaultsSchema.describe('Used where a request leaves the field out'),
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
  })
  .openapi('Style');

const style = (description: string) => ({ description, content: json(styleSchema) });

/** `/v1/styles` and the operator's `/v1/admin/styles`. */
export function createStyleRoutes(deps: Deps): OpenAPIHono<HttpEnv> {
  const routes = new OpenAPIHono<HttpEnv>({ defaultHook: validationHook });
  addReadRoutes(routes, deps);
  addAdminRoutes(routes, deps);
  return routes;
}

function addReadRoutes(routes: OpenAPIHono<HttpEnv>, { authenticate, styles }: Deps): void {
  const readers: MiddlewareHandler<HttpEnv> = async (c, next) => {
    await authenticate.principal(c.get('asking'), 'requests:read');
    await next();
  };
  const open = { tags: ['Styles'], security: apiKeySecurity, middleware: [readers] };

  const list = createRoute({
    ...open,
    method: 'get',
    path: '/v1/styles',
    summary: 'List styles by name',
    request: { query: z.strictObject(pageFields) },
    responses: {
      200: {
        description: 'A page of styles',
        content: json(
          z.object({ items: z.array(styleSchema), next_cursor: nextCursor }).openapi('StylePage'),
        ),
      },
      ...problemResponses(401, 403, 422, 503),
    },
  });
  routes.openapi(list, async (c) => {
    const { limit, cursor } = c.req.valid('query');
    const page = await styles.list({ limit, cursor });
    return c.json({ items: page.items.map(present), next_cursor: page.nextCursor }, 200);
  });

  const get = createRoute({
    ...open,
    method: 'get',
    path: '/v1/styles/{id}',
    summary: 'Read a style',
    request: { params },
    responses: { 200: style('The style'), ...problemResponses(401, 403, 404, 503) },
  });
  routes.openapi(get, async (c) => c.json(present(await styles.get(c.req.valid('param').id)), 200));
}

function addAdminRoutes(routes: OpenAPIHono<HttpEnv>, { authenticate, styles }: Deps): void {
  const admins = adminOnly(authenticate);
  const admin = { tags: ['Admin'], security: adminSecurity };
  const writing = { ...admin, middleware: [admins, jsonBody(MAX_ADMIN_JSON_BYTES)] };

  const create = createRoute({
    ...writing,
    method: 'post',
    path: '/v1/admin/styles',
    summary: 'Define a style',
    request: { body: { required: true, content: json(newStyleSchema.openapi('NewStyle')) } },
    responses: { 201: style('The style'), ...problemResponses(400, 401, 409, 413, 415, 422, 503) },
  });
  routes.openapi(create, async (c) => {
    const { id, ...fields } = c.req.valid('json');
    const created = await styles.create({ id, content: contentOf(fields), by: c.get('by') });
    c.header('location', `${c.get('origin')}/v1/styles/${id}`);
    return c.json(present(created), 201);
  });

  const replace = createRoute({
    ...writing,
    method: 'put',
    path: '/v1/admin/styles/{id}',
    summary: 'Replace a style',
    description: 'What a field that is left out says is its default, not what it said before.',
    request: {
      params,
      body: { required: true, content: json(styleFieldsSchema.openapi('StyleFields')) },
    },
    responses: { 200: style('The style'), ...problemResponses(400, 401, 404, 413, 415, 422, 503) },
  });
  routes.openapi(replace, async (c) => {
    const { id } = c.req.valid('param');
    const content = contentOf(c.req.valid('json'));
    return c.json(present(await styles.replace({ id, content, by: c.get('by') })), 200);
  });

  const remove = createRoute({
    ...admin,
    middleware: [admins],
    method: 'delete',
    path: '/v1/admin/styles/{id}',
    summary: 'Delete a style',
    description: 'Requests that were made with it are not affected.',
    request: { params },
    responses: { 204: { description: 'Deleted' }, ...problemResponses(401, 404, 503) },
  });
  routes.openapi(remove, async (c) => {
    await styles.remove({ id: c.req.valid('param').id, by: c.get('by') });
    return c.body(null, 204);
  });
}

const contentOf = (fields: z.output<typeof styleFieldsSchema>): StyleContent => ({
  description: fields.description,
  promptTemplate: fields.prompt_template,
  negativePrompt: fields.negative_prompt,
  defaults: fields.defaults,
});

const iso = (at: number) => new Date(at).toISOString();

function present(style: Style): z.output<typeof styleSchema> {
  return {
    id: style.id,
    description: style.description,
    prompt_template: style.promptTemplate,
    negative_prompt: style.negativePrompt,
    defaults: style.defaults,
    created_at: iso(style.createdAt),
    updated_at: iso(style.updatedAt),
  };
}
