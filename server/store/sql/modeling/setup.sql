-- Guided setup.

-- name: lock_setup
-- Setups of a tenant run one after the other, so that each sees everything the previous one created.
--   $1 tenant_id uuid
SELECT pg_advisory_xact_lock(hashtextextended('setup/' || $1::uuid::text, 0));
