-- Resources of assets on a day, with the lines under which they were sold.

-- name: asset_keys
-- The resources of one asset, if it is in effect on a day, by resource.
--   $1 tenant_id uuid, $2 account_id text, $3 asset_id uuid, $4 day date, $5 usage_resource_id text or null,
--   $6 after_resource text, $7 after_number bigint, $8 limit bigint
SELECT h.asset_id, h.usage_resource_id
  FROM assets AS a
  JOIN asset_resources AS h ON h.tenant_id = $1 AND h.account_id = $2 AND h.asset_id = a.asset_id
 WHERE a.tenant_id = $1 AND a.account_id = $2 AND a.asset_id = $3 AND daterange(a.start_date, a.end_date) @> $4::date
   AND ($5::text IS NULL OR h.usage_resource_id = $5)
   AND (h.usage_resource_id::text COLLATE "C", a.number) > ($6::text, $7::bigint)
 ORDER BY h.usage_resource_id::text COLLATE "C", a.number
 LIMIT $8;

-- name: target_keys
-- The resources of all assets that share the wallets of a target and are in effect on a day, by resource, then by
-- the age of the asset.
--   $1 tenant_id uuid, $2 account_id text, $3 entitlement_account_id uuid, $4 day date,
--   $5 usage_resource_id text or null, $6 after_resource text, $7 after_number bigint, $8 limit bigint
SELECT h.asset_id, h.usage_resource_id
  FROM wallets AS w
  JOIN asset_resources AS h ON h.tenant_id = $1 AND h.account_id = $2 AND h.wallet_id = w.wallet_id
  JOIN assets AS a ON a.tenant_id = $1 AND a.account_id = $2 AND a.asset_id = h.asset_id
 WHERE w.tenant_id = $1 AND w.account_id = $2 AND w.entitlement_account_id = $3
   AND daterange(a.start_date, a.end_date) @> $4::date AND ($5::text IS NULL OR w.usage_resource_id = $5)
   AND (h.usage_resource_id::text COLLATE "C", a.number) > ($6::text, $7::bigint)
 ORDER BY h.usage_resource_id::text COLLATE "C", a.number
 LIMIT $8;

-- name: held
-- Some resources of assets, with the terms at a time, in the order of the keys.
--   $1 tenant_id uuid, $2 account_id text, $3 asset_ids uuid[], $4 usage_resource_ids text[], $5 at timestamptz
SELECT h.asset_id, a.number, h.usage_resource_id, h.wallet_id, e.target_kind <> 'ASSET' AS is_shared,
       CASE WHEN h.bound_time IS NOT NULL THEN e.target_kind END AS bound_kind, e.target_id AS bound_id,
       l.order_id, l.position, h.policies, c.anchor_id, r.terms
  FROM unnest($3::uuid[], $4::text[]) WITH ORDINALITY AS k (asset_id, usage_resource_id, turn)
  JOIN asset_resources AS h
    ON h.tenant_id = $1 AND h.account_id = $2 AND h.asset_id = k.asset_id
   AND h.usage_resource_id = k.usage_resource_id
  JOIN assets AS a ON a.tenant_id = $1 AND a.account_id = $2 AND a.asset_id = k.asset_id
  JOIN order_lines AS l
    ON l.tenant_id = $1 AND l.account_id = $2 AND l.asset_id = a.asset_id AND l.version = a.line_version
  JOIN wallets AS w ON w.tenant_id = $1 AND w.account_id = $2 AND w.wallet_id = h.wallet_id
  JOIN entitlement_accounts AS e
    ON e.tenant_id = $1 AND e.account_id = $2 AND e.entitlement_account_id = w.entitlement_account_id
  LEFT JOIN commitment_links AS c ON c.tenant_id = $1 AND c.account_id = $2 AND c.asset_id = h.asset_id
  LEFT JOIN LATERAL (
       SELECT r.terms FROM asset_rates AS r
        WHERE r.tenant_id = $1 AND r.account_id = $2 AND r.asset_id = h.asset_id
          AND r.usage_resource_id = h.usage_resource_id AND r.start_time <= $5
          AND (r.end_time IS NULL OR r.end_time > $5)
        ORDER BY r.start_time DESC LIMIT 1) AS r ON true
 ORDER BY k.turn;

-- name: lines_in_force
-- The line in force of each of some assets.
--   $1 tenant_id uuid, $2 account_id text, $3 asset_ids uuid[]
SELECT l.asset_id AS sale_id, l.product_id, l.quantity, l.start_date, l.end_date, l.role, l.binding, l.target_id, l.target_line,
       l.selling_model_id, l.external_id, l.nested, l.omitted, l.rate_basis, l.resources
  FROM assets AS a
  JOIN order_lines AS l
    ON l.tenant_id = $1 AND l.account_id = $2 AND l.asset_id = a.asset_id AND l.version = a.line_version
 WHERE a.tenant_id = $1 AND a.account_id = $2 AND a.asset_id = ANY ($3::uuid[])
 ORDER BY l.asset_id;
