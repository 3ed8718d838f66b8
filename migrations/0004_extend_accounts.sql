-- What an operator finds a user by, and what became of the user.
ALTER TABLE users ADD COLUMN external_id TEXT;
ALTER TABLE users ADD COLUMN region TEXT;
ALTER TABLE users ADD COLUMN status TEXT NOT NULL DEFAULT 'active';  -- active | suspended | deleting

CREATE INDEX users_by_external_id ON users (external_id) WHERE external_id IS NOT NULL;
CREATE INDEX users_by_status ON users (status, created_at, id);

-- To the day, for keys that are in use.
ALTER TABLE api_keys ADD COLUMN last_used_at INTEGER;
ALTER TABLE api_keys ADD COLUMN expires_at INTEGER;
ALTER TABLE api_keys ADD COLUMN replaces TEXT;  -- the key that this one was made to replace

-- Who still has a key of an old MAC version.
CREATE INDEX api_keys_by_mac_version ON api_keys (mac_version, created_at, id)
  WHERE revoked_at IS NULL;
