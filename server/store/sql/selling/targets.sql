-- Targets and their wallets: as they are before a sale binds to them, and what it adds.

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

-- name: own_target
-- The target that an asset is by itself.
--   $1 tenant_id uuid, $2 account_id text, $3 asset_id text
SELECT entitlement_account_id, target_kind, target_id, time_zone, currency_code, anchor_date, billing_unit,
       billing_count, start_date, end_date
  FROM entitlement_accounts
 WHERE tenant_id = $1 AND account_id = $2 AND target_kind = 'ASSET' AND target_id = $3;

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

-- name: save_targets
-- New targets, and the new window of shared ones.
--   $1 tenant_id uuid, $2 account_id text, $3 entitlement_account_ids uuid[], $4 target_kinds text[],
--   $5 target_ids text[], $6 time_zones text[], $7 currency_codes text[], $8 anchor_dates date[],
--   $9 billing_units text[], $10 billing_counts smallint[], $11 start_dates date[], $12 end_dates date[]
INSERT INTO entitlement_accounts (tenant_id, account_id, entitlement_account_id, target_kind, target_id,
                                  time_zone, currency_code, anchor_date, billing_unit, billing_count, start_date,
                                  end_date)
SELECT $1, $2, t.entitlement_account_id, t.target_kind, t.target_id, t.time_zone, t.currency_code,
       t.anchor_date, t.billing_unit, t.billing_count, t.start_date, t.end_date
  FROM unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::date[], $9::text[],
              $10::smallint[], $11::date[], $12::date[])
       AS t (entitlement_account_id, target_kind, target_id, time_zone, currency_code, anchor_date,
             billing_unit, billing_count, start_date, end_date)
 ORDER BY t.entitlement_account_id
    ON CONFLICT (tenant_id, account_id, entitlement_account_id)
       DO UPDATE SET start_date = excluded.start_date, end_date = excluded.end_date;

-- name: add_wallets
-- New wallets. Existing ones are left unchanged, because their policies equal those of this sale.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_ids uuid[], $4 entitlement_account_ids uuid[],
--   $5 usage_resource_ids text[], $6 unit_ids text[], $7 methods text[], $8 periods text[],
--   $9 combines text[], $10 rating_periods text[], $11 waiting_days integer[],
--   $12 waiting_hours integer[], $13 late_policies text[], $14 drawdown_orders text[],
--   $15 labels text[], $16 dimensions text[], the names of each with commas
INSERT INTO wallets (tenant_id, account_id, wallet_id, entitlement_account_id, usage_resource_id,
                     unit_of_measure_id, aggregation_method, aggregation_period, aggregation_combine,
                     rating_period, waiting_days, waiting_hours, late_policy, drawdown_order,
                     aggregation_label, dimensions)
SELECT $1, $2, w.wallet_id, w.entitlement_account_id, w.usage_resource_id, w.unit_id, w.method, w.period,
       w.combine, w.rating_period, w.waiting_days, w.waiting_hours, w.late_policy, w.drawdown_order,
       w.label, string_to_array(w.dimensions, ',')
  FROM unnest($3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
              $10::text[], $11::integer[], $12::integer[], $13::text[], $14::text[], $15::text[],
              $16::text[])
       AS w (wallet_id, entitlement_account_id, usage_resource_id, unit_id, method, period, combine,
             rating_period, waiting_days, waiting_hours, late_policy, drawdown_order, label,
             dimensions)
 ORDER BY w.wallet_id
    ON CONFLICT (tenant_id, account_id, wallet_id) DO NOTHING;
