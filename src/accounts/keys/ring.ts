/**
 * A user's keys, inside the user's foreman: who may do what. Each function is part of one transaction
 * there, and safe to call again: a retried call finds its work done.
 */
import { timingSafeEqual } from 'node:crypto';
import { auditEvent } from '../audit/event';
import { createAudit } from '../audit/rows';
import * as grants from '../grants/rows';
import * as rows from '../limits';
import type {
  Authorization,
  By,
  Credential,
  GrantCredential,
  KeyCredential,
  KeyId,
  KeyRecord,
  Scope,
  TicketCredential,
  TokenCredential,
} from '../types';

interface RowsNow {
  readonly sql: SqlStorage;
  readonly now: number;
}

/** An account that is going for good gets no more keys. */
export type Going = { readonly outcome: 'deleting' };
const GOING: Going = { outcome: 'deleting' };

/** Null without an account. */
export function addKey({ sql, now }: RowsNow, key: KeyRecord, by: By): KeyRecord | Going | null {
  const stored = rows.loadAccount(sql);
  if (!stored) return null;
  if (stored.status === 'deleting') return GOING;
  const existing = rows.findKey(sql, key.id);
  if (existing) return existing;
  const { version } = rows.raiseVersion(sql, stored);
  rows.saveKey(sql, { key, version });
  const { name, scopes } = key;
  const details = { name, scopes: [...scopes], expires_at: isoOf(key.expiresAt) };
  const what = { userId: stored.userId, target: key.id, details };
  createAudit(sql, auditEvent(by, { action: 'key.created', ...what }, now));
  return key;
}

/** A key to take the place of another: name and scopes are the other's. */
export interface Rotation {
  readonly id: KeyId;
  readonly successor: Omit<KeyRecord, 'name' | 'scopes' | 'replaces'>;
  /** How long the other goes on being good, if it has so long. */
  readonly overlapMs: number;
  /** The successor expires when the other would have. */
  readonly keepsExpiry: boolean;
}

export type RotateAnswer =
  | { readonly outcome: 'rotated'; readonly key: KeyRecord }
  | { readonly outcome: 'revoked' | 'expired' }
  | { readonly outcome: 'replaced'; readonly by: KeyId }
  | Going;

/** Null for an unknown key. */
export function rotateKey({ sql, now }: RowsNow, rotation: Rotation, by: By): RotateAnswer | null {
  const { id, successor, overlapMs, keepsExpiry } = rotation;
  const stored = rows.loadAccount(sql);
  const old = rows.findKey(sql, id);
  if (!stored || !old) return null;
  if (stored.status === 'deleting') return GOING;
  const replacement = rows.listKeys(sql).find(({ replaces }) => replaces === id);
  if (replacement?.id === successor.id) return { outcome: 'rotated', key: replacement };
  if (old.revokedAt !== null) return { outcome: 'revoked' };
  if (hasExpired(old, now)) return { outcome: 'expired' };
  if (replacement) return { outcome: 'replaced', by: replacement.id };
  const expiresAt = Math.min(old.expiresAt ?? Number.POSITIVE_INFINITY, now + overlapMs);
  const { name, scopes } = old;
  const ownExpiry = keepsExpiry ? old.expiresAt : successor.expiresAt;
  const key = { ...successor, name, scopes, expiresAt: ownExpiry, replaces: id };
  const { version } = rows.raiseVersion(sql, stored);
  rows.saveKey(sql, { key: { ...old, expiresAt }, version });
  rows.saveKey(sql, { key, version });
  const ends = { old_expires_at: isoOf(expiresAt), expires_at: isoOf(key.expiresAt) };
  const details = { replaced_by: key.id, ...ends };
  const what = { userId: stored.userId, target: id, details };
  createAudit(sql, auditEvent(by, { action: 'key.rotated', ...what }, now));
  return { outcome: 'rotated', key };
}

/**
 * Null for an unknown key. The first revocation keeps its time. With an account that is going for good
 * every key has lost its power, and goes too: there is nothing to revoke.
 */
export function revokeKey({ sql, now }: RowsNow, id: KeyId, by: By): KeyRecord | null {
  const stored = rows.loadAccount(sql);
  const key = rows.findKey(sql, id);
  if (!stored || !key || key.revokedAt !== null || stored.status === 'deleting') return key;
  const revoked = { ...key, revokedAt: now };
  const { version } = rows.raiseVersion(sql, stored);
  rows.saveKey(sql, { key: revoked, version });
  const what = { userId: stored.userId, target: id };
  createAudit(sql, auditEvent(by, { action: 'key.revoked', ...what }, now));
  return revoked;
}

/** Null without an account. */
export function listKeys({ sql }: Pick<RowsNow, 'sql'>): KeyRecord[] | null {
  return rows.loadAccount(sql) ? rows.listKeys(sql) : null;
}

