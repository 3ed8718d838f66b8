-- Which endpoint a delivery went to; NULL for the URL that a request names itself. What is about an
-- endpoint, not a request, has '' for a request_id.
ALTER TABLE webhook_deliveries ADD COLUMN endpoint_id TEXT;

-- Why one is not tried any more that was not delivered.
ALTER TABLE webhook_deliveries ADD COLUMN reason TEXT;

-- Ids sort by time, so a log is read in their order.
CREATE INDEX webhook_deliveries_of_endpoint ON webhook_deliveries (user_id, endpoint_id, id);

-- The sweep of the log.
CREATE INDEX webhook_deliveries_by_end ON webhook_deliveries (finished_at);
