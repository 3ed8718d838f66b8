-- Who did what, when and from where. Written once, by the projector or beside the change itself.
CREATE TABLE audit_events (
  id TEXT PRIMARY KEY,
  at INTEGER NOT NULL,
  action TEXT NOT NULL,          -- accounts/audit.ts auditActions
  actor_type TEXT NOT NULL,      -- operator | system | key | token
  actor_id TEXT,                 -- of the key, or the subject of the token
  address TEXT,                  -- as the edge has seen it
  correlation_id TEXT NOT NULL,
  user_id TEXT,                  -- whose things were touched
  target TEXT,                   -- the id of what was touched, other than the user
  details TEXT NOT NULL          -- JSON object: no prompts, no secrets
) WITHOUT ROWID;
CREATE INDEX audit_events_by_age ON audit_events (at, id);
CREATE INDEX audit_events_of_user ON audit_events (user_id, at, id) WHERE user_id IS NOT NULL;
CREATE INDEX audit_events_by_action ON audit_events (action, at, id);
CREATE INDEX audit_events_by_actor ON audit_events (actor_id, at, id) WHERE actor_id IS NOT NULL;
CREATE INDEX audit_events_of_target ON audit_events (target, at, id) WHERE target IS NOT NULL;

CREATE TRIGGER audit_events_are_not_changed BEFORE UPDATE ON audit_events BEGIN
  SELECT RAISE(ABORT, 'audit events are append-only');
END;
CREATE TRIGGER audit_events_are_not_deleted BEFORE DELETE ON audit_events BEGIN
  SELECT RAISE(ABORT, 'audit events are append-only');
END;
-- An event told twice is stored once. REPLACE would pass by the trigger above.
CREATE TRIGGER audit_events_are_not_replaced BEFORE INSERT ON audit_events
WHEN EXISTS (SELECT 1 FROM audit_events WHERE id = NEW.id) BEGIN
  SELECT RAISE(IGNORE);
END;
