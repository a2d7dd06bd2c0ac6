-- How long an endpoint has asked us to wait with a delivery: no shorter, also when it works again earlier.
alter table webhook_delivery add column not_before timestamptz;
