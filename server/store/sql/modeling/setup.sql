-- Guided setup.

-- name: lock_setup
-- Setups of a tenant go one after the other: each sees all of what the one before it made.
--   $1 tenant_id uuid
SELECT pg_advisory_xact_lock(hashtextextended('setup/' || $1::uuid::text, 0));
