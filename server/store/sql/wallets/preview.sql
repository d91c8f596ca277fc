-- The reads of a preview beside the wallets. Nothing is locked.

-- name: first_open
-- The first open period of each wallet after all final ones: it handles late usage.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_ids uuid[]
SELECT DISTINCT ON (p.wallet_id) p.wallet_id, p.start_time, p.end_time, p.freeze_time
  FROM rating_periods AS p
 WHERE p.tenant_id = $1 AND p.account_id = $2 AND p.wallet_id = ANY ($3::uuid[]) AND p.state = 'OPEN'
   AND NOT EXISTS (
       SELECT FROM rating_periods AS l
        WHERE l.tenant_id = $1 AND l.account_id = $2 AND l.wallet_id = p.wallet_id AND l.start_time > p.start_time
          AND l.state <> 'OPEN')
 ORDER BY p.wallet_id, p.start_time;

-- name: known_values
-- The values that have been counted in their windows.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_ids uuid[], $4 asset_ids uuid[],
--   $5 window_keys text[], $6 values text[]
SELECT v.wallet_id, v.asset_id, v.window_key, v.value
  FROM unnest($3::uuid[], $4::uuid[], $5::text[], $6::text[]) AS k (wallet_id, asset_id, window_key, value)
  JOIN unique_values AS v
    ON v.tenant_id = $1 AND v.account_id = $2 AND v.wallet_id = k.wallet_id AND v.asset_id = k.asset_id
   AND v.window_key = k.window_key AND v.value = k.value
 ORDER BY v.wallet_id, v.asset_id, v.window_key, v.value;

-- name: rated_before
-- The amounts already rated of each asset and origin of a wallet, without one rating period, in the form of
-- `wallet_states`.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid, $4 start_time timestamptz or null
SELECT json_agg(json_build_array(t.asset_id, t.origin_start_time, t.used::text, t.overage::text, t.packages,
                                 t.flat_tiers))::text
  FROM (SELECT asset_id, origin_start_time, sum(used_quantity) AS used, sum(overage_quantity) AS overage,
               json_agg(packages) FILTER (WHERE packages IS NOT NULL) AS packages,
               json_agg(flat_tiers::text[]) FILTER (WHERE flat_tiers IS NOT NULL) AS flat_tiers
          FROM ratable_summaries
         WHERE tenant_id = $1 AND account_id = $2 AND wallet_id = $3 AND start_time > '-infinity'
           AND start_time IS DISTINCT FROM $4
         GROUP BY asset_id, origin_start_time) AS t;
