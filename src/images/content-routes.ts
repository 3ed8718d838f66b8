/** The bytes of images: to their owner by key, and to anybody by a signed link. */
import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import type { Authenticate } from '../accounts/authenticate';
import { type HttpEnv, validationHook } from '../platform/http';
import { apiKeySecurity, problemResponses } from '../platform/openapi';
import { contentResponse } from './content';
import { openLink } from './links';
import type { ImageContent } from './serving';
import { mediaTypes } from './types';
import { readVariant } from './variants/asking';
import { variantFormats, variantWidths } from './variants/plan';

export interface ContentRouteDeps {
  readonly authenticate: Authenticate;
  readonly content: Pick<ImageContent, 'open' | 'openShared'>;
  readonly linkSecret: string;
  readonly now: () => number;
}

const binary = z.string().openapi({ format: 'binary' });
const bytes = Object.fromEntries(mediaTypes.map((type) => [type, { schema: binary }]));

const contentRoute = createRoute({
  method: 'get',
  path: '/v1/images/{id}/content',
  tags: ['Images'],
  security: [...apiKeySecurity, {}],
  summary: 'The bytes of an image, by key or by signed link',
  description:
    'With `expires` and `signature` no key is looked at. A wrong signature is answered like an ' +
    'unknown image, with 404; a genuine link past its time with 410. One range is served (206); a ' +
    'request for several is answered with the whole image. HEAD works too. With `width` or `format` ' +
    'it is a copy, made when it is first asked for and gone with its image: 422 with the code ' +
    '`image_too_large_to_convert` or `image_not_convertible` where none can be made. A deleted image ' +
    'may be opened by a link for another minute.',
  request: {
    params: z.object({ id: z.string().openapi({ example: 'img_0…_1_0' }) }),
    query: z.object({
      expires: z.string().optional().describe('Of a signed link: epoch seconds'),
      signature: z.string().optional().describe('Of a signed link'),
      width: z
        .string()
        .optional()
        .describe('In pixels; the height follows. An image is never enlarged')
        .openapi({ type: 'integer', enum: [...variantWidths] }),
      format: z
        .string()
        .optional()
        .describe('By default the image’s own, and png for a GIF, of which it is the first picture')
        .openapi({ enum: [...variantFormats] }),
      download: z
        .string()
        .optional()
        .describe('Saved rather than shown: under this name, or its own if it is empty')
        .openapi({ example: 'sunset.png' }),
    }),
  },
  responses: {
    200: { description: 'The image', content: bytes },
    206: { description: 'The range asked for', content: bytes },
    304: { description: 'The client has it already' },
    ...problemResponses(401, 403, 404, 410, 416, 422, 503),
  },
});

export function createContentRoutes(deps: ContentRouteDeps): OpenAPIHono<HttpEnv> {
  const { authenticate, content, linkSecret } = deps;
  const app = new OpenAPIHono<HttpEnv>({ defaultHook: validationHook });

  app.openapi(contentRoute, async (c) => {
    const now = deps.now();
    const { id } = c.req.valid('param');
    const query = c.req.valid('query');
    const expiresAt = openLink({ id, ...query, secret: linkSecret, now });
    const reader =
      expiresAt === null
        ? await authenticate.principal(c.get('asking'), 'requests:read')
        : { via: 'link' as const, expiresAt };
    const wanted = {
      id,
      variant: readVariant(query),
      now,
      headOnly: c.req.method === 'HEAD',
      asked: {
        ifNoneMatch: c.req.header('if-none-match') ?? null,
        ifModifiedSince: c.req.header('if-modified-since') ?? null,
        range: c.req.header('range') ?? null,
        ifRange: c.req.header('if-range') ?? null,
      },
    };
    const opened =
      reader.via === 'link'
        ? await content.openShared(wanted)
        : await content.open({ ...wanted, viewer: reader.userId });
    return contentResponse(opened, { opener: reader, download: query.download ?? null, now });
  });

  return app;
}
