-- Active rates: all of a tenant for a process to compile, or those of one product for a sale.

-- name: revision
-- The revision of the tenant's catalog.
--   $1 tenant_id uuid
SELECT catalog_revision FROM tenants WHERE tenant_id = $1;

-- name: revisions
-- The revisions of several tenants; the function reads past row-level security.
--   $1 tenant_ids uuid[]
SELECT tenant_id, catalog_revision
  FROM catalog_revisions()
 WHERE tenant_id = ANY ($1::uuid[])
 ORDER BY tenant_id;

-- name: all_books
-- Every price book with its cards.
--   $1 tenant_id uuid
SELECT b.price_book_id, b.type, c.rate_card_id, c.start_date, c.end_date
  FROM price_book_rate_cards AS b
  JOIN rate_cards AS c
    ON (c.tenant_id, c.rate_card_id) = (b.tenant_id, b.rate_card_id)
 WHERE b.tenant_id = $1
 ORDER BY b.price_book_id, b.type COLLATE "C";

-- name: one_book
-- One price book with its cards; no rows if it does not exist.
--   $1 tenant_id uuid, $2 price_book_id text
SELECT b.price_book_id, b.type, c.rate_card_id, c.start_date, c.end_date
  FROM price_book_rate_cards AS b
  JOIN rate_cards AS c
    ON (c.tenant_id, c.rate_card_id) = (b.tenant_id, b.rate_card_id)
 WHERE b.tenant_id = $1 AND b.price_book_id = $2
 ORDER BY b.type COLLATE "C";

-- name: card_marks
-- Detects changes of the active entries of a card: a new or changed entry raises the revision, and a deleted
-- one lowers the count.
--   $1 tenant_id uuid
SELECT rate_card_id, count(*) AS entries, max(catalog_revision) AS revision
  FROM rate_card_entries
 WHERE tenant_id = $1 AND state = 'ACTIVE'
 GROUP BY rate_card_id
 ORDER BY rate_card_id;

-- name: all_entries
-- Every active entry, also of later days; drafts and inactive entries price nothing.
--   $1 tenant_id uuid, $2 rate_card_ids text[] or null for all
SELECT rate_card_id, entry_id, product_id, usage_resource_id, selling_model_id, rate_unit_id,
       rate_value, rate_per, is_package, tier_bounds, tier_mode, adjustments, is_negotiable, max_discount_percent, custom_fields, start_date,
       end_date, state
  FROM rate_card_entries
 WHERE tenant_id = $1 AND state = 'ACTIVE' AND ($2::text[] IS NULL OR rate_card_id = ANY ($2::text[]))
 ORDER BY rate_card_id, entry_id;

-- name: all_tiers
-- The tiers of those entries.
--   $1 tenant_id uuid, $2 rate_card_ids text[] or null for all
SELECT t.rate_card_id, t.entry_id, t.lower, t.upper, t.kind, t.value, t.flat_amount, t.package_size, t.due_without_usage
  FROM rate_tiers AS t
  JOIN rate_card_entries AS e
    ON (e.tenant_id, e.rate_card_id, e.entry_id) = (t.tenant_id, t.rate_card_id, t.entry_id)
 WHERE t.tenant_id = $1 AND e.state = 'ACTIVE' AND ($2::text[] IS NULL OR t.rate_card_id = ANY ($2::text[]))
 ORDER BY t.rate_card_id, t.entry_id, t.position;

-- name: not_active
-- The products and resources that cannot be bought.
--   $1 tenant_id uuid
SELECT product_id AS id, true AS is_product, state FROM products WHERE tenant_id = $1 AND state <> 'ACTIVE'
 UNION ALL
SELECT usage_resource_id, false, state FROM usage_resources WHERE tenant_id = $1 AND state <> 'ACTIVE'
 ORDER BY 2, 1;

-- name: limited_resources
-- The resources of products that are not sold on all days, with the days on which they are: none for nulls.
--   $1 tenant_id uuid
SELECT product_id, usage_resource_id,
       array_agg(start_date ORDER BY start_date NULLS FIRST) FILTER (WHERE state = 'ACTIVE') AS starts,
       array_agg(end_date ORDER BY start_date NULLS FIRST) FILTER (WHERE state = 'ACTIVE') AS ends
  FROM product_usage_resources
 WHERE tenant_id = $1
 GROUP BY product_id, usage_resource_id
