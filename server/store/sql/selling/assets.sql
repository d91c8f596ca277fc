-- Assets, and the writes of an activation: resources, rates, entitlements.

-- name: last_numbers
-- The account's lock is held, so no other transaction takes the next numbers.
--   $1 tenant_id uuid, $2 account_id text
SELECT coalesce((SELECT max(number) FROM assets WHERE tenant_id = $1 AND account_id = $2), 0) AS asset,
       coalesce((SELECT max(number) FROM entitlements WHERE tenant_id = $1 AND account_id = $2), 0)
           AS entitlement;

-- name: add_assets
-- All assets of an order, under the first versions of their lines.
--   $1 tenant_id uuid, $2 account_id text, $3 asset_ids uuid[], $4 numbers bigint[], $5 product_ids text[],
--   $6 quantities numeric[], $7 start_dates date[], $8 end_dates date[], $9 external_ids text[]
INSERT INTO assets (tenant_id, account_id, asset_id, line_version, number, product_id, quantity, start_date,
                    end_date, external_id)
SELECT $1, $2, a.asset_id, 1, a.number, a.product_id, a.quantity, a.start_date, a.end_date, a.external_id
  FROM unnest($3::uuid[], $4::bigint[], $5::text[], $6::numeric[], $7::date[], $8::date[], $9::text[])
       AS a (asset_id, number, product_id, quantity, start_date, end_date, external_id)
 ORDER BY a.asset_id;

-- name: add_asset_resources
-- The wallets that usage of the new assets goes to, and their rates from the first day on.
--   $1 tenant_id uuid, $2 account_id text, $3 asset_ids uuid[], $4 usage_resource_ids text[],
--   $5 wallet_ids uuid[], $6 overages text[], $7 start_times timestamptz[], $8 end_times timestamptz[],
--   $9 policies jsonb[], $10 token_wallet_ids uuid[], $11 definition_product_ids text[], $12 roles text[],
--   $13 commitment_rates text[], $14 are_fixed boolean[], $15 asset_rate_ids uuid[], $16 terms jsonb[], null without a
--   rate
WITH new AS MATERIALIZED (
    SELECT r.*
      FROM unnest($3::uuid[], $4::text[], $5::uuid[], $6::text[], $7::timestamptz[], $8::timestamptz[],
                  $9::jsonb[], $10::uuid[], $11::text[], $12::text[], $13::text[], $14::boolean[], $15::uuid[],
                  $16::jsonb[])
           AS r (asset_id, usage_resource_id, wallet_id, overage, start_time, end_time, policies, token_wallet_id,
                 definition_product_id, role, commitment_rate, is_fixed, asset_rate_id, terms)),
rated AS (
    INSERT INTO asset_rates (tenant_id, account_id, asset_rate_id, asset_id, usage_resource_id, start_time,
                             end_time, terms)
    SELECT $1, $2, n.asset_rate_id, n.asset_id, n.usage_resource_id, n.start_time, n.end_time, n.terms
      FROM new AS n
     WHERE n.terms IS NOT NULL
     ORDER BY n.asset_rate_id)
INSERT INTO asset_resources (tenant_id, account_id, asset_id, usage_resource_id, wallet_id, overage,
                             start_time, end_time, policies, token_wallet_id, definition_product_id, role,
                             commitment_rate, is_fixed)
SELECT $1, $2, n.asset_id, n.usage_resource_id, n.wallet_id, n.overage, n.start_time, n.end_time,
       n.policies, n.token_wallet_id, n.definition_product_id, n.role, n.commitment_rate, n.is_fixed
  FROM new AS n
 ORDER BY n.asset_id, n.usage_resource_id COLLATE "C";

-- name: find_asset
-- One asset without its resources; its order is that of the line in force.
--   $1 tenant_id uuid, $2 account_id text, $3 asset_id uuid
SELECT asset_id, account_id, number, product_id, quantity, start_date, end_date, external_id, create_time,
       created_by, update_time, updated_by,
       l.order_id, l.role, l.rate_basis,
       (SELECT k.anchor_id FROM commitment_links AS k
         WHERE k.tenant_id = $1 AND k.account_id = $2 AND k.asset_id = assets.asset_id) AS anchor_id
  FROM assets
 CROSS JOIN LATERAL (
       SELECT o.order_id, o.role, o.rate_basis FROM order_lines AS o
        WHERE o.tenant_id = $1 AND o.account_id = $2 AND o.asset_id = assets.asset_id
          AND o.version = assets.line_version LIMIT 1) AS l
 WHERE tenant_id = $1 AND account_id = $2 AND asset_id = $3;

