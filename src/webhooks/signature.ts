/**
 * Standard Webhooks 1.0.0: how a receiver knows a webhook is ours and new. By the secret it shares
 * with us (`v1`), or by the public key of its user (`v1a`), with which it can verify and not sign.
 */
import { createHmac, randomBytes } from 'node:crypto';
import type { UserId } from '../platform/ids';
import type { KeyPair, PublicKey } from '../platform/signing-keys';

const PREFIX = 'whsec_';
const PUBLIC_PREFIX = 'whpk_';

/** The specification asks for 24 to 64 bytes; 32 is the width of the hash. */
const SECRET_BYTES = 32;
const MIN_SECRET_BYTES = 24;

/** A new signing secret: `whsec_` and 32 random bytes in base64. */
export function createSecret(): string {
  return PREFIX + randomBytes(SECRET_BYTES).toString('base64');
}

/**
 * A pair per user: any user can have Foreman sign what it likes and send it where it likes, so one
 * for all would let each speak to the others' receivers.
 */
export const webhookPurpose = (userId: UserId) => `foreman.webhook.v1\n${userId}`;

/** As the specification spells it: `whpk_` and the 32 bytes in base64. */
export function spellPublicKey({ x }: Pick<PublicKey, 'x'>): string {
  return PUBLIC_PREFIX + Buffer.from(x, 'base64url').toString('base64');
}

/**
 * The `webhook-signature` header: `v1,<base64>` for each secret, so that receivers with the old or
 * the new one both verify during a rotation, then `v1a,<base64>` by the pair, separated by spaces.
 * `id` and `timestampSeconds` (whole epoch seconds) must be sent as they are given here.
 * @throws Error when there is no secret or one is not of `createSecret`'s form; never quotes it.
 */
export async function signWebhook(input: {
  readonly id: string;
  readonly timestampSeconds: number;
  readonly body: string;
  readonly secrets: readonly string[];
  readonly pair: Pick<KeyPair, 'privateKey'>;
}): Promise<string> {
  if (input.secrets.length === 0) throw new Error('A webhook needs at least one signing secret.');
  const content = Buffer.from(`${input.id}.${input.timestampSeconds}.${input.body}`);
  const macs = input.secrets.map((secret) => {
    const mac = createHmac('sha256', keyOf(secret)).update(content).digest('base64');
    return `v1,${mac}`;
  });
  const signature = await crypto.subtle.sign('Ed25519', input.pair.privateKey, content);
  return [...macs, `v1a,${Buffer.from(signature).toString('base64')}`].join(' ');
}

function keyOf(secret: string): Uint8Array {
  const key = Buffer.from(secret.slice(PREFIX.length), 'base64');
  if (!secret.startsWith(PREFIX) || key.length < MIN_SECRET_BYTES) {
    throw new Error('A webhook signing secret is malformed.');
  }
  return key;
}