HAVING NOT bool_or(state = 'ACTIVE' AND start_date IS NULL AND end_date IS NULL)
 ORDER BY product_id, usage_resource_id;

-- name: selling_models
-- All selling models.
--   $1 tenant_id uuid
SELECT selling_model_id, state FROM selling_models WHERE tenant_id = $1 ORDER BY selling_model_id;

-- name: product_rates
-- The active entries of one product with their tiers, in one statement, so that they are consistent outside a
-- snapshot too. For a trial, also its drafts.
--   $1 tenant_id uuid, $2 product_id text, $3 with_drafts boolean
SELECT e.rate_card_id, e.entry_id, e.product_id, e.usage_resource_id, e.selling_model_id, e.rate_unit_id,
       e.rate_value, e.rate_per, e.is_package, e.tier_bounds, e.tier_mode, e.adjustments, e.is_negotiable, e.max_discount_percent, e.custom_fields,
       e.start_date, e.end_date, e.state, t.lower, t.upper, t.kind, t.value, t.flat_amount, t.package_size, t.due_without_usage
  FROM rate_card_entries AS e
  LEFT JOIN rate_tiers AS t
    ON (t.tenant_id, t.rate_card_id, t.entry_id) = (e.tenant_id, e.rate_card_id, e.entry_id)
 WHERE e.tenant_id = $1 AND e.product_id = $2
   AND (e.state = 'ACTIVE' OR ($3::boolean AND e.state = 'DRAFT'))
 ORDER BY e.rate_card_id, e.entry_id, t.position;

-- name: asset_rates
-- The rates that assets were sold under, with the time zone of their days. An asset without the resource, or a
-- resource without rates, is a row with nulls; a missing asset has no row. Only anchors have their wallet in
-- the row, because nothing is added to an addition. Here and below, OFFSET 0 keeps each look-up separate, and
-- BETWEEN with ORDER BY favors the index in that order. Without either, while statistics are absent or
-- outdated, the planner joined whole tenants or read a whole account for each asset, which took seconds. A
-- resource exists only with its asset, so the assets of the accounts are read only, and once, if a resource is
-- missing.
--   $1 tenant_id uuid, $2 account_ids text[], $3 asset_ids uuid[], $4 usage_resource_ids text[]
SELECT w.account_id, w.asset_id, w.usage_resource_id, h.overage, h.is_fixed, h.bound_time, t.time_zone,
       t.anchor_date, t.start_date AS service_date, l.rating_period, t.target_kind <> 'ASSET' AS is_shared,
       CASE WHEN h.role = 'ANCHOR' THEN h.wallet_id END AS wallet_id,
       r.start_time, r.end_time, r.terms
  FROM unnest($2::text[], $3::uuid[], $4::text[]) AS w (account_id, asset_id, usage_resource_id)
  LEFT JOIN LATERAL (
       SELECT h.overage, h.is_fixed, h.role, h.wallet_id, h.bound_time FROM asset_resources AS h
        WHERE h.tenant_id = $1 AND h.account_id = w.account_id
          AND h.asset_id BETWEEN w.asset_id AND w.asset_id AND h.usage_resource_id = w.usage_resource_id
        ORDER BY h.asset_id OFFSET 0) AS h ON true
  LEFT JOIN LATERAL (
       SELECT l.rating_period, l.entitlement_account_id FROM wallets AS l
        WHERE l.tenant_id = $1 AND l.account_id = w.account_id
          AND l.wallet_id BETWEEN h.wallet_id AND h.wallet_id ORDER BY l.wallet_id OFFSET 0) AS l ON true
  LEFT JOIN LATERAL (
       SELECT t.time_zone, t.anchor_date, t.start_date, t.target_kind FROM entitlement_accounts AS t
        WHERE t.tenant_id = $1 AND t.account_id = w.account_id
          AND t.entitlement_account_id BETWEEN l.entitlement_account_id AND l.entitlement_account_id
        ORDER BY t.entitlement_account_id OFFSET 0) AS t ON true
  LEFT JOIN LATERAL (
       SELECT r.start_time, r.end_time, r.terms FROM asset_rates AS r
        WHERE r.tenant_id = $1 AND r.account_id = w.account_id AND r.asset_id = w.asset_id
          AND r.usage_resource_id = w.usage_resource_id
        ORDER BY r.start_time OFFSET 0) AS r ON true
 WHERE h.wallet_id IS NOT NULL
    OR (w.account_id, w.asset_id) IN (
       SELECT a.account_id, a.asset_id FROM assets AS a WHERE a.tenant_id = $1 AND a.account_id = ANY ($2::text[]))
 ORDER BY w.account_id COLLATE "C", w.asset_id, w.usage_resource_id COLLATE "C", r.start_time;

