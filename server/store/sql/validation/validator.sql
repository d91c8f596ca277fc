-- Products with all their dependencies, for the validator: several at once, in a constant number of queries.
-- The queries of product_graph.sql read the records that resources and grants refer to.

-- name: products
-- Some products.
--   $1 tenant_id uuid, $2 product_ids text[]
SELECT product_id, display_name, usage_model_type, grant_binding, state, revision,
       create_time, created_by, update_time, updated_by
  FROM products WHERE tenant_id = $1 AND product_id = ANY ($2::text[]) ORDER BY product_id;

-- name: entries
-- The entries of some products that are not inactive.
--   $1 tenant_id uuid, $2 product_ids text[]
SELECT rate_card_id, entry_id, product_id, usage_resource_id, selling_model_id, rate_unit_id,
       rate_value, rate_per, is_package, tier_bounds, tier_mode, adjustments, is_negotiable, max_discount_percent, custom_fields, start_date,
       end_date, state
  FROM rate_card_entries
 WHERE tenant_id = $1 AND product_id = ANY ($2::text[]) AND state <> 'INACTIVE'
 ORDER BY product_id, rate_card_id, entry_id;

-- name: tiers
-- The tiers of those entries.
--   $1 tenant_id uuid, $2 product_ids text[]
SELECT t.rate_card_id, t.entry_id, t.lower, t.upper, t.kind, t.value, t.flat_amount, t.package_size, t.due_without_usage
  FROM rate_card_entries AS e
  JOIN rate_tiers AS t
    ON (t.tenant_id, t.rate_card_id, t.entry_id) = (e.tenant_id, e.rate_card_id, e.entry_id)
 WHERE e.tenant_id = $1 AND e.product_id = ANY ($2::text[]) AND e.state <> 'INACTIVE'
 ORDER BY t.rate_card_id, t.entry_id, t.position;

-- name: anchored
-- The resources that some active anchor meters, so that packs and commitments can add to them.
--   $1 tenant_id uuid, $2 usage_resource_ids text[]
SELECT r.usage_resource_id FROM unnest($2::text[]) AS r (usage_resource_id)
 WHERE EXISTS (SELECT FROM product_usage_resources AS h
                 JOIN products AS p
                   ON p.tenant_id = $1 AND p.product_id = h.product_id AND p.usage_model_type = 'ANCHOR'
                  AND p.state = 'ACTIVE'
                WHERE h.tenant_id = $1 AND h.usage_resource_id = r.usage_resource_id AND h.state = 'ACTIVE')
 ORDER BY r.usage_resource_id;

-- name: definitions
-- The states of the products that usage is billed as.
--   $1 tenant_id uuid, $2 product_ids text[]
SELECT product_id, state FROM products
 WHERE tenant_id = $1 AND product_id = ANY ($2::text[]) ORDER BY product_id;

-- name: books
-- The price books that contain some of the cards, with all their cards.
--   $1 tenant_id uuid, $2 rate_card_ids text[]
SELECT b.price_book_id, b.type, b.rate_card_id
  FROM price_book_rate_cards AS b
 WHERE b.tenant_id = $1
   AND b.price_book_id IN (SELECT o.price_book_id FROM price_book_rate_cards AS o
                            WHERE o.tenant_id = $1 AND o.rate_card_id = ANY ($2::text[]))
 ORDER BY b.price_book_id, b.type COLLATE "C";

-- name: unitless
-- Which of some codes are not active units of money; none if the tenant keeps no units of money at all.
--   $1 tenant_id uuid, $2 codes text[]
WITH money AS (
    SELECT u.unit_of_measure_id::text AS code
      FROM units_of_measure AS u
      JOIN unit_classes AS c ON c.tenant_id = $1 AND c.unit_class_id = u.unit_class_id AND c.kind = 'CURRENCY'
     WHERE u.tenant_id = $1 AND u.state = 'ACTIVE')
SELECT w.code FROM unnest($2::text[]) AS w (code)
 WHERE EXISTS (SELECT FROM money) AND NOT EXISTS (SELECT FROM money AS m WHERE m.code = w.code)
 ORDER BY w.code;
