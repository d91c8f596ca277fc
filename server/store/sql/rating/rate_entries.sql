-- Entries of rate cards: insert, read, change of state and delete, many at a time.

-- name: lock_cards
-- A transaction that adds to a card locks it, so that of two that fill it the second sees the entries of the
-- first.
--   $1 tenant_id uuid, $2 rate_card_ids text[]
SELECT rate_card_id, type
  FROM rate_cards
 WHERE tenant_id = $1 AND rate_card_id = ANY ($2::text[])
 ORDER BY rate_card_id
   FOR NO KEY UPDATE;

-- name: sizes_of_others
-- The numbers of entries and tiers of the cards of some entries, without these; adjustments by attribute count as
-- tiers.
--   $1 tenant_id uuid, $2 rate_card_ids text[], $3 entry_ids text[]
SELECT c.rate_card_id, count(e.entry_id) AS entries,
       coalesce(sum(t.tiers + coalesce(jsonb_array_length(e.adjustments -> 'content'), 0)), 0)::bigint AS tiers
  FROM (SELECT DISTINCT unnest($2::text[])) AS c (rate_card_id)
  LEFT JOIN rate_card_entries AS e
    ON e.tenant_id = $1 AND e.rate_card_id = c.rate_card_id
   AND (e.rate_card_id, lower(e.entry_id)) NOT IN (
       SELECT w.rate_card_id, lower(w.entry_id)
         FROM unnest($2::text[], $3::text[]) AS w (rate_card_id, entry_id))
  LEFT JOIN LATERAL (
       SELECT count(*) AS tiers FROM rate_tiers AS t
        WHERE t.tenant_id = $1 AND t.rate_card_id = e.rate_card_id AND t.entry_id = e.entry_id) AS t ON true
 GROUP BY c.rate_card_id;

-- name: resource_scales
-- The scales of the units of resources of products; no row for a resource that the product does not have. An
-- empty resource stands for all of the product, of which the finest scale is returned.
--   $1 tenant_id uuid, $2 product_ids text[], $3 usage_resource_ids text[]
SELECT w.product_id, w.usage_resource_id, max(coalesce(u.scale, 0)) AS scale
  FROM unnest($2::text[], $3::text[]) AS w (product_id, usage_resource_id)
  JOIN product_usage_resources AS pr
    ON pr.tenant_id = $1 AND pr.product_id = w.product_id AND w.usage_resource_id IN ('', pr.usage_resource_id)
  JOIN usage_resources AS r
    ON (r.tenant_id, r.usage_resource_id) = (pr.tenant_id, pr.usage_resource_id)
  JOIN unit_classes AS c
    ON (c.tenant_id, c.unit_class_id) = (r.tenant_id, r.unit_class_id)
  LEFT JOIN units_of_measure AS u
    ON (u.tenant_id, u.unit_of_measure_id)
     = (r.tenant_id, coalesce(r.unit_of_measure_id, c.default_unit_id))
 GROUP BY w.product_id, w.usage_resource_id;

-- name: add_entries
-- Concurrent inserts of the same ids wait here, and then find the existing rows. An entry begins as a draft,
-- whose days may overlap others.
--   $1 tenant_id uuid, $2 rate_card_id text[], $3 entry_id text[], $4 product_id text[],
--   $5 usage_resource_id text[], $6 selling_model_id text[], $7 rate_unit_id text[], $8 rate_value numeric[],
--   $9 rate_per numeric[], $10 is_package boolean[], $11 tier_bounds text[], $12 tier_mode text[],
--   $13 adjustments jsonb[], $14 is_negotiable boolean[], $15 max_discount_percent numeric[],
--   $16 custom_fields jsonb[], $17 start_date date[], $18 end_date date[]
INSERT INTO rate_card_entries (tenant_id, rate_card_id, entry_id, product_id, usage_resource_id,
                               selling_model_id, rate_unit_id, rate_value, rate_per, is_package,
                               tier_bounds, tier_mode, adjustments, is_negotiable, max_discount_percent, custom_fields, start_date, end_date)
