-- Binding targets: kept once, found by id, listed by id.

-- name: add_target
-- A target of an account; the first of an id wins.
--   $1 tenant_id uuid, $2 account_id text, $3 binding_target_id text, $4 display_name text, $5 kind text
INSERT INTO binding_targets (tenant_id, account_id, binding_target_id, display_name, kind)
VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT DO NOTHING;

-- name: find_target
-- By id, whatever its case.
--   $1 tenant_id uuid, $2 account_id text, $3 binding_target_id text
SELECT binding_target_id, display_name, kind, create_time
  FROM binding_targets
 WHERE tenant_id = $1 AND account_id = $2 AND lower(binding_target_id) = lower($3::text);

-- name: list_targets
-- By id, after the last one seen.
--   $1 tenant_id uuid, $2 account_id text, $3 after text, $4 limit bigint
SELECT binding_target_id, display_name, kind, create_time
  FROM binding_targets
 WHERE tenant_id = $1 AND account_id = $2 AND binding_target_id > $3
 ORDER BY binding_target_id LIMIT $4;
