-- Tenants and their clocks.

-- name: try_time
-- The time of the tenant's clock until the transaction ends, which is rolled back.
--   $1 time text
SELECT set_config('usage.trial_time', $1, true);

-- name: tenant_now
-- A sandbox's own clock, else the database's.
--   $1 tenant_id uuid
SELECT tenant_now($1);

-- name: tenant_clock
-- The time of `tenant_now`, with the age window of usage.
--   $1 tenant_id uuid
SELECT tenant_now(tenant_id) AS now, usage_window_days FROM tenants WHERE tenant_id = $1;

-- name: bump_catalog
-- Two concurrent changes wait here for each other, so revisions follow the order of commits.
--   $1 tenant_id uuid
UPDATE tenants SET catalog_revision = catalog_revision + 1 WHERE tenant_id = $1
RETURNING catalog_revision, tenant_now($1) AS now, EXISTS (
          SELECT FROM order_lines WHERE tenant_id = $1 AND account_id > '' AND rate_basis = 'FOLLOW_CATALOG') AS is_followed;

-- name: share_catalog
-- Changes of the catalog wait until the transaction ends.
--   $1 tenant_id uuid
SELECT catalog_revision FROM tenants WHERE tenant_id = $1 FOR SHARE;

-- name: has_later_follow
-- True if a later change of the catalog is to be followed, which includes the earlier ones.
--   $1 tenant_id uuid, $2 revision bigint
SELECT EXISTS (SELECT FROM jobs
                WHERE tenant_id = $1 AND state = 'PENDING' AND kind = 'follow_catalog' AND account_id = ''
                  AND payload ->> 'after' = '' AND (payload ->> 'revision')::bigint > $2);

-- name: tenant_keys
-- The ids of all tenants.
SELECT tenant_id, id FROM tenant_keys();

-- name: token_secrets
-- The secrets that seal tokens of all tenants, the active one first.
SELECT token_secrets() AS secret;

-- name: add_tenant
-- An existing id is left unchanged.
--   $1 tenant_id uuid, $2 id text, $3 display_name text, $4 clock_start_time timestamptz,
--   $5 usage_window_days integer
INSERT INTO tenants (tenant_id, id, display_name, clock_start_time, clock_time, usage_window_days)
VALUES ($1, $2, $3, $4::timestamptz, $4, $5)
    ON CONFLICT DO NOTHING
RETURNING tenant_id;

-- name: find_tenant
-- One tenant, with the time of its clock.
--   $1 tenant_id uuid
SELECT tenant_id, id, display_name, clock_start_time, tenant_now(tenant_id) AS clock_time,
       usage_window_days, create_time, created_by, update_time, updated_by
  FROM tenants
 WHERE tenant_id = $1;

-- name: save_tenant
-- A null leaves the setting as it is.
--   $1 tenant_id uuid, $2 display_name text or null, $3 usage_window_days integer or null
UPDATE tenants SET display_name = coalesce($2, display_name),
       usage_window_days = coalesce($3, usage_window_days)
 WHERE tenant_id = $1;

-- name: lock_clock
-- Concurrent moves of a clock wait here for each other.
--   $1 tenant_id uuid
SELECT clock_time FROM tenants WHERE tenant_id = $1 FOR NO KEY UPDATE;

-- name: set_clock
-- Forward only; a constraint enforces it too.
--   $1 tenant_id uuid, $2 clock_time timestamptz
UPDATE tenants SET clock_time = $2 WHERE tenant_id = $1 AND clock_time <= $2;
