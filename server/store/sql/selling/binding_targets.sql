-- Binding targets: insert, find, list, change, delete.

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
SELECT binding_target_id, display_name, kind, revision, create_time, created_by, update_time, updated_by
  FROM binding_targets
 WHERE tenant_id = $1 AND account_id = $2 AND lower(binding_target_id) = lower($3::text);

-- name: lock_target
-- Locked against sales, changes and deletion. The id must match exactly.
--   $1 tenant_id uuid, $2 account_id text, $3 binding_target_id text
SELECT binding_target_id FROM binding_targets
 WHERE tenant_id = $1 AND account_id = $2 AND binding_target_id = $3
   FOR UPDATE;

-- name: lock_for_sale
-- Locked against changes and deletion, not against other sales: these must see what this one binds to it.
--   $1 tenant_id uuid, $2 account_id text, $3 binding_target_id text
SELECT binding_target_id FROM binding_targets
 WHERE tenant_id = $1 AND account_id = $2 AND binding_target_id = $3
   FOR SHARE;

-- name: target_users
-- The quotes and orders that are bound to a target, in any state, because each can be cloned or was sold, and the assets
-- that were bound to it later. By the indexes of the lines with a target. Run while the target is locked.
--   $1 tenant_id uuid, $2 account_id text, $3 binding_target_id text, $4 limit bigint
SELECT 'accounts/' || $2::text || '/quotes/' || l.quote_id AS name FROM quote_lines AS l
 WHERE l.tenant_id = $1 AND l.account_id = $2 AND l.target_id = $3::text AND l.binding IN ('CONTRACT', 'CUSTOM')
 UNION
SELECT 'accounts/' || $2::text || '/orders/' || l.order_id FROM order_lines AS l
 WHERE l.tenant_id = $1 AND l.account_id = $2 AND l.target_id = $3::text AND l.binding IN ('CONTRACT', 'CUSTOM')
 UNION
SELECT 'accounts/' || $2::text || '/assets/' || h.asset_id
  FROM entitlement_accounts AS e
  JOIN wallets AS w
    ON w.tenant_id = $1 AND w.account_id = $2 AND w.entitlement_account_id = e.entitlement_account_id
  JOIN asset_resources AS h
    ON h.tenant_id = $1 AND h.account_id = $2 AND h.wallet_id = w.wallet_id AND h.bound_time IS NOT NULL
 WHERE e.tenant_id = $1 AND e.account_id = $2 AND e.target_id = $3::text AND e.target_kind IN ('CONTRACT', 'CUSTOM')
 ORDER BY name LIMIT $4;

-- name: save_target
-- The fields that may change.
--   $1 tenant_id uuid, $2 account_id text, $3 binding_target_id text, $4 display_name text, $5 kind text
UPDATE binding_targets SET display_name = $4, kind = $5, revision = revision + 1
 WHERE tenant_id = $1 AND account_id = $2 AND binding_target_id = $3;

-- name: delete_target_policies
-- The policies of a target that is deleted or gets others.
--   $1 tenant_id uuid, $2 account_id text, $3 binding_target_id text
DELETE FROM binding_target_policies WHERE tenant_id = $1 AND account_id = $2 AND binding_target_id = $3;

-- name: delete_target
-- Runs after `delete_target_policies`.
--   $1 tenant_id uuid, $2 account_id text, $3 binding_target_id text
DELETE FROM binding_targets WHERE tenant_id = $1 AND account_id = $2 AND binding_target_id = $3;

-- name: list_targets
-- By id, after the last one seen.
--   $1 tenant_id uuid, $2 account_id text, $3 after text, $4 limit bigint
SELECT binding_target_id, display_name, kind, revision, create_time, created_by, update_time, updated_by
  FROM binding_targets
 WHERE tenant_id = $1 AND account_id = $2 AND binding_target_id > $3
 ORDER BY binding_target_id LIMIT $4;

-- name: targets_naming
-- The targets that name a policy for some resource, in groups of equal policies and equal billing periods, because
-- only these decide what may be sold to them. At most 100 names of each group. Goes from account to account (OFFSET
-- keeps the planner from reordering), so that every run-time row is found by its account.
--   $1 tenant_id uuid, $2 kind text, $3 policy_id text
SELECT w.usage_resource_ids, w.aggregation_policy_ids, w.rating_frequency_policy_ids, w.overage_policy_ids,
       w.commitment_policy_ids, w.billing_unit, w.billing_count, count(*) AS targets,
       (array_agg('accounts/' || c.account_id || '/bindingTargets/' || w.binding_target_id
                  ORDER BY c.account_id, w.binding_target_id))[1:100] AS names
  FROM account_codes AS c
 CROSS JOIN LATERAL (
       SELECT p.binding_target_id, a.billing_unit, a.billing_count,
              array_agg(p.usage_resource_id::text ORDER BY p.usage_resource_id) AS usage_resource_ids,
              array_agg(p.aggregation_policy_id::text ORDER BY p.usage_resource_id) AS aggregation_policy_ids,
              array_agg(p.rating_frequency_policy_id::text ORDER BY p.usage_resource_id)
                  AS rating_frequency_policy_ids,
              array_agg(p.overage_policy_id::text ORDER BY p.usage_resource_id) AS overage_policy_ids,
              array_agg(p.commitment_policy_id::text ORDER BY p.usage_resource_id) AS commitment_policy_ids
         FROM binding_target_policies AS p
         JOIN accounts AS a ON a.tenant_id = $1 AND a.account_id = c.account_id
        WHERE p.tenant_id = $1 AND p.account_id = c.account_id
        GROUP BY p.binding_target_id, a.billing_unit, a.billing_count
       HAVING bool_or($3 = CASE $2
                      WHEN 'AggregationPolicy' THEN p.aggregation_policy_id
                      WHEN 'RatingFrequencyPolicy' THEN p.rating_frequency_policy_id
                      WHEN 'OveragePolicy' THEN p.overage_policy_id
                      WHEN 'CommitmentPolicy' THEN p.commitment_policy_id END)
       OFFSET 0) AS w
 WHERE c.tenant_id = $1
 GROUP BY w.usage_resource_ids, w.aggregation_policy_ids, w.rating_frequency_policy_ids, w.overage_policy_ids,
          w.commitment_policy_ids, w.billing_unit, w.billing_count
 ORDER BY names;
