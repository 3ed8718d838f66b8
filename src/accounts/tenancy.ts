/**
 * What can be done to one user's account, inside the user's foreman. Each function is part of one
 * transaction there, and safe to call again: a retried call finds its work done.
 */
import type { JsonObject } from '../platform/json';
import { freshUsage } from './admission';
import { auditEvent } from './audit';
import { createAudit } from './audit-rows';
import * as rows from './limits';
import type { Account, By, Limits } from './types';

interface Rows {
  readonly sql: SqlStorage;
}

interface RowsNow extends Rows {
  readonly now: number;
}

export type NewAccount = Omit<rows.StoredAccount, 'version'>;

export function createAccount({ sql, now }: RowsNow, input: NewAccount, by: By): Account {
  const existing = rows.loadAccount(sql);
  if (existing) return withoutSecret(existing);
  const account = { ...input, version: 1 };
  rows.saveAccount(sql, account);
  rows.saveUsage(sql, freshUsage(input.limits, now));
  const { userId, name, externalId, limits } = input;
  const details = { name, external_id: externalId, limits };
  createAudit(sql, auditEvent(by, { action: 'user.created', userId, target: null, details }, now));
  return withoutSecret(account);
}

export function getAccount({ sql }: Rows): Account | null {
  const stored = rows.loadAccount(sql);
  return stored && withoutSecret(stored);
}

export interface AccountChanges {
  readonly name?: string | undefined;
  readonly limits?: Partial<Limits> | undefined;
}

/** Null without an account. What is in the bucket stays; a smaller burst caps it when next read. */
export function changeAccount(
  { sql, now }: RowsNow,
  changes: AccountChanges,
  by: By,
): Account | null {
  const stored = rows.loadAccount(sql);
  if (!stored) return null;
  const { name = stored.name, limits = {} } = changes;
  const next = { ...stored, name, limits: { ...stored.limits, ...limits } };
  const details = { ...changesOf(stored, next), ...changesOf(stored.limits, next.limits) };
  if (Object.keys(details).length === 0) return withoutSecret(stored);
  const { userId } = stored;
  createAudit(sql, auditEvent(by, { action: 'user.changed', userId, target: null, details }, now));
  return withoutSecret(rows.raiseVersion(sql, next));
}

/** For the audit: what was, and what is. */
function changesOf<T extends object>(before: T, after: T): JsonObject {
  const changed = Object.entries(after).flatMap(([field, to]) => {
    const from: unknown = before[field as keyof T];
    const isSame = JSON.stringify(from) === JSON.stringify(to);
    return isSame || field === 'limits' ? [] : [[field, { from, to }]];
  });
  // Both come from JSON.
  return Object.fromEntries(changed) as JsonObject;
}

function withoutSecret(stored: rows.StoredAccount): Account {
  const { webhookSecret: _, ...account } = stored;
  return account;
}
