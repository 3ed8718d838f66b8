/** Standard Webhooks 1.0.0, symmetric signatures: how a receiver knows a webhook is ours and new. */
import { createHmac, randomBytes } from 'node:crypto';

const PREFIX = 'whsec_';

/** The specification asks for 24 to 64 bytes; 32 is the width of the hash. */
const SECRET_BYTES = 32;
const MIN_SECRET_BYTES = 24;

/** A new signing secret: `whsec_` and 32 random bytes in base64. */
export function createSecret(): string {
  return PREFIX + randomBytes(SECRET_BYTES).toString('base64');
}

/**
 * The `webhook-signature` header: `v1,<base64>` for each secret, separated by spaces, so that
 * receivers with the old or the new secret both verify during a rotation. `id` and
 * `timestampSeconds` (whole epoch seconds) must be sent as they are given here.
 * @throws Error when there is no secret or one is not of `createSecret`'s form; never quotes it.
 */
export function signWebhook(input: {
  readonly id: string;
  readonly timestampSeconds: number;
  readonly body: string;
  readonly secrets: readonly string[];
}): string {
  if (input.secrets.length === 0) throw new Error('A webhook needs at least one signing secret.');
  const content = `${input.id}.${input.timestampSeconds}.${input.body}`;
  return input.secrets
    .map((secret) => {
      const mac = createHmac('sha256', keyOf(secret)).update(content, 'utf8').digest('base64');
      return `v1,${mac}`;
    })
    .join(' ');
}

function keyOf(secret: string): Uint8Array {
  const key = Buffer.from(secret.slice(PREFIX.length), 'base64');
  if (!secret.startsWith(PREFIX) || key.length < MIN_SECRET_BYTES) {
    throw new Error('A webhook signing secret is malformed.');
  }
  return key;
}
