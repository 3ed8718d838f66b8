-- D1 is the index for lists and history; the user's foreman object is the authority. Every row has
-- the version it was written at: an older one never overwrites a newer one.

CREATE TABLE users (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  limits TEXT NOT NULL,          -- JSON, accounts/types.ts Limits
  created_at INTEGER NOT NULL,
  version INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX users_by_age ON users (created_at, id);

CREATE TABLE api_keys (
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL,
  name TEXT NOT NULL,
  scopes TEXT NOT NULL,          -- JSON array
  mac_version INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  revoked_at INTEGER
) WITHOUT ROWID;
CREATE INDEX api_keys_of_user ON api_keys (user_id, created_at, id);

CREATE TABLE requests (
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  status TEXT NOT NULL,          -- a request status, or 'deleted' for a tombstone
  model TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  deadline_at INTEGER NOT NULL,
  cost_micros INTEGER NOT NULL,
  version INTEGER NOT NULL,
  metadata TEXT NOT NULL,        -- JSON object of strings
  state TEXT NOT NULL            -- JSON, requests/types.ts RequestState; '{}' for a tombstone
) WITHOUT ROWID;
CREATE INDEX requests_by_creation ON requests (user_id, created_at, id);
CREATE INDEX requests_by_update ON requests (user_id, updated_at, id);
CREATE INDEX requests_by_cost ON requests (user_id, cost_micros, id);
-- The sweeps: live requests past their deadline, and tombstones past their week.
CREATE INDEX requests_live ON requests (deadline_at) WHERE status IN ('queued', 'running');
CREATE INDEX requests_deleted ON requests (updated_at) WHERE status = 'deleted';

CREATE TABLE images (
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL,
  request_id TEXT NOT NULL,
  object_key TEXT NOT NULL,
  width INTEGER NOT NULL,
  height INTEGER NOT NULL,
  media_type TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  sha256 TEXT NOT NULL,
  seed INTEGER,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX images_of_request ON images (request_id);
CREATE INDEX images_by_expiry ON images (expires_at);

-- Finished deliveries; a pending one lives in its user's foreman.
CREATE TABLE webhook_deliveries (
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL,
  request_id TEXT NOT NULL,
  type TEXT NOT NULL,
  url TEXT NOT NULL,
  status TEXT NOT NULL,          -- delivered | failed
  attempts TEXT NOT NULL,        -- JSON array of {at, status, durationMs, response, error}
  body TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  finished_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX webhook_deliveries_of_request ON webhook_deliveries (user_id, request_id, created_at);

CREATE TABLE dead_letters (
  id TEXT PRIMARY KEY,
  queue TEXT NOT NULL,
  body TEXT NOT NULL,            -- the message: ids only
  reason TEXT NOT NULL,
  user_id TEXT,
  request_id TEXT,
  created_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX dead_letters_by_age ON dead_letters (created_at, id);