-- name: target_rates
-- The wallets of some targets for a resource: of contracts and custom targets by their ids, of accounts with an
-- empty id. A missing target has no row.
--   $1 tenant_id uuid, $2 account_ids text[], $3 target_ids text[], $4 usage_resource_ids text[]
SELECT w.account_id, w.target_id, w.usage_resource_id, l.wallet_id, t.time_zone, t.anchor_date,
       t.start_date AS service_date, l.rating_period
  FROM unnest($2::text[], $3::text[], $4::text[]) AS w (account_id, target_id, usage_resource_id)
 CROSS JOIN LATERAL (
       SELECT FROM accounts AS a WHERE a.tenant_id = $1 AND a.account_id = w.account_id OFFSET 0) AS a
  LEFT JOIN LATERAL (
       SELECT b.kind FROM binding_targets AS b
        WHERE b.tenant_id = $1 AND b.account_id = w.account_id AND b.binding_target_id = w.target_id
       OFFSET 0) AS b ON true
  LEFT JOIN LATERAL (
       SELECT t.entitlement_account_id, t.time_zone, t.anchor_date, t.start_date FROM entitlement_accounts AS t
        WHERE t.tenant_id = $1 AND t.account_id = w.account_id
          AND t.target_kind = coalesce(b.kind, 'ACCOUNT') AND t.target_id = w.target_id OFFSET 0) AS t ON true
  LEFT JOIN LATERAL (
       SELECT l.wallet_id, l.rating_period FROM wallets AS l
        WHERE l.tenant_id = $1 AND l.account_id = w.account_id
          AND l.entitlement_account_id = t.entitlement_account_id
          AND l.usage_resource_id = w.usage_resource_id OFFSET 0) AS l ON true
 WHERE w.target_id = '' OR b.kind IS NOT NULL
 ORDER BY w.account_id COLLATE "C", w.target_id COLLATE "C", w.usage_resource_id COLLATE "C";

-- name: wallet_additions
-- The rates added to some wallets: of packs and commitments, and, for the shared wallets of targets, the rates
-- negotiated on their anchors.
--   $1 tenant_id uuid, $2 account_ids text[], $3 wallet_ids uuid[], $4 are_shared boolean[]
SELECT w.wallet_id, o.asset_id AS addition_id, o.commitment_rate, o.role = 'ANCHOR' AS is_agreed,
       greatest(r.start_time, o.bound_time) AS start_time,
       CASE WHEN o.role = 'ANCHOR' THEN r.end_time ELSE o.end_time END AS end_time, r.terms
  FROM unnest($2::text[], $3::uuid[], $4::boolean[]) AS w (account_id, wallet_id, is_shared)
 CROSS JOIN LATERAL (
       SELECT o.asset_id, o.usage_resource_id, o.role, o.commitment_rate, o.end_time, o.bound_time
         FROM asset_resources AS o
        WHERE o.tenant_id = $1 AND o.account_id = w.account_id
          AND o.wallet_id BETWEEN w.wallet_id AND w.wallet_id AND (w.is_shared OR o.role <> 'ANCHOR')
        ORDER BY o.wallet_id OFFSET 0) AS o
 CROSS JOIN LATERAL (
       SELECT r.start_time, r.end_time, r.terms FROM asset_rates AS r
        WHERE r.tenant_id = $1 AND r.account_id = w.account_id AND r.asset_id = o.asset_id
          AND r.usage_resource_id = o.usage_resource_id
        ORDER BY r.start_time OFFSET 0) AS r
 WHERE (o.role <> 'ANCHOR' OR r.terms #>> '{content,negotiated_rate}' IS NOT NULL
    OR r.terms #>> '{content,negotiated_tiers}' IS NOT NULL)
   -- What an asset agreed applies to its target from the day on from which it is bound to it.
   AND (o.bound_time IS NULL OR r.end_time IS NULL OR r.end_time > o.bound_time)
 ORDER BY w.account_id COLLATE "C", w.wallet_id, r.start_time, o.asset_id;