SELECT $1, w.rate_card_id, w.entry_id, w.product_id, w.usage_resource_id, w.selling_model_id,
       w.rate_unit_id, w.rate_value, w.rate_per, w.is_package, w.tier_bounds, w.tier_mode,
       w.adjustments, w.is_negotiable, w.max_discount_percent, w.custom_fields, w.start_date, w.end_date
  FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::numeric[],
              $9::numeric[], $10::boolean[], $11::text[], $12::text[], $13::jsonb[], $14::boolean[],
              $15::numeric[], $16::jsonb[], $17::date[], $18::date[])
       AS w (rate_card_id, entry_id, product_id, usage_resource_id, selling_model_id, rate_unit_id,
             rate_value, rate_per, is_package, tier_bounds, tier_mode, adjustments, is_negotiable, max_discount_percent,
             custom_fields, start_date, end_date)
 ORDER BY w.rate_card_id COLLATE "C", w.entry_id COLLATE "C"
    ON CONFLICT DO NOTHING
RETURNING rate_card_id, entry_id;

-- name: add_tiers
-- The tiers of new entries, each with its position.
--   $1 tenant_id uuid, $2 rate_card_id text[], $3 entry_id text[], $4 position int[], $5 lower numeric[],
--   $6 upper numeric[], $7 kind text[], $8 value numeric[], $9 flat_amount numeric[], $10 package_size numeric[],
--   $11 due_without_usage boolean[]
INSERT INTO rate_tiers (tenant_id, rate_card_id, entry_id, position, lower, upper, kind, value, flat_amount,
                        package_size, due_without_usage)
SELECT $1, w.rate_card_id, w.entry_id, w.position, w.lower, w.upper, w.kind, w.value, w.flat_amount,
       w.package_size, w.due_without_usage
  FROM unnest($2::text[], $3::text[], $4::int[], $5::numeric[], $6::numeric[], $7::text[], $8::numeric[],
              $9::numeric[], $10::numeric[], $11::boolean[])
       AS w (rate_card_id, entry_id, position, lower, upper, kind, value, flat_amount, package_size,
             due_without_usage)
 ORDER BY w.rate_card_id COLLATE "C", w.entry_id COLLATE "C", w.position;

-- name: find_entries
-- Ids are compared without case, because two ids may not differ in case alone.
--   $1 tenant_id uuid, $2 rate_card_ids text[], $3 entry_ids text[]
SELECT e.rate_card_id, e.entry_id, e.product_id, e.usage_resource_id, e.selling_model_id, e.rate_unit_id,
       e.rate_value, e.rate_per, e.is_package, e.tier_bounds, e.tier_mode, e.adjustments, e.is_negotiable, e.max_discount_percent, e.custom_fields, e.start_date,
       e.end_date, e.state, e.revision, e.create_time, e.created_by, e.update_time, e.updated_by
  FROM unnest($2::text[], $3::text[]) AS w (rate_card_id, entry_id)
  JOIN rate_card_entries AS e
    ON e.tenant_id = $1 AND e.rate_card_id = w.rate_card_id AND lower(e.entry_id) = lower(w.entry_id);

-- name: tiers
-- The tiers of some entries, by position.
--   $1 tenant_id uuid, $2 rate_card_ids text[], $3 entry_ids text[]
SELECT t.rate_card_id, t.entry_id, t.lower, t.upper, t.kind, t.value, t.flat_amount, t.package_size, t.due_without_usage
  FROM unnest($2::text[], $3::text[]) AS w (rate_card_id, entry_id)
  JOIN rate_tiers AS t
    ON t.tenant_id = $1 AND t.rate_card_id = w.rate_card_id AND t.entry_id = w.entry_id
 ORDER BY t.rate_card_id, t.entry_id, t.position;

-- name: move_entries
-- Only entries with an unchanged revision are changed.
--   $1 tenant_id uuid, $2 rate_card_ids text[], $3 entry_ids text[], $4 revisions bigint[], $5 state text,
--   $6 catalog_revision bigint
UPDATE rate_card_entries AS e SET state = $5, revision = e.revision + 1, catalog_revision = $6
  FROM unnest($2::text[], $3::text[], $4::bigint[]) AS w (rate_card_id, entry_id, revision)
 WHERE e.tenant_id = $1 AND e.rate_card_id = w.rate_card_id AND e.entry_id = w.entry_id
   AND e.revision = w.revision;

