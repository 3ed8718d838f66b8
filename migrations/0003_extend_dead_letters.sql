-- What an operator finds a dead letter by, and what became of it.
ALTER TABLE dead_letters ADD COLUMN type TEXT NOT NULL DEFAULT 'unknown';
ALTER TABLE dead_letters ADD COLUMN correlation_id TEXT;
ALTER TABLE dead_letters ADD COLUMN replayed_at INTEGER;
ALTER TABLE dead_letters ADD COLUMN replayed_as TEXT;  -- the request made from it, where there is one

CREATE INDEX dead_letters_by_type ON dead_letters (type, created_at, id);
CREATE INDEX dead_letters_of_user ON dead_letters (user_id, created_at, id);

UPDATE dead_letters SET
  type = json_extract(body, '$.type'),
  user_id = json_extract(body, '$.user'),
  correlation_id = json_extract(body, '$.correlation_id'),
  queue = CASE json_extract(body, '$.type')
    WHEN 'generation.run' THEN 'foreman-generation'
    WHEN 'webhook.deliver' THEN 'foreman-webhooks'
    ELSE 'foreman-events'
  END
WHERE queue = 'foreman-dead-letters'
  AND CASE WHEN json_valid(body) THEN json_extract(body, '$.type') END
    IN ('generation.run', 'webhook.deliver', 'projection.wake');
