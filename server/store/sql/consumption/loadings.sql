-- Loadings: started, prolonged, ended, and looked up for usage and corrections.

-- name: add_loading
-- A loading begins as open.
--   $1 tenant_id uuid, $2 account_id text, $3 loading_id uuid, $4 order_id uuid or null, $5 asset_ids uuid[],
--   $6 until_time timestamptz
INSERT INTO loadings (tenant_id, account_id, loading_id, order_id, asset_ids, until_time)
VALUES ($1, $2, $3, $4, $5, $6);

-- name: lock_loading
-- Waits for those that add jobs for its end, which have locked it together.
--   $1 tenant_id uuid, $2 account_id text, $3 loading_id uuid
SELECT loading_id FROM loadings WHERE tenant_id = $1 AND account_id = $2 AND loading_id = $3 FOR UPDATE;

-- name: get_loading
-- One loading, with its end by the tenant's clock.
--   $1 tenant_id uuid, $2 account_id text, $3 loading_id uuid
SELECT l.loading_id, l.order_id, l.asset_ids, l.until_time, l.create_time, l.created_by, l.update_time, l.updated_by,
       coalesce(l.end_time, CASE WHEN l.until_time <= tenant_now($1) THEN l.until_time END) AS end_time
  FROM loadings AS l
 WHERE l.tenant_id = $1 AND l.account_id = $2 AND l.loading_id = $3;

-- name: list_loadings
-- An account's loadings, newest first, after the last one seen.
--   $1 tenant_id uuid, $2 account_id text, $3 after_time timestamptz, $4 after_id uuid, $5 limit bigint
SELECT l.loading_id, l.order_id, l.asset_ids, l.until_time, l.create_time, l.created_by, l.update_time, l.updated_by,
       coalesce(l.end_time, CASE WHEN l.until_time <= tenant_now($1) THEN l.until_time END) AS end_time
  FROM loadings AS l
 WHERE l.tenant_id = $1 AND l.account_id = $2
   AND ($3::timestamptz IS NULL OR (l.create_time, l.loading_id) < ($3, $4::uuid))
 ORDER BY l.create_time DESC, l.loading_id DESC
 LIMIT $5;

-- name: set_until
-- The loading is locked and open.
--   $1 tenant_id uuid, $2 account_id text, $3 loading_id uuid, $4 until_time timestamptz
UPDATE loadings SET until_time = $4
 WHERE tenant_id = $1 AND account_id = $2 AND loading_id = $3 AND until_time <> $4;

-- name: end_loading
-- The loading is locked and open.
--   $1 tenant_id uuid, $2 account_id text, $3 loading_id uuid, $4 now timestamptz
UPDATE loadings SET end_time = $4 WHERE tenant_id = $1 AND account_id = $2 AND loading_id = $3;

-- name: find_loaded
-- The assets that are being loaded, of some.
--   $1 tenant_id uuid, $2 account_ids text[], $3 asset_ids uuid[], $4 now timestamptz
SELECT k.account_id, k.asset_id
  FROM unnest($2::text[], $3::uuid[]) AS k (account_id, asset_id)
 WHERE EXISTS (
       SELECT FROM loadings AS l
        WHERE l.tenant_id = $1 AND l.account_id = k.account_id AND l.end_time IS NULL AND l.until_time > $4
          AND (cardinality(l.asset_ids) = 0 OR k.asset_id = ANY (l.asset_ids)));

-- name: find_open
-- The open loadings of some accounts.
--   $1 tenant_id uuid, $2 account_ids text[], $3 now timestamptz
SELECT l.account_id, l.asset_ids, l.until_time
  FROM unnest($2::text[]) AS k (account_id)
 CROSS JOIN LATERAL (
       SELECT o.account_id, o.asset_ids, o.until_time FROM loadings AS o
        WHERE o.tenant_id = $1 AND o.account_id = k.account_id AND o.end_time IS NULL AND o.until_time > $3
        OFFSET 0) AS l;

-- name: share_open
-- The same, locked together with others: whoever ends or prolongs one of them waits.
--   $1 tenant_id uuid, $2 account_ids text[], $3 now timestamptz
SELECT l.account_id, l.asset_ids, l.until_time
  FROM (SELECT u.account_id FROM unnest($2::text[]) AS u (account_id) ORDER BY u.account_id COLLATE "C") AS k
 CROSS JOIN LATERAL (
       SELECT o.account_id, o.asset_ids, o.until_time FROM loadings AS o
        WHERE o.tenant_id = $1 AND o.account_id = k.account_id AND o.end_time IS NULL AND o.until_time > $3
        ORDER BY o.loading_id FOR SHARE) AS l;

-- name: touches
-- True if some wallet counts the usage of some asset, or the tokens that it costs.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_ids uuid[], $4 asset_ids uuid[]
SELECT EXISTS (
       SELECT FROM asset_resources
        WHERE tenant_id = $1 AND account_id = $2 AND asset_id = ANY ($4::uuid[])
          AND (wallet_id = ANY ($3::uuid[]) OR token_wallet_id = ANY ($3::uuid[])));