-- name: in_force
-- The active entries of some resources of products; an empty resource stands for all of a commitment. Tiers are
-- not needed.
--   $1 tenant_id uuid, $2 product_ids text[], $3 usage_resource_ids text[]
SELECT e.rate_card_id, e.entry_id, e.product_id, e.usage_resource_id, e.selling_model_id, e.rate_unit_id,
       e.rate_value, e.rate_per, e.is_package, e.tier_bounds, e.tier_mode, e.adjustments, e.is_negotiable, e.max_discount_percent, e.custom_fields, e.start_date,
       e.end_date, e.state
  FROM unnest($2::text[], $3::text[]) AS w (product_id, usage_resource_id)
  JOIN rate_card_entries AS e
    ON e.tenant_id = $1 AND e.product_id = w.product_id
   AND coalesce(e.usage_resource_id::text, '') = w.usage_resource_id
 WHERE e.state = 'ACTIVE';

-- name: not_in_force
-- Entries of inactive products, product resources or selling models, each with the first inactive record.
--   $1 tenant_id uuid, $2 rate_card_ids text[], $3 entry_ids text[]
SELECT e.rate_card_id, e.entry_id,
       CASE WHEN p.state <> 'ACTIVE' THEN 'products/' || p.product_id
            WHEN NOT r.in_force THEN 'products/' || p.product_id || '/usageResources/' || r.waiting
            ELSE 'sellingModels/' || m.selling_model_id END AS name
  FROM unnest($2::text[], $3::text[]) AS w (rate_card_id, entry_id)
  JOIN rate_card_entries AS e
    ON e.tenant_id = $1 AND e.rate_card_id = w.rate_card_id AND e.entry_id = w.entry_id
  JOIN products AS p
    ON (p.tenant_id, p.product_id) = (e.tenant_id, e.product_id)
 CROSS JOIN LATERAL (
       -- One active span in which the product meters the resource, or any of them, is enough.
       SELECT bool_or(s.state = 'ACTIVE') AS in_force, min(s.product_usage_resource_id) AS waiting
         FROM product_usage_resources AS s
        WHERE (s.tenant_id, s.product_id, s.usage_resource_id)
            = (e.tenant_id, e.product_id, coalesce(e.usage_resource_id, s.usage_resource_id))) AS r
  LEFT JOIN selling_models AS m
    ON (m.tenant_id, m.selling_model_id) = (e.tenant_id, e.selling_model_id)
 WHERE p.state <> 'ACTIVE' OR NOT r.in_force OR m.state <> 'ACTIVE'
 ORDER BY e.rate_card_id, e.entry_id
 LIMIT 20;

-- name: lock_entries_of_card
-- The entries of a card that is deleted, locked before their tiers.
--   $1 tenant_id uuid, $2 rate_card_id text
SELECT entry_id FROM rate_card_entries
 WHERE tenant_id = $1 AND rate_card_id = $2
 ORDER BY entry_id
   FOR UPDATE;

-- name: drop_tiers
-- The tiers of an entry that gets others, or is deleted.
--   $1 tenant_id uuid, $2 rate_card_id text, $3 entry_id text
DELETE FROM rate_tiers WHERE tenant_id = $1 AND rate_card_id = $2 AND entry_id = $3;

-- name: drop_tiers_of_card
-- The tiers of a card that is deleted.
--   $1 tenant_id uuid, $2 rate_card_id text
DELETE FROM rate_tiers WHERE tenant_id = $1 AND rate_card_id = $2;

-- name: drop_entries_of_card
-- The entries of a card that is deleted. An entry that became active in the meantime is not deleted, and its
-- foreign key keeps the card.
--   $1 tenant_id uuid, $2 rate_card_id text
DELETE FROM rate_card_entries WHERE tenant_id = $1 AND rate_card_id = $2 AND state <> 'ACTIVE';
