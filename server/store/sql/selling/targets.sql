-- Targets and their wallets, as they are before a sale binds to them.

-- name: targets
-- The existing ones of some targets; an asset stands for the target that it is bound to.
--   $1 tenant_id uuid, $2 account_id text, $3 kinds text[], $4 target_ids text[]
SELECT k.kind AS asked_kind, k.target_id AS asked_id, e.entitlement_account_id, e.target_kind, e.target_id,
       e.time_zone, e.currency_code, e.anchor_date, e.billing_unit, e.billing_count, e.start_date, e.end_date
  FROM unnest($3::text[], $4::text[]) AS k (kind, target_id)
  JOIN entitlement_accounts AS e
    ON e.tenant_id = $1 AND e.account_id = $2
   AND CASE WHEN k.kind = 'ASSET'
            THEN e.entitlement_account_id IN (
                 SELECT w.entitlement_account_id FROM asset_resources AS r
                   JOIN wallets AS w ON w.tenant_id = $1 AND w.account_id = $2 AND w.wallet_id = r.wallet_id
                  WHERE r.tenant_id = $1 AND r.account_id = $2 AND r.asset_id = k.target_id::uuid
                    AND r.role = 'ANCHOR')
            ELSE e.target_kind = k.kind AND e.target_id = k.target_id END
 ORDER BY k.kind, k.target_id;

-- name: having
-- What a pack can add to: the targets that are in use on a day or later and have a wallet of each of its resources. The
-- account is the first; a few are enough, because only one target alone is taken without being named.
--   $1 tenant_id uuid, $2 account_id text, $3 usage_resource_ids text[], $4 day date, $5 limit bigint
SELECT e.target_kind, e.target_id
  FROM entitlement_accounts AS e
 WHERE e.tenant_id = $1 AND e.account_id = $2 AND (e.end_date IS NULL OR e.end_date > $4)
   AND NOT EXISTS (
       SELECT FROM unnest($3::text[]) AS r (usage_resource_id)
        WHERE NOT EXISTS (
              SELECT FROM wallets AS w
               WHERE w.tenant_id = $1 AND w.account_id = $2
                 AND w.entitlement_account_id = e.entitlement_account_id
                 AND w.usage_resource_id = r.usage_resource_id))
 ORDER BY e.target_kind, e.target_id
 LIMIT $5;

-- name: rate_units
-- The unit of the rates of each resource of one target: all assets that draw on a wallet are rated in one unit.
--   $1 tenant_id uuid, $2 account_id text, $3 entitlement_account_id uuid
SELECT DISTINCT w.usage_resource_id, r.terms #>> '{content,unit}' AS unit
  FROM wallets AS w
  JOIN asset_resources AS h
    ON h.tenant_id = $1 AND h.account_id = $2 AND h.wallet_id = w.wallet_id AND h.role = 'ANCHOR'
  JOIN asset_rates AS r
    ON r.tenant_id = $1 AND r.account_id = $2 AND r.asset_id = h.asset_id
   AND r.usage_resource_id = h.usage_resource_id
 WHERE w.tenant_id = $1 AND w.account_id = $2 AND w.entitlement_account_id = $3
 ORDER BY w.usage_resource_id, unit;

-- name: target_wallets
-- The wallets of some targets with their policies, which never change.
--   $1 tenant_id uuid, $2 account_id text, $3 entitlement_account_ids uuid[]
SELECT wallet_id, entitlement_account_id, usage_resource_id, unit_of_measure_id, aggregation_method,
       aggregation_period, aggregation_combine, aggregation_label, rating_period, waiting_days, waiting_hours, late_policy,
       drawdown_order, dimensions
  FROM wallets
 WHERE tenant_id = $1 AND account_id = $2 AND entitlement_account_id = ANY ($3::uuid[])
 ORDER BY wallet_id;