/** Whether this credential is good now and may do this; `null` asks for no scope. */
export function checkCredential(
  { sql, now }: RowsNow,
  credential: Credential,
  scope: Scope | null,
): Authorization {
  const account = rows.loadAccount(sql);
  const grant = grantOf({ sql, now }, credential);
  if (!account || !grant || account.status === 'deleting')
    return { ok: false, code: 'unauthorized' };
  if (account.status === 'suspended') return { ok: false, code: 'account_suspended' };
  const { name, scopes, expiresAt } = grant;
  if (scope !== null && !scopes.includes(scope)) return { ok: false, code: 'forbidden' };
  return { ok: true, name, scopes, until: expiresAt };
}

/** What trades how well `lastUsedAt` is known against a row per call. */
const USE_NOTED_FOR_MS = 600_000;
const DAY_MS = 86_400_000;

/** Whether a use now adds nothing to what is known of the last one. */
export function isUseNoted({ sql, now }: RowsNow, { keyId }: KeyCredential): boolean {
  const lastUsedAt = rows.findKey(sql, keyId)?.lastUsedAt ?? Number.NEGATIVE_INFINITY;
  return now - lastUsedAt < USE_NOTED_FOR_MS;
}

/**
 * For a credential that passed and whose use is not noted. Says whether D1 is to hear of it: of the
 * first use ever, and of the first of a day (UTC).
 */
export function noteUse({ sql, now }: RowsNow, { keyId, from }: KeyCredential): boolean {
  const stored = rows.loadAccount(sql);
  const key = rows.findKey(sql, keyId);
  if (!stored || !key) return false;
  const { lastUsedAt } = key;
  const used = { ...key, lastUsedAt: now };
  if (lastUsedAt !== null && dayOf(lastUsedAt) === dayOf(now)) {
    rows.saveKeyQuietly(sql, used);
    return false;
  }
  const { version } = rows.raiseVersion(sql, stored);
  rows.saveKey(sql, { key: used, version });
  if (lastUsedAt === null) {
    const by: By = { actor: { type: 'key', id: keyId }, from };
    const what = { userId: stored.userId, target: keyId };
    createAudit(sql, auditEvent(by, { action: 'key.first_used', ...what }, now));
  }
  return true;
}

const dayOf = (at: number) => Math.floor(at / DAY_MS);

type Grant = Pick<KeyRecord, 'name' | 'scopes' | 'expiresAt'>;

function grantOf({ sql, now }: RowsNow, credential: Credential): Grant | null {
  const grant = grantBefore(sql, credential);
  return grant && !hasExpired(grant, now) ? grant : null;
}

/** Whether it has expired is another question. */
function grantBefore(sql: SqlStorage, credential: Credential): Grant | null {
  switch (credential.via) {
    case 'key':
      return grantOfKey(sql, credential);
    case 'token':
      return grantOfToken(credential);
    case 'ticket':
      return grantOfTicket(sql, credential);
    case 'grant':
      return grantOfApp(sql, credential);
  }
}

const hasExpired = ({ expiresAt }: Pick<KeyRecord, 'expiresAt'>, now: number) =>
  expiresAt !== null && expiresAt <= now;

const isoOf = (at: number | null) => (at === null ? null : new Date(at).toISOString());

function grantOfKey(sql: SqlStorage, { keyId, secretHash }: KeyCredential): Grant | null {
  const key = rows.findKey(sql, keyId);
  return key && key.revokedAt === null && sameHash(key.secretHash, secretHash) ? key : null;
}

const grantOfToken = ({
  subject,
  scopes,
  expiresAt,
}: Pick<TokenCredential, 'subject' | 'scopes' | 'expiresAt'>): Grant => ({
  name: subject,
  scopes,
  expiresAt,
});

/** It was signed here, so it names a key by its id alone. It reads, whatever else its minter may do. */
function grantOfTicket(sql: SqlStorage, { mintedBy }: TicketCredential): Grant | null {
  const key = mintedBy.via === 'key' ? rows.findKey(sql, mintedBy.keyId) : null;
  const minter = mintedBy.via === 'token' ? grantOfToken(mintedBy) : key;
  if (!minter || (key && key.revokedAt !== null)) return null;
  const { name, scopes, expiresAt } = minter;
  return { name, scopes: scopes.filter((scope) => scope === 'requests:read'), expiresAt };
}

/** An app may do what was agreed to and its key may do, for as long as there is both. */
function grantOfApp(sql: SqlStorage, credential: GrantCredential): Grant | null {
  const { grantId, mintedBy } = credential;
  const key = rows.findKey(sql, mintedBy.keyId);
  if (!key || key.revokedAt !== null || !grants.isOpen(sql, grantId)) return null;
  const expiresAt = Math.min(credential.expiresAt, key.expiresAt ?? Number.POSITIVE_INFINITY);
  const scopes = key.scopes.filter((scope) => credential.scopes.includes(scope));
  return { name: key.name, scopes, expiresAt };
}

function sameHash(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.byteLength === right.byteLength && timingSafeEqual(left, right);
}
