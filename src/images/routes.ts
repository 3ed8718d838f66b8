/** Images to their owner by key, and to anybody by a signed link. */
import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { Authenticate } from '../accounts/authenticate';
import { contentLength } from '../platform/bounds';
import { type HttpEnv, validationHook } from '../platform/http';
import { apiKeySecurity, problemResponses } from '../platform/openapi';
import { contentResponse } from './content';
import { imageNotFound, imageTooLarge, linkExpired, notAnImage, notAnImageType } from './errors';
import { imageUrl, signedUrl, verifyLink } from './links';
import type { ImageDescription } from './objects';
import type { ImageService } from './service';
import { imageViewSchema, MAX_IMAGE_BYTES, mediaTypes, type OpenImage } from './types';
import { MAX_UNSIZED_UPLOAD_BYTES } from './uploads';

export interface ImageRouteDeps {
  readonly authenticate: Authenticate;
  readonly images: ImageService;
  readonly linkSecret: string;
  readonly now: () => number;
}

const tags = ['Images'];
const params = z.object({ id: z.string().openapi({ example: 'img_0…_1_0' }) });
const binary = z.string().openapi({ format: 'binary' });
const content = Object.fromEntries(mediaTypes.map((type) => [type, { schema: binary }]));

const contentRoute = createRoute({
  method: 'get',
  path: '/v1/images/{id}/content',
  tags,
  security: [...apiKeySecurity, {}],
  summary: 'The bytes of an image, by key or by signed link',
  description:
    'With `expires` and `signature` no key is looked at. A wrong signature is answered like an ' +
    'unknown image, with 404; a genuine link past its time with 410. One range is served (206); a ' +
    'request for several is answered with the whole image. HEAD works too.',
  request: {
    params,
    query: z.object({
      expires: z.string().optional().describe('Of a signed link: epoch seconds'),
      signature: z.string().optional().describe('Of a signed link'),
    }),
  },
  responses: {
    200: { description: 'The image', content },
    206: { description: 'The range asked for', content },
    304: { description: 'The client has it already' },
    ...problemResponses(401, 403, 404, 410, 416, 422, 503),
  },
});

const imageSchema = imageViewSchema
  .extend({
    request_id: z.string().nullable().describe('The request that made it; null for an upload'),
  })
  .openapi('ImageDetails');

const imageAnswer = { content: { 'application/json': { schema: imageSchema } } };

const describeRoute = createRoute({
  method: 'get',
  path: '/v1/images/{id}',
  tags,
  security: apiKeySecurity,
  summary: 'What an image is, with a fresh signed link',
  request: { params },
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

  app.openapi(contentRoute, async (c) => {
    const now = deps.now();
    const { id } = c.req.valid('param');
    const expiresAt = openLink({ id, ...c.req.valid('query'), secret: linkSecret, now });
    const opener = expiresAt === null ? await reader(c) : { via: 'link' as const, expiresAt };
    const opened = await images.open({
      id,
      viewer: opener.via === 'link' ? null : opener.userId,
      now,
      headOnly: c.req.method === 'HEAD',
      asked: {
        ifNoneMatch: c.req.header('if-none-match') ?? null,
        ifModifiedSince: c.req.header('if-modified-since') ?? null,
        range: c.req.header('range') ?? null,
        ifRange: c.req.header('if-range') ?? null,
      },
    });
    return contentResponse(opened, opener, now);
  });

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

/** When the link ends, in epoch ms; null when the request is no link and needs a key. */
function openLink(input: {
  readonly id: string;
  readonly expires?: string | undefined;
  readonly signature?: string | undefined;
  readonly secret: string;
  readonly now: number;
}): number | null {
  const { id: imageId, expires, signature, secret, now } = input;
  if (expires === undefined && signature === undefined) return null;
  if (expires === undefined || signature === undefined) throw imageNotFound();
  const verdict = verifyLink({ imageId, expires, signature, secret, now });
  if (verdict === 'invalid') throw imageNotFound();
  if (verdict === 'expired') throw linkExpired();
  return Number(expires) * 1000;
}

function presentImage(
  facts: ImageDescription,
  via: { readonly origin: string; readonly linkSecret: string },
): z.output<typeof imageSchema> {
  const { id: imageId, expiresAt } = facts;
  const { origin, linkSecret: secret } = via;
  return {
    id: imageId,
    url: imageUrl(origin, imageId),
    signed_url: signedUrl({ origin, imageId, expiresAt, secret }),
    width: facts.width,
    height: facts.height,
    media_type: facts.mediaType,
    bytes: facts.bytes,
    sha256: facts.sha256,
    seed: facts.seed,
    created_at: new Date(facts.createdAt).toISOString(),
    expires_at: new Date(expiresAt).toISOString(),
    request_id: facts.requestId,
  };
}
