/** What images are, to their owner, and images that a user brings; content-routes.ts has the bytes. */
import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { Authenticate } from '../accounts/authenticate';
import { contentLength } from '../platform/bounds';
import { type HttpEnv, validationHook } from '../platform/http';
import { apiKeySecurity, problemResponses } from '../platform/openapi';
import { imageTooLarge, notAnImage, notAnImageType } from './errors';
import type { ImageService } from './service';
import { imageViewSchema, MAX_IMAGE_BYTES, type OpenImage } from './types';
import { MAX_UNSIZED_UPLOAD_BYTES } from './uploads';
import { imageParams, presentImage, imageTags as tags } from './view';

export interface ImageRouteDeps {
  readonly authenticate: Authenticate;
  readonly images: ImageService;
  readonly linkSecret: string;
  readonly now: () => number;
}

const binary = z.string().openapi({ format: 'binary' });

const imageAnswer = { content: { 'application/json': { schema: imageViewSchema } } };

const describeRoute = createRoute({
  method: 'get',
  path: '/v1/images/{id}',
  tags,
  security: apiKeySecurity,
  summary: 'What an image is, with a fresh signed link',
  request: { params: imageParams },
  responses: {
    200: { description: 'The image', ...imageAnswer },
    ...problemResponses(401, 403, 404, 503),
  },
});

const uploadRoute = createRoute({
  method: 'post',
  path: '/v1/images',
  tags,
  security: apiKeySecurity,
  summary: 'Bring an image, to be used as an input',
  description:
    `The body is the image itself, PNG, JPEG, WebP or GIF, of ${MAX_IMAGE_BYTES} bytes at most ` +
    `(${MAX_UNSIZED_UPLOAD_BYTES} without a Content-Length); forms are not taken. What it is is read ` +
    'off the bytes, not off the Content-Type. The same bytes again are the same image, kept from ' +
    'then on for as long as a new one.',
  request: {
    body: {
      required: true,
      content: {
        'image/*': { schema: binary },
        'application/octet-stream': { schema: binary },
      },
    },
  },
  responses: {
    201: { description: 'The image is new', ...imageAnswer },
    200: { description: 'The image was there already', ...imageAnswer },
    ...problemResponses(401, 403, 413, 415, 422, 503),
  },
});

export function createImageRoutes(deps: ImageRouteDeps): OpenAPIHono<HttpEnv> {
  const { authenticate, images, linkSecret } = deps;
  const app = new OpenAPIHono<HttpEnv>({ defaultHook: validationHook });

  const reader = (c: Context<HttpEnv>) => authenticate.principal(c.get('asking'), 'requests:read');

  app.openapi(describeRoute, async (c) => {
    const { id } = c.req.valid('param');
    const { userId: viewer } = await reader(c);
    const facts = await images.describe({ id, viewer, now: deps.now() });
    c.header('Cache-Control', 'private, no-cache');
    return c.json(presentImage(facts, { origin: c.get('origin'), linkSecret }), 200);
  });

  app.openapi(uploadRoute, async (c) => {
    const { userId } = await authenticate.principal(c.get('asking'), 'requests:write');
    const kept = await images.keepUpload({ userId, image: bodyOf(c.req.raw), now: deps.now() });
    if (kept.outcome === 'invalid') throw notAnImage(kept.reason);
    c.header('Location', `/v1/images/${kept.image.id}`);
    const view = presentImage(kept.image, { origin: c.get('origin'), linkSecret });
    return c.json(view, kept.isNew ? 201 : 200);
  });

  return app;
}

const BODY_TYPE = /^\s*(image\/[\w!#$&^.+*-]+|application\/octet-stream)\s*(;|$)/i;

/** A client that sends bare bytes may leave their type out (RFC 9110, 8.3). */
function bodyOf(request: Request): OpenImage {
  const type = request.headers.get('content-type') ?? 'application/octet-stream';
  const encoding = request.headers.get('content-encoding') ?? 'identity';
  if (!BODY_TYPE.test(type) || encoding.toLowerCase() !== 'identity') throw notAnImageType();
  const length = contentLength(request.headers);
  if (length !== null && length > MAX_IMAGE_BYTES) throw imageTooLarge(MAX_IMAGE_BYTES);
  return { body: request.body ?? new Blob().stream(), length };
}
