/**
 * What can be done to one user's account, inside the user's foreman. Each function is part of one
 * transaction there, and safe to call again: a retried call finds its work done.
 */
import type { JsonObject } from '../platform/json';
import { freshUsage } from './admission';
import { auditEvent } from './audit/event';
import { createAudit } from './audit/rows';
import * as rows from './limits';
import type { Account, AccountStatus, By, Limits } from './types';

interface Rows {
  readonly sql: SqlStorage;
}

interface RowsNow extends Rows {
  readonly now: number;
}

export type NewAccount = Omit<rows.StoredAccount, 'version' | 'webhookSecretRotation'>;

export interface Creation {
  readonly account: Account;
  /** False when another call has made it before. */
  readonly made: boolean;
}

/** Each call brings a secret of its own, so a call that is made again is told from another one. */
export function createAccount({ sql, now }: RowsNow, input: NewAccount, by: By): Creation {
  const existing = rows.loadAccount(sql);
  if (existing) {
    const made = existing.webhookSecret === input.webhookSecret;
    return { account: rows.withoutSecrets(existing), made };
  }
  const account = { ...input, webhookSecretRotation: null, version: 1 };
  rows.saveAccount(sql, account);
  rows.saveUsage(sql, freshUsage(input.limits, now));
  const { userId, region, limits } = input;
  const details = { region, limits };
  createAudit(sql, auditEvent(by, { action: 'user.created', userId, target: null, details }, now));
  return { account: rows.withoutSecrets(account), made: true };
}

export function getAccount({ sql }: Rows): Account | null {
  const stored = rows.loadAccount(sql);
  return stored && rows.withoutSecrets(stored);
}

export interface AccountChanges {
  readonly name?: string | undefined;
  readonly limits?: Partial<Limits> | undefined;
}

/**
 * Null without an account. One that is being deleted stays as it is. What is in the bucket stays; a
 * smaller burst caps it when next read.
 */
export function changeAccount(
  { sql, now }: RowsNow,
  changes: AccountChanges,
  by: By,
): Account | null {
  const stored = rows.loadAccount(sql);
  if (!stored) return null;
  if (stored.status === 'deleting') return rows.withoutSecrets(stored);
  const { name = stored.name, limits = {} } = changes;
  const next = { ...stored, name, limits: { ...stored.limits, ...limits } };
  const details = {
    ...(name === stored.name ? {} : { name: 'changed' }),
    ...changesOf(stored.limits, next.limits),
  };
  if (Object.keys(details).length === 0) return rows.withoutSecrets(stored);
  const { userId } = stored;
  createAudit(sql, auditEvent(by, { action: 'user.changed', userId, target: null, details }, now));
  return rows.withoutSecrets(rows.raiseVersion(sql, next));
}

export type StatusChange = Exclude<AccountStatus, 'deleting'>;

/** Null without an account. One that is being deleted stays so. */
export function changeStatus({ sql, now }: RowsNow, status: StatusChange, by: By): Account | null {
  const stored = rows.loadAccount(sql);
  if (!stored) return null;
  if (stored.status === status || stored.status === 'deleting') return rows.withoutSecrets(stored);
  const action = status === 'suspended' ? 'user.suspended' : 'user.resumed';
  const { userId } = stored;
  createAudit(sql, auditEvent(by, { action, userId, target: null }, now));
  return rows.withoutSecrets(rows.raiseVersion(sql, { ...stored, status }));
}

/** For the audit: what was, and what is. Names are not for it: it outlives whoever has them. */
function changesOf(before: Limits, after: Limits): JsonObject {
  const changed = Object.entries(after).flatMap(([field, to]) => {
    const from = before[field as keyof Limits];
    return JSON.stringify(from) === JSON.stringify(to) ? [] : [[field, { from, to }]];
  });
  // Both come from JSON.
  return Object.fromEntries(changed) as JsonObject;
}
