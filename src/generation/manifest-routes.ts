/** How an image was made, signed, and what that is verified by. */
import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import type { Authenticate } from '../accounts/authenticate';
import { openLink } from '../images/links';
import { type HttpEnv, validationHook } from '../platform/http';
import { apiKeySecurity, jsonAnswer, problemResponses } from '../platform/openapi';
import { keysAnswer, publicKeySchema, publishedHeaders } from '../platform/published-keys';
import { manifestSchema } from './manifest';
import type { ManifestService } from './manifest-service';

/** A manifest ends with its image; more would keep that of a deleted one in shared caches for longer. */
const LINK_MAX_AGE_SECONDS = 60;

const tags = ['Provenance'];

const signedSchema = z
  .object({
    manifest: manifestSchema,
    jws: z
      .string()
      .describe(
        'The same manifest as a JWS (RFC 7515, compact, EdDSA): rely on the payload of this one, ' +
          'verified by a key of `/.well-known/manifest-keys.json`',
      ),
  })
  .openapi('SignedManifest');

const manifestRoute = createRoute({
  method: 'get',
  path: '/v1/images/{id}/manifest',
  tags,
  security: [...apiKeySecurity, {}],
  summary: 'How an image was made, signed, by key or by signed link',
  description:
    'The query of the image’s `signed_url` opens it as well: whoever may see an image may see how it ' +
    'was made, though not what it cost. The prompt is not in it, only its SHA-256. Uploads have none and are answered with ' +
    '404, as is an image that was deleted.',
  request: {
    params: z.object({ id: z.string().openapi({ example: 'img_0…_1_0' }) }),
    query: z.object({
      expires: z.string().optional().describe('Of a signed link: epoch seconds'),
      signature: z.string().optional().describe('Of a signed link'),
    }),
  },
  responses: {
    200: jsonAnswer(signedSchema, 'The manifest'),
    ...problemResponses(401, 403, 404, 410, 422, 503),
  },
});

const keysRoute = createRoute({
  method: 'get',
  path: '/.well-known/manifest-keys.json',
  tags,
  security: [],
  summary: 'The public keys that sign manifests',
  responses: { 200: keysAnswer(publicKeySchema), ...problemResponses(429) },
});

export function createManifestRoutes(deps: {
  readonly authenticate: Authenticate;
  readonly manifests: ManifestService;
  readonly linkSecret: string;
  readonly now: () => number;
}): OpenAPIHono<HttpEnv> {
  const { authenticate, manifests, linkSecret: secret } = deps;
  const app = new OpenAPIHono<HttpEnv>({ defaultHook: validationHook });

  app.openapi(manifestRoute, async (c) => {
    const now = deps.now();
    const { id } = c.req.valid('param');
    const linkEndsAt = openLink({ id, ...c.req.valid('query'), secret, now });
    const isLink = linkEndsAt !== null;
    const viewer = isLink
      ? null
      : (await authenticate.principal(c.get('asking'), 'requests:read')).userId;
    const { manifest, jws, expiresAt } = await manifests.get({ id, viewer, now });
    const endsAt = Math.min(expiresAt, linkEndsAt ?? expiresAt);
    const maxAge = Math.min(LINK_MAX_AGE_SECONDS, Math.max(0, Math.floor((endsAt - now) / 1000)));
    c.header('Cache-Control', isLink ? `public, max-age=${maxAge}` : 'private, no-cache');
    if (!isLink) c.header('Vary', 'Authorization');
    return c.json({ manifest, jws }, 200);
  });

  app.openapi(keysRoute, async (c) =>
    c.json({ keys: [...(await manifests.keys())] }, 200, publishedHeaders),
  );

  return app;
}
