-- The rates of assets over time.

-- name: last_rates
-- The last rates of some assets: when they begin.
--   $1 tenant_id uuid, $2 account_id text, $3 asset_ids uuid[]
SELECT k.asset_id, r.usage_resource_id, r.start_time
  FROM unnest($3::uuid[]) AS k (asset_id)
 CROSS JOIN LATERAL (
       SELECT DISTINCT ON (o.usage_resource_id) o.usage_resource_id, o.start_time FROM asset_rates AS o
        WHERE o.tenant_id = $1 AND o.account_id = $2 AND o.asset_id = k.asset_id
        ORDER BY o.usage_resource_id, o.start_time DESC) AS r
 ORDER BY k.asset_id, r.usage_resource_id;

-- name: replace_terms
-- The terms of rates that begin at a time.
--   $1 tenant_id uuid, $2 account_id text, $3 asset_ids uuid[], $4 usage_resource_ids text[], $5 terms jsonb[],
--   $6 start_time timestamptz
UPDATE asset_rates AS r SET terms = n.terms
  FROM unnest($3::uuid[], $4::text[], $5::jsonb[]) AS n (asset_id, usage_resource_id, terms)
 WHERE r.tenant_id = $1 AND r.account_id = $2 AND r.asset_id = n.asset_id AND r.asset_id = ANY ($3::uuid[])
   AND r.usage_resource_id = n.usage_resource_id AND r.start_time = $6;

-- name: end_rates
-- Rates that others follow from a time on, and their ends so far.
--   $1 tenant_id uuid, $2 account_id text, $3 asset_ids uuid[], $4 usage_resource_ids text[],
--   $5 end_time timestamptz
WITH before AS (
SELECT r.asset_rate_id, r.asset_id, r.usage_resource_id, r.end_time
  FROM unnest($3::uuid[], $4::text[]) AS n (asset_id, usage_resource_id)
  JOIN asset_rates AS r
    ON r.tenant_id = $1 AND r.account_id = $2 AND r.asset_id = n.asset_id
   AND r.usage_resource_id = n.usage_resource_id
 WHERE r.start_time < $5 AND (r.end_time IS NULL OR r.end_time > $5)),
ended AS (
UPDATE asset_rates AS r SET end_time = $5
 WHERE r.tenant_id = $1 AND r.account_id = $2 AND r.asset_rate_id IN (SELECT b.asset_rate_id FROM before AS b))
SELECT asset_id, usage_resource_id, end_time FROM before ORDER BY asset_id, usage_resource_id;

-- name: add_rates
-- The rates that follow.
--   $1 tenant_id uuid, $2 account_id text, $3 asset_rate_ids uuid[], $4 asset_ids uuid[],
--   $5 usage_resource_ids text[], $6 start_time timestamptz, $7 end_times timestamptz[], $8 terms jsonb[]
INSERT INTO asset_rates (tenant_id, account_id, asset_rate_id, asset_id, usage_resource_id, start_time, end_time,
                         terms)
SELECT $1, $2, n.asset_rate_id, n.asset_id, n.usage_resource_id, $6, n.end_time, n.terms
  FROM unnest($3::uuid[], $4::uuid[], $5::text[], $7::timestamptz[], $8::jsonb[])
       AS n (asset_rate_id, asset_id, usage_resource_id, end_time, terms)
 ORDER BY n.asset_rate_id;
