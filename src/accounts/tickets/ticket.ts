/**
 * A ticket opens what is watched where no header can be sent, as a browser's EventSource and
 * WebSocket send none: a signed text that says whose things it opens, which of them, by whose leave,
 * and until when. Nothing is stored for it: it is worth no more than the key or token behind it.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { isId, type KeyId, type RequestId, type UserId } from '../../platform/ids';
import { type Minter, scopes } from '../types';

/** Ahead of every signed text, so that no other use of the secret can yield a ticket. */
const DOMAIN = 'foreman.ticket.v1';
/** Twice what the longest subject of a token takes. */
const MAX_TEXT_CHARS = 4_096;

export interface Ticket {
  readonly userId: UserId;
  /** Null: all requests of the user. */
  readonly requestId: RequestId | null;
  readonly mintedBy: Minter;
  /** Epoch ms. Nothing is opened with it from then on; what is open stays open. */
  readonly expiresAt: number;
}

const contentSchema = z.object({
  user: z.custom<UserId>((value) => typeof value === 'string' && isId('usr', value)),
  request: z.custom<RequestId | null>(
    (value) => value === null || (typeof value === 'string' && isId('req', value)),
  ),
  by: z.discriminatedUnion('via', [
    z.object({
      via: z.literal('key'),
      keyId: z.custom<KeyId>((value) => typeof value === 'string' && isId('key', value)),
    }),
    z.object({
      via: z.literal('token'),
      issuer: z.string(),
      subject: z.string(),
      scopes: z.array(z.enum(scopes)),
      expiresAt: z.number(),
    }),
  ]),
  until: z.number(),
});

/** `<base64url of JSON>.<base64url of HMAC-SHA-256>` */
export function signTicket(ticket: Ticket, secret: string): string {
  const { userId: user, requestId: request, mintedBy: by, expiresAt: until } = ticket;
  const content = JSON.stringify({ user, request, by, until });
  const encoded = Buffer.from(content).toString('base64url');
  return `${encoded}.${signatureOf(encoded, secret)}`;
}

/** Null for whatever is not genuine, and for what has ended. */
export function readTicket(text: string, { secret, now }: { secret: string; now: number }) {
  const [encoded = '', signature = '', ...rest] = text.split('.');
  if (rest.length > 0 || text.length > MAX_TEXT_CHARS) return null;
  // As text, because base64url has several spellings for the same bytes.
  const expected = Buffer.from(signatureOf(encoded, secret));
  const given = Buffer.from(signature);
  if (given.byteLength !== expected.byteLength || !timingSafeEqual(given, expected)) return null;
  const content = contentSchema.parse(JSON.parse(Buffer.from(encoded, 'base64url').toString()));
  const { user: userId, request: requestId, by: mintedBy, until: expiresAt } = content;
  const ticket: Ticket = { userId, requestId, mintedBy, expiresAt };
  return now < expiresAt ? ticket : null;
}

function signatureOf(encoded: string, secret: string): string {
  return createHmac('sha256', secret).update(`${DOMAIN}\n${encoded}`).digest('base64url');
}
