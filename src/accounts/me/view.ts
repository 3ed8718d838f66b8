/** What a user is told of the account: whose credential it is, the limits, and what is used of them. */
import { budgetLeftMicros, endOfDay, endOfMonth, rateLimitHeaders, rollOver } from '../admission';
import * as rows from '../limits';
import { type Account, type Credential, type Grant, holderOf, type Scope } from '../types';

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
    /** Null without a budget. Below 0 when calls cost more than was held for them. */
    readonly leftMicros: number | null;
    /** When the day of the images and the month of the money are over, epoch ms. */
    readonly dayEndsAt: number;
    readonly monthEndsAt: number;
  };
}

/**
 * `grant` is what the caller's credential was found good for. How many requests run and wait is the
 * foreman's to say. Null without an account.
 */
export function describe(
  { sql, now }: RowsNow,
  input: {
    readonly credential: Credential;
    readonly grant: Grant;
    readonly running: number;
    readonly waiting: number;
  },
): Me | null {
  const { credential, grant, running, waiting } = input;
  const account = rows.loadAccount(sql);
  const stored = rows.loadUsage(sql);
  if (!account || !stored) return null;
  const { userId, name, limits } = account;
  const { unitsToday, spentMicros, reservedMicros, day, month } = rollOver(stored, now);
  const ends = { dayEndsAt: endOfDay(day), monthEndsAt: endOfMonth(month) };
  const leftMicros = budgetLeftMicros(stored, limits, now);
  const holder = holderOf(credential);
  const keyId = holder.via === 'key' ? holder.keyId : null;
  return {
    account: { userId, name, limits },
    key: { id: keyId, name: grant.name, scopes: grant.scopes },
    usage: { running, waiting, unitsToday, spentMicros, reservedMicros, leftMicros, ...ends },
  };
}

/** How the caller's rate limit stands, as headers; null without an account. */
export function rateLimitOf({ sql, now }: RowsNow): Record<string, string> | null {
  const account = rows.loadAccount(sql);
  const usage = rows.loadUsage(sql);
  return account && usage && rateLimitHeaders(usage, account.limits, now);
}
