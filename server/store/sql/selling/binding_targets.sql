-- Binding targets: insert, find, list.

-- name: add_target
-- A target of an account; an existing id is left unchanged.
--   $1 tenant_id uuid, $2 account_id text, $3 binding_target_id text, $4 display_name text, $5 kind text
INSERT INTO binding_targets (tenant_id, account_id, binding_target_id, display_name, kind)
VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT DO NOTHING
RETURNING binding_target_id;

-- name: add_target_policies
-- The policies of a new target's wallets, by resource.
--   $1 tenant_id uuid, $2 account_id text, $3 binding_target_id text, $4 usage_resource_ids text[],
--   $5 aggregation_policy_ids text[], $6 rating_frequency_policy_ids text[], $7 overage_policy_ids text[],
--   $8 commitment_policy_ids text[], $9 drawdown_orders text[]
INSERT INTO binding_target_policies (tenant_id, account_id, binding_target_id, usage_resource_id,
                                     aggregation_policy_id, rating_frequency_policy_id, overage_policy_id,
                                     commitment_policy_id, drawdown_order)
SELECT $1, $2, $3, p.resource_id, p.aggregation, p.rating_frequency, p.overage, p.commitment, p.drawdown_order
  FROM unnest($4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])
       AS p (resource_id, aggregation, rating_frequency, overage, commitment, drawdown_order)
 ORDER BY p.resource_id COLLATE "C";

-- name: target_policies
-- The policies of some targets' wallets.
--   $1 tenant_id uuid, $2 account_id text, $3 binding_target_ids text[]
SELECT binding_target_id, usage_resource_id, aggregation_policy_id, rating_frequency_policy_id,
       overage_policy_id, commitment_policy_id, drawdown_order
  FROM binding_target_policies
 WHERE tenant_id = $1 AND account_id = $2 AND binding_target_id = ANY ($3::text[])
 ORDER BY binding_target_id, usage_resource_id;

-- name: find_target
-- Ids are compared without case.
--   $1 tenant_id uuid, $2 account_id text, $3 binding_target_id text
SELECT binding_target_id, display_name, kind, create_time, created_by, update_time, updated_by
  FROM binding_targets
 WHERE tenant_id = $1 AND account_id = $2 AND lower(binding_target_id) = lower($3::text);

-- name: list_targets
-- By id, after the last one seen.
--   $1 tenant_id uuid, $2 account_id text, $3 after text, $4 limit bigint
SELECT binding_target_id, display_name, kind, create_time, created_by, update_time, updated_by
  FROM binding_targets
 WHERE tenant_id = $1 AND account_id = $2 AND binding_target_id > $3
 ORDER BY binding_target_id LIMIT $4;
