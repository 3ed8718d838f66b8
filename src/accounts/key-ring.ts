/**
 * A user's keys, inside the user's foreman: who may do what. Each function is part of one transaction
 * there, and safe to call again: a retried call finds its work done.
 */
import { timingSafeEqual } from 'node:crypto';
import { auditEvent } from './audit';
import { createAudit } from './audit-rows';
import * as rows from './limits';
import type {
  Authorization,
  By,
  Credential,
  KeyCredential,
  KeyId,
  KeyRecord,
  Scope,
  TokenCredential,
} from './types';

interface RowsNow {
  readonly sql: SqlStorage;
  readonly now: number;
}

/** Null without an account. */
export function addKey({ sql, now }: RowsNow, key: KeyRecord, by: By): KeyRecord | null {
  const stored = rows.loadAccount(sql);
  if (!stored) return null;
  const existing = rows.findKey(sql, key.id);
  if (existing) return existing;
  const { version } = rows.raiseVersion(sql, stored);
  rows.saveKey(sql, { key, version });
  const { name, scopes, expiresAt } = key;
  const details = { name, scopes: [...scopes], expires_at: expiresAt };
  const what = { userId: stored.userId, target: key.id, details };
  createAudit(sql, auditEvent(by, { action: 'key.created', ...what }, now));
  return key;
}

/** Null for an unknown key. The first revocation keeps its time. */
export function revokeKey({ sql, now }: RowsNow, id: KeyId, by: By): KeyRecord | null {
  const stored = rows.loadAccount(sql);
  const key = rows.findKey(sql, id);
  if (!stored || !key || key.revokedAt !== null) return key;
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

type Grant = Pick<KeyRecord, 'name' | 'scopes' | 'expiresAt'>;

function grantOf({ sql, now }: RowsNow, credential: Credential): Grant | null {
  const grant = credential.via === 'key' ? grantOfKey(sql, credential) : grantOfToken(credential);
  return grant && (grant.expiresAt === null || now < grant.expiresAt) ? grant : null;
}

function grantOfKey(sql: SqlStorage, { keyId, secretHash }: KeyCredential): Grant | null {
  const key = rows.findKey(sql, keyId);
  return key && key.revokedAt === null && sameHash(key.secretHash, secretHash) ? key : null;
}

const grantOfToken = ({ subject, scopes, expiresAt }: TokenCredential): Grant => ({
  name: subject,
  scopes,
  expiresAt,
});

function sameHash(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.byteLength === right.byteLength && timingSafeEqual(left, right);
}
