-- Named prompt templates of the operator. D1 is their authority; Workers keep copies for outages.
CREATE TABLE styles (
  id TEXT PRIMARY KEY,           -- the name that requests choose it by
  description TEXT NOT NULL,
  prompt_template TEXT NOT NULL,
  negative_prompt TEXT,
  defaults TEXT NOT NULL,        -- JSON, styles/types.ts StyleDefaults
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) WITHOUT ROWID;
