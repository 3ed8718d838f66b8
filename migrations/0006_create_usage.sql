-- What each request has used, by provider: facts without content, which outlive the request. All rows
-- of a request are of one version; those of a newer one take their place.
CREATE TABLE usage_facts (
  user_id TEXT NOT NULL,
  request_id TEXT NOT NULL,
  provider TEXT NOT NULL,        -- '' when none was called
  model TEXT NOT NULL,           -- as it was asked for
  created_at INTEGER NOT NULL,   -- of the request
  requests INTEGER NOT NULL,     -- 1 for the first provider, so that sums are right; 0 for the others
  images INTEGER NOT NULL,       -- that this provider made
  cost_micros INTEGER NOT NULL,
  version INTEGER NOT NULL,
  PRIMARY KEY (user_id, request_id, provider)
) WITHOUT ROWID;
CREATE INDEX usage_facts_by_creation ON usage_facts (user_id, created_at);

-- What D1 knows of already.
WITH calls AS (
  SELECT requests.id AS request_id, attempt.value ->> 'number' AS number,
    attempt.value ->> 'provider' AS provider, attempt.value ->> 'costMicros' AS cost_micros,
    CASE WHEN attempt.value ->> 'outcome' = 'succeeded'
      THEN coalesce(json_array_length(requests.state, '$.output.images'), 0) ELSE 0 END AS images
  FROM requests, json_each(requests.state, '$.attempts') AS attempt
  WHERE requests.status <> 'deleted'
  UNION ALL
  SELECT id, state ->> '$.current.number', state ->> '$.current.provider', 0, 0
  FROM requests WHERE status = 'running'
),
facts AS (
  SELECT request_id, provider, min(number) = 1 AS requests, sum(images) AS images,
    sum(cost_micros) AS cost_micros
  FROM calls GROUP BY request_id, provider
)
INSERT INTO usage_facts
  (user_id, request_id, provider, model, created_at, requests, images, cost_micros, version)
SELECT requests.user_id, requests.id, coalesce(facts.provider, ''), requests.model,
  requests.created_at, coalesce(facts.requests, 1), coalesce(facts.images, 0),
  coalesce(facts.cost_micros, 0), requests.version
FROM requests LEFT JOIN facts ON facts.request_id = requests.id
WHERE requests.status <> 'deleted'
ON CONFLICT DO NOTHING;
