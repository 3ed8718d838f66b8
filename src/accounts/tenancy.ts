/**
 * What can be done to one user's account and keys, inside the user's foreman. Each function is part
 * of one transaction there, and safe to call again: a retried call finds its work done.
 */
import { timingSafeEqual } from 'node:crypto';
import { freshUsage, rollOver } from './admission';
import * as rows from './limits';
import type { Account, Authorization, Credential, KeyId, KeyRecord, Limits, Scope } from './types';

interface Rows {
  readonly sql: SqlStorage;
}

interface RowsNow extends Rows {
  readonly now: number;
}

export type NewAccount = Omit<rows.StoredAccount, 'version'>;

/** What `GET /v1/me` tells: who the key belongs to, and what is used of the limits. */
export interface Me {
  readonly account: Account;
  readonly key: { readonly id: KeyId; readonly name: string; readonly scopes: readonly Scope[] };
  readonly usage: {
    readonly running: number;
    readonly waiting: number;
    readonly unitsToday: number;
    readonly spentMicros: number;
    readonly reservedMicros: number;
  };
}

export function createAccount({ sql, now }: RowsNow, input: NewAccount): Account {
  const existing = rows.loadAccount(sql);
  if (existing) return withoutSecret(existing);
  const account = { ...input, version: 1 };
  rows.saveAccount(sql, account);
  rows.saveUsage(sql, freshUsage(input.limits, now));
  return withoutSecret(account);
}

export function getAccount({ sql }: Rows): Account | null {
  const stored = rows.loadAccount(sql);
  return stored && withoutSecret(stored);
}

/** Null without an account. What is in the bucket stays; a smaller burst caps it when next read. */
export function changeLimits({ sql }: Rows, changes: Partial<Limits>): Account | null {
  const stored = rows.loadAccount(sql);
  if (!stored) return null;
  return raiseVersion(sql, { ...stored, limits: { ...stored.limits, ...changes } });
}

/** Null without an account. */
export function addKey({ sql }: Rows, key: KeyRecord): KeyRecord | null {
  const stored = rows.loadAccount(sql);
  if (!stored) return null;
  const existing = rows.findKey(sql, key.id);
  if (existing) return existing;
  const { version } = raiseVersion(sql, stored);
  rows.saveKey(sql, { key, version });
  return key;
}

/** Null for an unknown key. The first revocation keeps its time. */
export function revokeKey({ sql, now }: RowsNow, id: KeyId): KeyRecord | null {
  const stored = rows.loadAccount(sql);
  const key = rows.findKey(sql, id);
  if (!stored || !key || key.revokedAt !== null) return key;
  const revoked = { ...key, revokedAt: now };
  const { version } = raiseVersion(sql, stored);
  rows.saveKey(sql, { key: revoked, version });
  return revoked;
}

/** Null without an account. */
export function listKeys({ sql }: Rows): KeyRecord[] | null {
  return rows.loadAccount(sql) ? rows.listKeys(sql) : null;
}

/** Whether this key is active and may do this; `null` asks for no scope. */
export function checkCredential(
  sql: SqlStorage,
  credential: Credential,
  scope: Scope | null,
): Authorization {
  const key = rows.findKey(sql, credential.keyId);
  if (!key || key.revokedAt !== null || !sameHash(key.secretHash, credential.secretHash)) {
    return { ok: false, code: 'unauthorized' };
  }
  if (scope !== null && !key.scopes.includes(scope)) return { ok: false, code: 'forbidden' };
  return { ok: true, scopes: key.scopes, name: key.name };
}

/** Null when the key may not read. How many requests run and wait is the foreman's to say. */
export function describe(
  { sql, now }: RowsNow,
  input: { readonly credential: Credential; readonly running: number; readonly waiting: number },
): Me | null {
  const { credential, running, waiting } = input;
  const allowed = checkCredential(sql, credential, 'requests:read');
  const account = getAccount({ sql });
  const stored = rows.loadUsage(sql);
  if (!allowed.ok || !account || !stored) return null;
  const { unitsToday, spentMicros, reservedMicros } = rollOver(stored, now);
  return {
    account,
    key: { id: credential.keyId, name: allowed.name, scopes: allowed.scopes },
    usage: { running, waiting, unitsToday, spentMicros, reservedMicros },
  };
}

function raiseVersion(sql: SqlStorage, stored: rows.StoredAccount): Account {
  const next = { ...stored, version: stored.version + 1 };
  rows.saveAccount(sql, next);
  return withoutSecret(next);
}

function withoutSecret(stored: rows.StoredAccount): Account {
  const { webhookSecret: _, ...account } = stored;
  return account;
}

function sameHash(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.byteLength === right.byteLength && timingSafeEqual(left, right);
}
