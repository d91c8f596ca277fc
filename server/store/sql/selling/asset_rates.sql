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

-- name: all_rates
-- All rates of some assets.
--   $1 tenant_id uuid, $2 account_id text, $3 asset_ids uuid[]
SELECT asset_id, usage_resource_id, start_time, terms FROM asset_rates
 WHERE tenant_id = $1 AND account_id = $2 AND asset_id = ANY ($3::uuid[])
 ORDER BY asset_id, usage_resource_id, start_time;

-- name: drop_rates
-- Rates that begin at a time or later.
--   $1 tenant_id uuid, $2 account_id text, $3 asset_ids uuid[], $4 usage_resource_ids text[],
--   $5 start_times timestamptz[]
DELETE FROM asset_rates AS r
 USING unnest($3::uuid[], $4::text[], $5::timestamptz[]) AS n (asset_id, usage_resource_id, start_time)
 WHERE r.tenant_id = $1 AND r.account_id = $2 AND r.asset_id = n.asset_id AND r.asset_id = ANY ($3::uuid[])
   AND r.usage_resource_id = n.usage_resource_id AND r.start_time >= n.start_time;

-- name: cut_rates
-- Rates that begin before a time end there at the latest.
--   $1 tenant_id uuid, $2 account_id text, $3 asset_ids uuid[], $4 usage_resource_ids text[],
--   $5 end_times timestamptz[]
UPDATE asset_rates AS r SET end_time = n.end_time
  FROM unnest($3::uuid[], $4::text[], $5::timestamptz[]) AS n (asset_id, usage_resource_id, end_time)
 WHERE r.tenant_id = $1 AND r.account_id = $2 AND r.asset_id = n.asset_id AND r.asset_id = ANY ($3::uuid[])
   AND r.usage_resource_id = n.usage_resource_id AND (r.end_time IS NULL OR r.end_time > n.end_time);

-- name: add_dated_rates
-- Rates with their spans.
--   $1 tenant_id uuid, $2 account_id text, $3 asset_rate_ids uuid[], $4 asset_ids uuid[],
--   $5 usage_resource_ids text[], $6 start_times timestamptz[], $7 end_times timestamptz[], $8 terms jsonb[]
INSERT INTO asset_rates (tenant_id, account_id, asset_rate_id, asset_id, usage_resource_id, start_time, end_time,
                         terms)
SELECT $1, $2, n.* FROM unnest($3::uuid[], $4::uuid[], $5::text[], $6::timestamptz[], $7::timestamptz[], $8::jsonb[])
       AS n (asset_rate_id, asset_id, usage_resource_id, start_time, end_time, terms)
 ORDER BY n.asset_rate_id;

-- name: following_accounts
-- The accounts with assets that follow the catalog, after the last one seen.
--   $1 tenant_id uuid, $2 after_account_id text, $3 limit bigint
SELECT DISTINCT account_id FROM order_lines
 WHERE tenant_id = $1 AND rate_basis = 'FOLLOW_CATALOG' AND account_id > $2
 ORDER BY account_id LIMIT $3;
