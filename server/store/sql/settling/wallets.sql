-- Wallets: all that a balance or a settlement is computed from, in one statement and so at one moment.

-- name: wallet_states
-- Numbers travel as text, because JSON's have no exact form, and so do the arrays themselves: one that was read
-- before is not read again. Usage counts while its period is not final; the cells that late usage corrects
-- come with it, and what of them is rated.
-- Where `with_sources`, what is rated in the tokens of these wallets comes too. Of the assets of a target that
-- they share it is said whether their rates are fixed; of those of an asset alone, null.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid or null for all, $4 after_resource text,
--   $5 after_wallet_id uuid, $6 limit bigint, $7 with_sources boolean
WITH asked AS (
    SELECT w.wallet_id FROM wallets AS w
     WHERE w.tenant_id = $1 AND w.account_id = $2 AND ($3::uuid IS NULL OR w.wallet_id = $3)
       AND ($4::text IS NULL OR (w.usage_resource_id, w.wallet_id) > ($4, $5::uuid))
     ORDER BY w.usage_resource_id, w.wallet_id LIMIT $6),
wanted AS (
    SELECT wallet_id, NULL::uuid AS token_wallet_id FROM asked
    UNION
    SELECT h.wallet_id, h.token_wallet_id
      FROM asked JOIN asset_resources AS h
        ON h.tenant_id = $1 AND h.account_id = $2 AND h.token_wallet_id = asked.wallet_id
     WHERE $7::boolean)
SELECT w.wallet_id, wanted.token_wallet_id, w.usage_resource_id, w.unit_of_measure_id, w.aggregation_method, w.aggregation_period,
       w.aggregation_combine, w.aggregation_label, w.rating_period, w.waiting_days, w.waiting_hours, w.late_policy,
       w.drawdown_order, w.head_seq, w.balance, w.head_hash, e.target_kind, e.target_id, e.time_zone,
       e.currency_code, e.anchor_date, e.billing_months, tenant_now($1) AS now,
       (SELECT rating_versions($1)) AS versions,
       (SELECT max(p.end_time) FROM rating_periods AS p
         WHERE p.tenant_id = $1 AND p.account_id = $2 AND p.wallet_id = w.wallet_id
           AND p.state = 'FINAL') AS closed,
       (SELECT json_agg(json_build_array(
                   g.grant_id, g.entitlement_id, g.kind, g.issue_index, g.rollover_count, g.quantity::text,
                   g.start_time, g.expire_time, g.head_seq, g.balance::text) ORDER BY g.start_time, g.grant_id)::text
          FROM grants AS g
         WHERE g.tenant_id = $1 AND g.account_id = $2 AND g.wallet_id = w.wallet_id
           AND (g.balance > 0 OR g.expire_time IS NULL OR g.expire_time > tenant_now($1))) AS grants,
       (SELECT json_agg(json_build_array(
                   n.entitlement_id, n.asset_id, n.number, n.quantity::text, n.unit_scale, n.start_date,
                   n.end_date, n.anchor_date, n.refresh_unit, n.refresh_count, n.validity_unit,
                   n.validity_count, n.can_roll_over, n.max_rollovers, n.next_index,
                   n.rollover_max_quantity::text, n.rollover_max_percent::text) ORDER BY n.number)::text
          FROM entitlements AS n
         WHERE n.tenant_id = $1 AND n.account_id = $2 AND n.wallet_id = w.wallet_id) AS entitlements,
       (SELECT array_agg(json_build_array(
                   s.usage_summary_id, s.asset_id, a.number, s.start_time, s.end_time, s.origin_start_time,
                   s.period_start_time, p.end_time, s.record_count, s.sum_quantity::text,
                   s.max_quantity::text, s.min_quantity::text, s.last_quantity::text, s.last_time,
                   s.last_record_id, p.state, s.dimensions)::text ORDER BY s.usage_summary_id)
          FROM usage_summaries AS s
          JOIN rating_periods AS p
            ON p.tenant_id = $1 AND p.account_id = $2 AND p.wallet_id = w.wallet_id
           AND p.start_time = s.period_start_time
          JOIN assets AS a ON a.tenant_id = $1 AND a.account_id = $2 AND a.asset_id = s.asset_id
         WHERE s.tenant_id = $1 AND s.account_id = $2 AND s.wallet_id = w.wallet_id
           AND (s.period_start_time IN (SELECT o.start_time FROM rating_periods AS o
                                         WHERE o.tenant_id = $1 AND o.account_id = $2
                                           AND o.wallet_id = w.wallet_id AND o.state <> 'FINAL')
                OR s.origin_start_time IN (SELECT c.origin_start_time FROM usage_summaries AS c
                     JOIN rating_periods AS o
                       ON o.tenant_id = $1 AND o.account_id = $2 AND o.wallet_id = w.wallet_id
                      AND o.start_time = c.period_start_time AND o.state <> 'FINAL'
                    WHERE c.tenant_id = $1 AND c.account_id = $2 AND c.wallet_id = w.wallet_id
                      AND c.origin_start_time <> c.period_start_time))) AS cells,
       (SELECT json_agg(json_build_array(
                   t.asset_id, t.origin_start_time, t.used::text, t.overage::text, t.packages))::text
          FROM (SELECT r.asset_id, r.origin_start_time, sum(r.used_quantity) AS used,
                       sum(r.overage_quantity) AS overage,
                       json_agg(r.packages) FILTER (WHERE r.packages IS NOT NULL) AS packages
                  FROM ratable_summaries AS r
                 WHERE r.tenant_id = $1 AND r.account_id = $2 AND r.wallet_id = w.wallet_id
                   AND r.origin_start_time IN (SELECT c.origin_start_time FROM usage_summaries AS c
                         JOIN rating_periods AS o
                           ON o.tenant_id = $1 AND o.account_id = $2 AND o.wallet_id = w.wallet_id
                          AND o.start_time = c.period_start_time AND o.state <> 'FINAL'
                        WHERE c.tenant_id = $1 AND c.account_id = $2 AND c.wallet_id = w.wallet_id
                          AND c.origin_start_time <> c.period_start_time)
                 GROUP BY r.asset_id, r.origin_start_time) AS t) AS rated,
       (SELECT json_agg(json_build_array(
                   h.asset_id, h.overage, coalesce(r.start_time, h.start_time), r.end_time, r.terms,
                   r.asset_rate_id, h.end_time, a.number, a.product_id, h.token_wallet_id,
                   h.definition_product_id, h.role, h.commitment_rate,
                   CASE WHEN e.target_kind <> 'ASSET' THEN (h.policies ->> 'is_fixed')::boolean END)
                   ORDER BY a.number, r.start_time)::text
          FROM asset_resources AS h
          JOIN assets AS a ON a.tenant_id = $1 AND a.account_id = $2 AND a.asset_id = h.asset_id
          LEFT JOIN asset_rates AS r
            ON r.tenant_id = $1 AND r.account_id = $2 AND r.asset_id = h.asset_id
           AND r.usage_resource_id = h.usage_resource_id
         WHERE h.tenant_id = $1 AND h.account_id = $2 AND h.wallet_id = w.wallet_id) AS assets
  FROM wanted
  JOIN wallets AS w ON w.tenant_id = $1 AND w.account_id = $2 AND w.wallet_id = wanted.wallet_id
  JOIN entitlement_accounts AS e
    ON e.tenant_id = $1 AND e.account_id = $2 AND e.entitlement_account_id = w.entitlement_account_id
 ORDER BY w.usage_resource_id, w.wallet_id, wanted.token_wallet_id NULLS FIRST;