-- name: list_assets
-- An account's assets, oldest first, after the last number seen.
--   $1 tenant_id uuid, $2 account_id text, $3 after_number bigint, $4 limit bigint,
--   $5 product_id text or null, $6 usage_resource_id text or null, $7 on_date date or null,
--   $8 start_create_time timestamptz or null, $9 end_create_time timestamptz or null,
--   $10 external_id text or null, $11 unlinked boolean, $12 price_book_id text or null,
--   $13 follows boolean
SELECT asset_id, account_id, number, product_id, quantity, start_date, end_date, external_id, create_time,
       created_by, update_time, updated_by,
       l.order_id, l.role, l.rate_basis,
       (SELECT k.anchor_id FROM commitment_links AS k
         WHERE k.tenant_id = $1 AND k.account_id = $2 AND k.asset_id = assets.asset_id) AS anchor_id
  FROM assets
 CROSS JOIN LATERAL (
       SELECT o.order_id, o.role, o.rate_basis FROM order_lines AS o
        WHERE o.tenant_id = $1 AND o.account_id = $2 AND o.asset_id = assets.asset_id
          AND o.version = assets.line_version LIMIT 1) AS l
 WHERE tenant_id = $1 AND account_id = $2 AND number > $3
   AND ($5::text IS NULL OR product_id = $5)
   AND ($6::text IS NULL OR EXISTS (
       SELECT FROM asset_resources AS h
        WHERE h.tenant_id = $1 AND h.account_id = $2 AND h.asset_id = assets.asset_id
          AND h.usage_resource_id = $6))
   AND ($7::date IS NULL OR daterange(start_date, end_date) @> $7)
   AND ($8::timestamptz IS NULL OR create_time >= $8) AND ($9::timestamptz IS NULL OR create_time < $9)
   AND ($10::text IS NULL OR external_id = $10)
   AND (NOT $11::boolean OR (l.role NOT IN ('ANCHOR', 'PACK') AND NOT EXISTS (
       SELECT FROM commitment_links AS k
        WHERE k.tenant_id = $1 AND k.account_id = $2 AND k.asset_id = assets.asset_id)))
   AND ($12::text IS NULL OR EXISTS (
       SELECT FROM orders AS o
        WHERE o.tenant_id = $1 AND o.account_id = $2 AND o.order_id = l.order_id AND o.price_book_id = $12))
   AND (NOT $13::boolean OR l.rate_basis = 'FOLLOW_CATALOG')
 ORDER BY number
 LIMIT $4;

-- name: find_external
-- The assets of an account that have one of these external ids.
--   $1 tenant_id uuid, $2 account_id text, $3 external_ids text[]
SELECT external_id, asset_id
  FROM assets
 WHERE tenant_id = $1 AND account_id = $2 AND external_id = ANY ($3::text[])
 ORDER BY external_id;

-- name: held_resources
-- The resources of some assets, with the terms of each at a time: now without one. What has not begun then has its
-- first terms, and what has ended its last.
--   $1 tenant_id uuid, $2 account_id text, $3 asset_ids uuid[], $4 at timestamptz or null
WITH clock AS MATERIALIZED (SELECT coalesce($4::timestamptz, tenant_now($1)) AS now)
SELECT h.asset_id, h.usage_resource_id, h.wallet_id, h.token_wallet_id, h.definition_product_id, h.role, h.commitment_rate,
       h.start_time, h.end_time, h.policies, h.is_fixed, h.bound_time, h.former_wallet_id,
       e.target_kind, e.target_id, r.terms
  FROM asset_resources AS h
 CROSS JOIN LATERAL (
       SELECT w.entitlement_account_id FROM wallets AS w
        WHERE w.tenant_id = h.tenant_id AND w.account_id = h.account_id AND w.wallet_id = h.wallet_id LIMIT 1) AS w
 CROSS JOIN LATERAL (
       SELECT e.target_kind, e.target_id FROM entitlement_accounts AS e
        WHERE e.tenant_id = h.tenant_id AND e.account_id = h.account_id
          AND e.entitlement_account_id = w.entitlement_account_id LIMIT 1) AS e
  LEFT JOIN LATERAL (
       SELECT r.terms FROM asset_rates AS r
        WHERE r.tenant_id = h.tenant_id AND r.account_id = h.account_id AND r.asset_id = h.asset_id
          AND r.usage_resource_id = h.usage_resource_id
        ORDER BY r.start_time <= (SELECT now FROM clock) DESC,
                 abs(extract(epoch FROM r.start_time - (SELECT now FROM clock)))
        LIMIT 1) AS r ON true
 WHERE h.tenant_id = $1 AND h.account_id = $2 AND h.asset_id = ANY ($3::uuid[])
 ORDER BY h.asset_id, h.usage_resource_id;
