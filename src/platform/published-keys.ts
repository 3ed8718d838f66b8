/** Public keys as anybody may fetch them: a JWK set (RFC 7517), the same shape for every purpose. */
import { z } from '@hono/zod-openapi';
import { jsonAnswer } from './openapi';

/**
 * How long a verifier may go without knowing a new key. More would spare requests, and lengthen the
 * time that the operator has to publish an old key next to a new one.
 */
const MAX_AGE_SECONDS = 3_600;

export const publicKeySchema = z
  .object({
    kty: z.literal('OKP'),
    crv: z.literal('Ed25519'),
    x: z.string().describe('The 32 bytes of the key in base64url'),
    kid: z.string().describe('Its RFC 7638 thumbprint'),
    alg: z.literal('EdDSA'),
    use: z.literal('sig'),
  })
  .openapi('PublicKey');

export const keysAnswer = <Key extends z.ZodType>(key: Key) =>
  jsonAnswer(
    z.object({ keys: z.array(key).describe('The one that signs comes first') }),
    'A JWK set',
  );

/** They are no secret: any page may read them, whatever CORS_ORIGINS says, and any cache keep them. */
export const publishedHeaders: Readonly<Record<string, string>> = {
  'access-control-allow-origin': '*',
  'cross-origin-resource-policy': 'cross-origin',
  'cache-control': `public, max-age=${MAX_AGE_SECONDS}`,
};