-- name: lock_wallet
-- Everyone who writes to a wallet waits here, and then reads.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid
SELECT wallet_id FROM wallets
 WHERE tenant_id = $1 AND account_id = $2 AND wallet_id = $3
   FOR NO KEY UPDATE;

-- name: asset_numbers
-- The places of some assets among those of their account.
--   $1 tenant_id uuid, $2 account_id text, $3 asset_ids uuid[]
SELECT asset_id, number FROM assets
 WHERE tenant_id = $1 AND account_id = $2 AND asset_id = ANY ($3::uuid[]) ORDER BY number;

-- name: wallet_exists
-- An empty list is an answer only about something.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid
SELECT EXISTS (SELECT FROM wallets WHERE tenant_id = $1 AND account_id = $2 AND wallet_id = $3);

-- name: list_entries
-- The lines of a wallet in posting order.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid, $4 after_seq bigint, $5 limit bigint
SELECT seq, grant_id, grant_seq, kind, amount, wallet_before, wallet_after, grant_before, grant_after,
       effective_time, cause_kind, cause_id, cause_revision, leg, hash, covered, create_time
  FROM wallet_entries
 WHERE tenant_id = $1 AND account_id = $2 AND wallet_id = $3 AND seq > $4
 ORDER BY seq LIMIT $5;

-- name: list_grants
-- The issues of a wallet, oldest first, those that are used up too.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid
SELECT grant_id, entitlement_id, kind, issue_index, rollover_count, quantity, start_time, expire_time,
       head_seq, balance
  FROM grants
 WHERE tenant_id = $1 AND account_id = $2 AND wallet_id = $3
 ORDER BY start_time, grant_id;

-- name: save_next_indices
-- Which issue of each entitlement comes next.
--   $1 tenant_id uuid, $2 account_id text, $3 entitlement_ids uuid[], $4 next_indices integer[]
UPDATE entitlements AS e SET next_index = greatest(e.next_index, n.next_index)
  FROM unnest($3::uuid[], $4::integer[]) AS n (entitlement_id, next_index)
 WHERE e.tenant_id = $1 AND e.account_id = $2 AND e.entitlement_id = n.entitlement_id;
