/** The record of who did what, and when: what an event holds, and how one is made. Pure. */
import type { By } from '../../platform/actor';
import { type AuditId, newId, type UserId } from '../../platform/ids';
import type { JsonObject } from '../../platform/json';
import { type Actor, type Credential, externalIdOf, holderOf } from '../types';

export const auditActions = [
  'user.created',
  'user.changed',
  'user.suspended',
  'user.resumed',
  'user.deletion_started',
  'user.deleted',
  'key.created',
  'key.rotated',
  'key.revoked',
  'key.first_used',
  'grant.created',
  'grant.revoked',
  'request.deleted',
  'image.deleted',
  'webhook.created',
  'webhook.changed',
  'webhook.deleted',
  'webhook.secret_rotated',
  'webhook.replayed',
  'webhook.disabled',
  'webhook.enabled',
  'style.created',
  'style.changed',
  'style.deleted',
  'breaker.reset',
  'dead_letter.replayed',
  'dead_letter.deleted',
] as const;
export type AuditAction = (typeof auditActions)[number];

export interface AuditEvent {
  readonly id: AuditId;
  readonly at: number;
  readonly action: AuditAction;
  readonly actor: Actor;
  readonly address: string | null;
  readonly correlationId: string;
  /** Whose things were touched; null for what belongs to no user. */
  readonly userId: UserId | null;
  /** The id of what was touched, other than the user. */
  readonly target: string | null;
  /** What was changed. Never a prompt, a secret or a key. */
  readonly details: JsonObject;
}

/** A client that acts on its own things. */
export function byOf(credential: Credential): By {
  return { actor: actorOf(credential), from: credential.from };
}

function actorOf(credential: Credential): Actor {
  if (credential.via === 'grant') {
    return { type: 'grant', id: `${credential.mintedBy.keyId}|${credential.clientId}` };
  }
  const holder = holderOf(credential);
  return holder.via === 'key'
    ? { type: 'key', id: holder.keyId }
    : { type: 'token', id: externalIdOf(holder) };
}

export function auditEvent(
  by: By,
  what: Pick<AuditEvent, 'action' | 'userId' | 'target'> & { readonly details?: JsonObject },
  now: number,
): AuditEvent {
  const { address, correlationId } = by.from;
  const base = { id: newId('aud', now), at: now, actor: by.actor, address, correlationId };
  return { details: {}, ...what, ...base };
}
