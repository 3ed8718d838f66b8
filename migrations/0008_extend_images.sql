-- What made an image.
ALTER TABLE images ADD COLUMN model TEXT;           -- as it was asked for
ALTER TABLE images ADD COLUMN provider TEXT;
ALTER TABLE images ADD COLUMN provider_model TEXT;  -- the provider's own name of the model

CREATE INDEX images_by_creation ON images (user_id, created_at, id);
-- The sweep compares rows with objects in the order of their keys.
CREATE INDEX images_by_key ON images (object_key);
