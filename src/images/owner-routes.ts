/** What owners do with the images they have: list them, delete one, hand out a link to one. */
import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import type { MiddlewareHandler } from 'hono';
import type { Authenticate } from '../accounts/authenticate';
import type { Scope } from '../accounts/types';
import { type HttpEnv, jsonBody, validationHook } from '../platform/http';
import { apiKeySecurity, json, jsonAnswer, problemResponses } from '../platform/openapi';
import { linkOutlivesImage } from './errors';
import { signedUrl } from './links';
import { type ImageList, imageListQuerySchema } from './listing';
import type { ImageRemoval } from './removal';
import type { ImageService } from './service';
import { imagePageSchema, imageParams, imageTags, presentImage } from './view';

export interface OwnerRouteDeps {
  readonly authenticate: Authenticate;
  readonly images: Pick<ImageService, 'describe'>;
  readonly imageList: ImageList;
  readonly imageRemoval: ImageRemoval;
  readonly linkSecret: string;
  readonly now: () => number;
}

const MIN_LINK_SECONDS = 60;
const USUAL_LINK_SECONDS = 3_600;

const linkAskedSchema = z
  .strictObject({
    expires_in_seconds: z
      .int()
      .min(MIN_LINK_SECONDS)
      .optional()
      .describe(
        `No longer than the image is kept; ${USUAL_LINK_SECONDS}, or until it ends, if left out`,
      ),
  })
  .openapi('NewImageLink');
const linkSchema = z.object({ url: z.url(), expires_at: z.iso.datetime() }).openapi('ImageLink');

export function createOwnerRoutes(deps: OwnerRouteDeps): OpenAPIHono<HttpEnv> {
  const routes = new OpenAPIHono<HttpEnv>({ defaultHook: validationHook });
  addListRoute(routes, deps);
  addDeleteRoute(routes, deps);
  addLinkRoute(routes, deps);
  return routes;
}

/** Who asks comes before what is asked. */
const allowed =
  ({ authenticate }: OwnerRouteDeps, scope: Scope): MiddlewareHandler<HttpEnv> =>
  async (c, next) => {
    await authenticate.principal(c.get('asking'), scope);
    await next();
  };

const open = { tags: imageTags, security: apiKeySecurity };

function addListRoute(routes: OpenAPIHono<HttpEnv>, deps: OwnerRouteDeps): void {
  const listRoute = createRoute({
    ...open,
    method: 'get',
    path: '/v1/images',
    summary: 'List your images, from the index (D1)',
    description:
      'Those that are still kept. What a request shares with an equal one is listed with the ' +
      'request that made it. A page of uploads may have fewer than asked for; `next_cursor` says ' +
      'whether there are more.',
    middleware: [allowed(deps, 'requests:read')],
    request: { query: imageListQuerySchema },
    responses: {
      200: jsonAnswer(imagePageSchema, 'A page'),
      ...problemResponses(401, 403, 422, 503),
    },
  });
  routes.openapi(listRoute, async (c) => {
    const { userId } = await deps.authenticate.credential(c.get('asking'));
    const query = c.req.valid('query');
    const page = await deps.imageList.list({ userId, query, now: deps.now() });
    const via = { origin: c.get('origin'), linkSecret: deps.linkSecret };
    const items = page.images.map((image) => presentImage(image, via));
    return c.json({ items, next_cursor: page.nextCursor }, 200);
  });
}

function addDeleteRoute(routes: OpenAPIHono<HttpEnv>, deps: OwnerRouteDeps): void {
  const deleteRoute = createRoute({
    ...open,
    method: 'delete',
    path: '/v1/images/{id}',
    summary: 'Delete an image for good; its links end too',
    description:
      'Its request shows it no more, and stays `succeeded` when it was the last. For requests that ' +
      'share it, its bytes are gone as well. A 503 has changed nothing that the same call does not ' +
      'finish.',
    middleware: [allowed(deps, 'requests:write')],
    request: { params: imageParams },
    responses: { 204: { description: 'Gone' }, ...problemResponses(401, 403, 404, 503) },
  });
  routes.openapi(deleteRoute, async (c) => {
    const credential = await deps.authenticate.credential(c.get('asking'));
    await deps.imageRemoval.remove({ credential, id: c.req.valid('param').id });
    return c.body(null, 204);
  });
}

function addLinkRoute(routes: OpenAPIHono<HttpEnv>, deps: OwnerRouteDeps): void {
  const linkRoute = createRoute({
    ...open,
    method: 'post',
    path: '/v1/images/{id}/links',
    summary: 'A link that opens an image without a key, and ends before the image does',
    description: 'Nothing is stored for it: it cannot be taken back but by deleting the image.',
    middleware: [allowed(deps, 'requests:read'), jsonBody(undefined, { isOptional: true })],
    request: { params: imageParams, body: { content: json(linkAskedSchema) } },
    responses: {
      201: jsonAnswer(linkSchema, 'The link'),
      ...problemResponses(400, 401, 403, 404, 413, 415, 422, 503),
    },
  });
  routes.openapi(linkRoute, async (c) => {
    const { userId: viewer } = await deps.authenticate.credential(c.get('asking'));
    const now = deps.now();
    const image = await deps.images.describe({ id: c.req.valid('param').id, viewer, now });
    const expiresAt = linkEnd(c.req.valid('json').expires_in_seconds, image.expiresAt, now);
    const { linkSecret: secret } = deps;
    const url = signedUrl({ origin: c.get('origin'), imageId: image.id, expiresAt, secret });
    return c.json({ url, expires_at: new Date(expiresAt).toISOString() }, 201);
  });
}

/** Epoch ms, in whole seconds, as a link has it. */
function linkEnd(seconds: number | undefined, imageEndsAt: number, now: number): number {
  const longest = Math.floor((imageEndsAt - now) / 1000);
  if (seconds !== undefined && seconds > longest) throw linkOutlivesImage(longest);
  const end = Math.min(now + (seconds ?? USUAL_LINK_SECONDS) * 1000, imageEndsAt);
  return Math.floor(end / 1000) * 1000;
}
