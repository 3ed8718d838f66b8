-- What made an image.
ALTER TABLE images ADD COLUMN model TEXT;           -- as it was asked for
ALTER TABLE images ADD COLUMN provider TEXT;
ALTER TABLE images ADD COLUMN provider_model TEXT;  -- the provider's own name of the model

CREATE INDEX images_by_creation ON images (user_id, created_at, id);
-- The sweep compares rows with objects in the order of their keys.
CREATE INDEX images_by_key ON images (object_key);

-- Of the images there are: behind the request's id, an image's says the attempt (and, in one digit,
-- the index).
UPDATE images SET model = (SELECT model FROM requests WHERE id = images.request_id AND status <> 'deleted');
UPDATE images SET provider = attempt.provider, provider_model = attempt.model
FROM (
  SELECT requests.id AS request_id, call.value ->> 'number' AS number,
    call.value ->> 'provider' AS provider, call.value ->> 'model' AS model
  FROM requests, json_each(requests.state, '$.attempts') AS call
  WHERE requests.status = 'succeeded'
) AS attempt
WHERE attempt.request_id = images.request_id
  AND attempt.number = CAST(substr(images.id, 33, length(images.id) - 34) AS INTEGER);
