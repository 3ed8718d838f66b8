/**
 * The rows of the account inside the foreman object: the user with its limits, its keys, and what
 * it has used. Verbs over SqlStorage, no rules. Every change of the account or of a key raises
 * `Account.version`; what D1 has not confirmed up to that version is news.
 */
import type { Usage } from './admission';
import {
  type Account,
  DEFAULT_LIMITS,
  type KeyedRotation,
  type KeyId,
  type KeyRecord,
} from './types';

export const accountTables: readonly string[] = [
  // One row. projected_version: the account version up to which D1 knows the account and its keys.
  // A rowid table, since a WITHOUT ROWID one would bill no less and this id is the rowid.
  `CREATE TABLE account (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    projected_version INTEGER NOT NULL,
    state TEXT NOT NULL
  )`,
  // version: the account version at which the key last changed.
  `CREATE TABLE api_keys (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    state TEXT NOT NULL
  ) WITHOUT ROWID`,
  // One row, apart from the account because every submission writes it.
  'CREATE TABLE usage (id INTEGER PRIMARY KEY CHECK (id = 1), state TEXT NOT NULL)',
];

/** The account as its foreman keeps it; the secrets leave only to sign, and to their owner. */
export interface StoredAccount extends Account {
  /** Signs the webhooks of requests that name a URL themselves. */
  readonly webhookSecret: string;
  /** Null: it is the first. */
  readonly webhookSecretRotation: WebhookSecretRotation | null;
}

/** How the present secret took the place of another. */
export interface WebhookSecretRotation {
  readonly at: number;
  /** The `Idempotency-Key` that it was asked for with. */
  readonly madeBy: string | null;
  /** Goes on signing until then. */
  readonly previous: {
    readonly secret: string;
    readonly expiresAt: number;
    readonly madeBy: string | null;
  } | null;
  /** Those of the last day that came with an `Idempotency-Key`, newest first. */
  readonly rotations: readonly KeyedRotation[];
}

export interface AccountNews {
  readonly account: Account;
  readonly keys: readonly KeyRecord[];
}

interface StateRow extends Record<string, SqlStorageValue> {
  state: string;
}

/** Rows are written by this file only, so a row's state is what the verb beside it was given. */
function stateOf<State>(rows: Iterable<StateRow>): State | null {
  const [row] = rows;
  return row ? (JSON.parse(row.state) as State) : null;
}

export function loadAccount(sql: SqlStorage): StoredAccount | null {
  const stored = stateOf<StoredAccount>(
    sql.exec<StateRow>('SELECT state FROM account WHERE id = 1'),
  );
  return stored && completeAccount(stored);
}

/** What rows of earlier versions have none of. */
const completeAccount = (stored: StoredAccount): StoredAccount => ({
  ...({ externalId: null, region: null, status: 'active' } as const),
  ...stored,
  limits: { ...DEFAULT_LIMITS, ...stored.limits },
  webhookSecretRotation: stored.webhookSecretRotation
    ? completeRotation(stored.webhookSecretRotation)
    : null,
});

/** An earlier version knew the key of the last rotation only. */
function completeRotation(stored: WebhookSecretRotation): WebhookSecretRotation {
  const { madeBy: key, at, previous } = stored;
  const overlapMs = previous ? previous.expiresAt - at : 0;
  return {
    ...stored,
    rotations: stored.rotations ?? (key === null ? [] : [{ key, overlapMs, at }]),
    previous: previous && { ...previous, madeBy: previous.madeBy ?? null },
  };
}

const completeKey = (stored: KeyRecord): KeyRecord => ({
  ...({ expiresAt: null, lastUsedAt: null, replaces: null } as const),
  ...stored,
});

export function withoutSecrets(stored: StoredAccount): Account {
  const { webhookSecret: _, webhookSecretRotation: __, ...account } = stored;
  return account;
}

export function saveAccount(sql: SqlStorage, account: StoredAccount): void {
  sql.exec(
    `INSERT INTO account (id, projected_version, state) VALUES (1, 0, ?)
     ON CONFLICT (id) DO UPDATE SET state = excluded.state`,
    JSON.stringify(account),
  );
}

/** Saves a change that D1 is to hear of. */
export function raiseVersion(sql: SqlStorage, stored: StoredAccount): StoredAccount {
  const next = { ...stored, version: stored.version + 1 };
  saveAccount(sql, next);
  return next;
}

export function loadUsage(sql: SqlStorage): Usage | null {
  return stateOf<Usage>(sql.exec<StateRow>('SELECT state FROM usage WHERE id = 1'));
}

export function saveUsage(sql: SqlStorage, usage: Usage): void {
  sql.exec(
    `INSERT INTO usage (id, state) VALUES (1, ?)
     ON CONFLICT (id) DO UPDATE SET state = excluded.state`,
    JSON.stringify(usage),
  );
}

export function findKey(sql: SqlStorage, id: KeyId): KeyRecord | null {
  const key = stateOf<KeyRecord>(sql.exec<StateRow>('SELECT state FROM api_keys WHERE id = ?', id));
  return key && completeKey(key);
}

/** Oldest first, the revoked ones too. */
export function listKeys(sql: SqlStorage): KeyRecord[] {
  return keysOf(sql.exec<StateRow>('SELECT state FROM api_keys ORDER BY id'));
}

/** `version` is the account's, raised for this change. */
export function saveKey(
  sql: SqlStorage,
  input: { readonly key: KeyRecord; readonly version: number },
): void {
  sql.exec(
    `INSERT INTO api_keys (id, version, state) VALUES (?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET version = excluded.version, state = excluded.state`,
    input.key.id,
    input.version,
    JSON.stringify(input.key),
  );
}

/** Saves a change that D1 need not hear of yet: it goes along with the next that it does. */
export function saveKeyQuietly(sql: SqlStorage, key: KeyRecord): void {
  sql.exec('UPDATE api_keys SET state = ? WHERE id = ?', JSON.stringify(key), key.id);
}

/** The account and the keys that changed since D1 last confirmed; null when D1 knows all. */
export function getNews(sql: SqlStorage): AccountNews | null {
  const stored = stateOf<StoredAccount>(
    sql.exec<StateRow>(
      `SELECT state FROM account WHERE projected_version < json_extract(state, '$.version')`,
    ),
  );
  if (!stored) return null;
  const account = withoutSecrets(completeAccount(stored));
  const keys = sql.exec<StateRow>(
    'SELECT state FROM api_keys WHERE version > (SELECT projected_version FROM account) ORDER BY id',
  );
  return { account, keys: keysOf(keys) };
}

/** D1 has the news that carried this account version; what changed since stays news. */
export function confirmNews(sql: SqlStorage, version: number): void {
  sql.exec(
    `UPDATE account SET projected_version = ?
     WHERE projected_version < ? AND json_extract(state, '$.version') >= ?`,
    version,
    version,
    version,
  );
}

function keysOf(rows: Iterable<StateRow>): KeyRecord[] {
  return [...rows].map((row) => completeKey(JSON.parse(row.state) as KeyRecord));
}
