/**
 * What a user has agreed with apps, inside the user's foreman. Each function is part of one
 * transaction there, and safe to call again: a retried call finds its work done.
 */
import { auditEvent, byOf } from '../audit/event';
import { createAudit } from '../audit/rows';
import type { By, Credential, UserId } from '../types';
import * as rows from './rows';
import type { AppGrant } from './types';

interface RowsNow {
  readonly sql: SqlStorage;
  readonly now: number;
}

/** Far more apps than anybody uses; each costs a row for a month. */
export const MAX_GRANTS = 100;

/** False when there are too many. It takes the place of what was agreed with the same app before. */
export function addGrant({ sql, now }: RowsNow, grant: AppGrant, credential: Credential): boolean {
  if (rows.isOpen(sql, grant.id)) return true;
  rows.deleteExpired(sql, now);
  const others = rows.listGrants(sql).filter((other) => !isSucceeded(other, grant));
  if (others.length >= MAX_GRANTS) return false;
  for (const { id } of rows.listGrants(sql).filter((other) => isSucceeded(other, grant))) {
    rows.deleteGrant(sql, id);
  }
  rows.saveGrant(sql, grant);
  const { id: target, clientId, clientName, scopes } = grant;
  const details = { client_id: clientId, client_name: clientName, scopes: [...scopes] };
  const what = { action: 'grant.created', userId: credential.userId, target, details } as const;
  createAudit(sql, auditEvent(byOf(credential), what, now));
  return true;
}

/** One that is not there has ended already. */
export function endGrant(rowsNow: RowsNow, id: string, credential: Credential): void {
  end(rowsNow, { id, userId: credential.userId, by: byOf(credential) });
}

export interface Forgotten {
  readonly id: string;
  readonly userId: UserId;
  readonly correlationId: string;
}

/** The authorization server has ended it: its app has, say, or a code came twice. Null: not there. */
export function forgetGrant(
  rowsNow: RowsNow,
  { id, userId, correlationId }: Forgotten,
): object | null {
  const from = { address: null, correlationId };
  return end(rowsNow, { id, userId, by: { actor: { type: 'system', id: null }, from } });
}

function end(
  { sql, now }: RowsNow,
  { id, userId, by }: { readonly id: string; readonly userId: UserId; readonly by: By },
): object | null {
  if (!rows.isOpen(sql, id)) return null;
  rows.deleteGrant(sql, id);
  const what = { action: 'grant.revoked', userId, target: id } as const;
  createAudit(sql, auditEvent(by, what, now));
  return {};
}

/** Newest first. */
export function listGrants({ sql, now }: RowsNow): AppGrant[] {
  const current = rows.listGrants(sql).filter(({ expiresAt }) => now < expiresAt);
  return current.sort((a, b) => b.createdAt - a.createdAt);
}

/**
 * The authorization server's own rule. A client id that is a URL is that of every installation of the
 * app: those are told apart by where they are told.
 */
const isSucceeded = (before: AppGrant, { clientId, redirectUri }: AppGrant) =>
  before.clientId === clientId &&
  (!clientId.startsWith('https:') || before.redirectUri === redirectUri);
