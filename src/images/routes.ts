/** Images to their owner by key, and to anybody by a signed link. */
import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { Authenticate } from '../accounts/authenticate';
import { type HttpEnv, validationHook } from '../platform/http';
import { apiKeySecurity, problemResponses } from '../platform/openapi';
import { contentResponse } from './content';
import { imageNotFound, linkExpired } from './errors';
import { imageUrl, signedUrl, verifyLink } from './links';
import type { ImageService } from './service';
import type { ImageFacts } from './store';
import { imageViewSchema, mediaTypes } from './types';

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
  .extend({ request_id: z.string().describe('The request that made it') })
  .openapi('ImageDetails');

const describeRoute = createRoute({
  method: 'get',
  path: '/v1/images/{id}',
  tags,
  security: apiKeySecurity,
  summary: 'What an image is, with a fresh signed link',
  request: { params },
  responses: {
    200: { description: 'The image', content: { 'application/json': { schema: imageSchema } } },
    ...problemResponses(401, 403, 404, 503),
  },
});

export function createImageRoutes(deps: ImageRouteDeps): OpenAPIHono<HttpEnv> {
  const { authenticate, images, linkSecret } = deps;
  const app = new OpenAPIHono<HttpEnv>({ defaultHook: validationHook });

  const owner = async (c: Context<HttpEnv>) =>
    (await authenticate.principal(c.req.raw.headers, 'requests:read')).userId;

  app.openapi(contentRoute, async (c) => {
    const now = deps.now();
    const { id } = c.req.valid('param');
    const linkExpiresAt = openLink({ id, ...c.req.valid('query'), secret: linkSecret, now });
    const opened = await images.open({
      id,
      viewer: linkExpiresAt === null ? await owner(c) : null,
      now,
      headOnly: c.req.method === 'HEAD',
      asked: {
        ifNoneMatch: c.req.header('if-none-match') ?? null,
        ifModifiedSince: c.req.header('if-modified-since') ?? null,
        range: c.req.header('range') ?? null,
        ifRange: c.req.header('if-range') ?? null,
      },
    });
    return contentResponse(opened, { linkExpiresAt, now });
  });

  app.openapi(describeRoute, async (c) => {
    const { id } = c.req.valid('param');
    const facts = await images.describe({ id, viewer: await owner(c), now: deps.now() });
    c.header('Cache-Control', 'private, no-cache');
    return c.json(presentImage(facts, { origin: c.get('origin'), linkSecret }), 200);
  });

  return app;
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
  facts: ImageFacts,
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
