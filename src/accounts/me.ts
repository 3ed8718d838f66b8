/** What a user is told of the account: whose credential it is, the limits, and what is used of them. */
import { budgetLeftMicros, rateLimitHeaders, rollOver } from './admission';
import { checkCredential } from './key-ring';
import * as rows from './limits';
import type { Account, Credential, Scope } from './types';

interface RowsNow {
  readonly sql: SqlStorage;
  readonly now: number;
}

export interface Me {
  readonly account: Pick<Account, 'userId' | 'name' | 'limits'>;
  /** Null for one who has signed in elsewhere. */
  readonly key: {
    readonly id: string | null;
    readonly name: string;
    readonly scopes: readonly Scope[];
  };
  readonly usage: {
    readonly running: number;
    readonly waiting: number;
    readonly unitsToday: number;
    readonly spentMicros: number;
    readonly reservedMicros: number;
    readonly leftMicros: number | null;
  };
}

/** The caller's credential has been checked. How many requests run and wait is the foreman's to say. */
export function describe(
  { sql, now }: RowsNow,
  input: { readonly credential: Credential; readonly running: number; readonly waiting: number },
): Me | null {
  const { credential, running, waiting } = input;
  const allowed = checkCredential({ sql, now }, credential, null);
  const account = rows.loadAccount(sql);
  const stored = rows.loadUsage(sql);
  if (!allowed.ok || !account || !stored) return null;
  const { userId, name, limits } = account;
  const { unitsToday, spentMicros, reservedMicros } = rollOver(stored, now);
  const leftMicros = budgetLeftMicros(stored, limits, now);
  const keyId = credential.via === 'key' ? credential.keyId : null;
  return {
    account: { userId, name, limits },
    key: { id: keyId, name: allowed.name, scopes: allowed.scopes },
    usage: { running, waiting, unitsToday, spentMicros, reservedMicros, leftMicros },
  };
}

/** How the caller's rate limit stands, as headers; null without an account. */
export function rateLimitOf({ sql, now }: RowsNow): Record<string, string> | null {
  const account = rows.loadAccount(sql);
  const usage = rows.loadUsage(sql);
  return account && usage && rateLimitHeaders(usage, account.limits, now);
}
