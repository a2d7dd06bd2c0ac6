-- When the node's former life was last seen: its sessions were not online after that. While it lives no life, `seen_at` is
-- -infinity.
alter table node add column former_seen_at timestamptz;
