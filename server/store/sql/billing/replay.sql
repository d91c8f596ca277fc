-- Replay: rated lines, and the product and selling model of each asset.

-- name: rated_lines
-- An account's ratable lines with their corrections, of usage in periods that start within a time, oldest first.
--   $1 tenant_id uuid, $2 account_id text, $3 asset_id uuid or null for all, $4 start_time timestamptz,
--   $5 end_time timestamptz, $6 limit bigint
SELECT coalesce(corrects_id, ratable_summary_id) AS ratable_summary_id, wallet_id, asset_id, usage_resource_id,
       greatest(origin_start_time, service_start_time) AS start_time,
       segment_start_time, dimensions, sum(overage_quantity) AS overage_quantity, sum(amount) AS amount, currency_code
  FROM ratable_summaries
 WHERE tenant_id = $1 AND account_id = $2 AND ($3::uuid IS NULL OR asset_id = $3)
   AND greatest(origin_start_time, service_start_time) >= $4
   AND greatest(origin_start_time, service_start_time) < $5
 GROUP BY 1, wallet_id, asset_id, usage_resource_id, 5, segment_start_time, dimensions, currency_code
 ORDER BY 5, 1 LIMIT $6;

-- name: sold_as
-- The product of each asset of an account, and the selling model of its line in force.
--   $1 tenant_id uuid, $2 account_id text
SELECT a.asset_id, a.product_id, l.selling_model_id
  FROM assets AS a
  JOIN order_lines AS l
    ON l.tenant_id = $1 AND l.account_id = $2 AND l.asset_id = a.asset_id AND l.version = a.line_version
 WHERE a.tenant_id = $1 AND a.account_id = $2
 ORDER BY a.asset_id;
