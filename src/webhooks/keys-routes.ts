/** What webhooks are verified by (`v1a`), one set of keys per user, open to anybody. */
import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { AppError } from '../platform/errors';
import { type HttpEnv, validationHook } from '../platform/http';
import { isId } from '../platform/ids';
import { problemResponses } from '../platform/openapi';
import { keysAnswer, publicKeySchema, publishedHeaders } from '../platform/published-keys';
import type { SigningKeys } from '../platform/signing-keys';
import { spellPublicKey, webhookPurpose } from './signature';

const SUFFIX = '.json';

const webhookKeySchema = publicKeySchema
  .extend({ whpk: z.string().describe('The same key as Standard Webhooks spells it') })
  .openapi('WebhookPublicKey');

const keysRoute = createRoute({
  method: 'get',
  path: '/.well-known/webhooks-keys/{file}',
  tags: ['Webhooks'],
  security: [],
  summary: 'The public keys that sign the webhooks of a user',
  description:
    'For `v1a` in `webhook-signature`. Every id of the right form has keys, so the answer does not ' +
    'tell whether there is such a user. Fetch them again when none of them verifies a webhook.',
  request: {
    params: z.object({
      file: z.string().openapi({ description: '`{user id}.json`', example: 'usr_0….json' }),
    }),
  },
  responses: { 200: keysAnswer(webhookKeySchema), ...problemResponses(404, 429) },
});

export function createWebhookKeyRoutes({
  signingKeys,
}: {
  readonly signingKeys: SigningKeys;
}): OpenAPIHono<HttpEnv> {
  const app = new OpenAPIHono<HttpEnv>({ defaultHook: validationHook });
  app.openapi(keysRoute, async (c) => {
    const { file } = c.req.valid('param');
    const userId = file.slice(0, -SUFFIX.length);
    if (!file.endsWith(SUFFIX) || !isId('usr', userId)) {
      throw new AppError('not_found', 'The path ends with the id of a user and .json.');
    }
    const keys = await signingKeys.publicKeysFor(webhookPurpose(userId));
    const spelled = keys.map((key) => ({ ...key, whpk: spellPublicKey(key) }));
    return c.json({ keys: spelled }, 200, publishedHeaders);
  });
  return app;
}
