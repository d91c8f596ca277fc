-- A product with all its dependencies, and their activation. An activation takes its locks kind by kind and by
-- id, so that two activations cannot deadlock.

-- name: lock_product
-- Activations of one product run one after the other.
--   $1 tenant_id uuid, $2 product_id text
SELECT product_id, display_name, usage_model_type, grant_binding, state, revision,
       create_time, created_by, update_time, updated_by
  FROM products WHERE tenant_id = $1 AND product_id = $2 FOR UPDATE;

-- name: graph
-- The resources and grants of some products, and the records that these depend on: each kind as an array of its rows,
-- so that one statement reads them all.
--   $1 tenant_id uuid, $2 product_ids text[]
WITH held AS MATERIALIZED (
    SELECT p.usage_resource_id, r.unit_class_id, p.aggregation_policy_id, p.commitment_policy_id,
           ARRAY[p.rating_frequency_policy_id, r.rating_frequency_policy_id] AS frequencies,
           ARRAY[p.overage_policy_id, r.overage_policy_id] AS overages
      FROM product_usage_resources AS p
     CROSS JOIN LATERAL (
           SELECT o.* FROM usage_resources AS o
            WHERE o.tenant_id = $1 AND o.usage_resource_id = p.usage_resource_id LIMIT 1) AS r
     WHERE p.tenant_id = $1 AND p.product_id = ANY ($2::text[])),
granted AS MATERIALIZED (
    SELECT refresh_policy_id, rollover_policy_id FROM product_usage_grants
     WHERE tenant_id = $1 AND product_id = ANY ($2::text[]))
SELECT ARRAY(SELECT p FROM product_usage_resources AS p
              WHERE p.tenant_id = $1 AND p.product_id = ANY ($2::text[])
              ORDER BY p.product_id, p.product_usage_resource_id) AS product_resources,
       ARRAY(SELECT g FROM product_usage_grants AS g
              WHERE g.tenant_id = $1 AND g.product_id = ANY ($2::text[]) ORDER BY g.product_id, g.grant_id) AS grants,
       ARRAY(SELECT r FROM usage_resources AS r
              WHERE r.tenant_id = $1 AND r.usage_resource_id = ANY (ARRAY(SELECT DISTINCT usage_resource_id FROM held))
              ORDER BY r.usage_resource_id) AS resources,
       ARRAY(SELECT c FROM unit_classes AS c
              WHERE c.tenant_id = $1 AND c.unit_class_id = ANY (ARRAY(SELECT DISTINCT unit_class_id FROM held))
              ORDER BY c.unit_class_id) AS classes,
       ARRAY(SELECT u FROM units_of_measure AS u
              WHERE u.tenant_id = $1 AND u.unit_class_id = ANY (ARRAY(SELECT DISTINCT unit_class_id FROM held))
              ORDER BY u.unit_of_measure_id) AS units,
       ARRAY(SELECT a FROM aggregation_policies AS a
              WHERE a.tenant_id = $1 AND a.policy_id = ANY (ARRAY(SELECT DISTINCT aggregation_policy_id FROM held))
              ORDER BY a.policy_id) AS aggregations,
       ARRAY(SELECT f FROM rating_frequency_policies AS f
              WHERE f.tenant_id = $1 AND f.policy_id = ANY (ARRAY(SELECT DISTINCT unnest(frequencies) FROM held))
              ORDER BY f.policy_id) AS frequencies,
       ARRAY(SELECT o FROM overage_policies AS o
              WHERE o.tenant_id = $1 AND o.policy_id = ANY (ARRAY(SELECT DISTINCT unnest(overages) FROM held))
              ORDER BY o.policy_id) AS overages,
       ARRAY(SELECT c FROM commitment_policies AS c
              WHERE c.tenant_id = $1 AND c.policy_id = ANY (ARRAY(SELECT DISTINCT commitment_policy_id FROM held))
              ORDER BY c.policy_id) AS commitments,
       ARRAY(SELECT r FROM refresh_policies AS r
              WHERE r.tenant_id = $1 AND r.policy_id = ANY (ARRAY(SELECT DISTINCT refresh_policy_id FROM granted))
              ORDER BY r.policy_id) AS refreshes,
       ARRAY(SELECT r FROM rollover_policies AS r
              WHERE r.tenant_id = $1 AND r.policy_id = ANY (ARRAY(SELECT DISTINCT rollover_policy_id FROM granted))
              ORDER BY r.policy_id) AS rollovers;

-- name: units
-- The units of some classes.
--   $1 tenant_id uuid, $2 unit_class_ids text[]
SELECT unit_of_measure_id, display_name, unit_class_id, factor, divisor, scale, rounding, sequence, state,
       revision, create_time, created_by, update_time, updated_by
  FROM units_of_measure WHERE tenant_id = $1 AND unit_class_id = ANY ($2::text[]) ORDER BY unit_of_measure_id;

-- name: selling_models
-- Some selling models.
--   $1 tenant_id uuid, $2 ids text[]
SELECT selling_model_id, display_name, type, term_unit, term_count, state, revision,
       create_time, created_by, update_time, updated_by
  FROM selling_models WHERE tenant_id = $1 AND selling_model_id = ANY ($2::text[]) ORDER BY selling_model_id;

-- name: activate_unit_classes
-- Classes of units, if still drafts.
--   $1 tenant_id uuid, $2 ids text[]
UPDATE unit_classes SET state = 'ACTIVE', revision = revision + 1
 WHERE tenant_id = $1 AND unit_class_id = ANY ($2::text[]) AND state = 'DRAFT';

-- name: activate_units
-- Units, if still drafts.
--   $1 tenant_id uuid, $2 ids text[]
UPDATE units_of_measure SET state = 'ACTIVE', revision = revision + 1
 WHERE tenant_id = $1 AND unit_of_measure_id = ANY ($2::text[]) AND state = 'DRAFT';

-- name: activate_aggregations
-- Aggregation policies, if still drafts.
--   $1 tenant_id uuid, $2 ids text[]
UPDATE aggregation_policies SET state = 'ACTIVE', revision = revision + 1
 WHERE tenant_id = $1 AND policy_id = ANY ($2::text[]) AND state = 'DRAFT';

-- name: activate_rating_frequencies
-- Rating frequency policies, if still drafts.
--   $1 tenant_id uuid, $2 ids text[]
UPDATE rating_frequency_policies SET state = 'ACTIVE', revision = revision + 1
 WHERE tenant_id = $1 AND policy_id = ANY ($2::text[]) AND state = 'DRAFT';

-- name: activate_overages
-- Overage policies, if still drafts.
--   $1 tenant_id uuid, $2 ids text[]
UPDATE overage_policies SET state = 'ACTIVE', revision = revision + 1
 WHERE tenant_id = $1 AND policy_id = ANY ($2::text[]) AND state = 'DRAFT';

-- name: activate_commitments
-- Commitment policies, if still drafts.
--   $1 tenant_id uuid, $2 ids text[]
UPDATE commitment_policies SET state = 'ACTIVE', revision = revision + 1
 WHERE tenant_id = $1 AND policy_id = ANY ($2::text[]) AND state = 'DRAFT';

-- name: activate_refreshes
-- Refresh policies, if still drafts.
--   $1 tenant_id uuid, $2 ids text[]
UPDATE refresh_policies SET state = 'ACTIVE', revision = revision + 1
 WHERE tenant_id = $1 AND policy_id = ANY ($2::text[]) AND state = 'DRAFT';

-- name: activate_rollovers
-- Rollover policies, if still drafts.
--   $1 tenant_id uuid, $2 ids text[]
UPDATE rollover_policies SET state = 'ACTIVE', revision = revision + 1
 WHERE tenant_id = $1 AND policy_id = ANY ($2::text[]) AND state = 'DRAFT';

-- name: activate_selling_models
-- Selling models, if still drafts.
--   $1 tenant_id uuid, $2 ids text[]
UPDATE selling_models SET state = 'ACTIVE', revision = revision + 1
 WHERE tenant_id = $1 AND selling_model_id = ANY ($2::text[]) AND state = 'DRAFT';

-- name: activate_resources
-- Usage resources, if still drafts.
--   $1 tenant_id uuid, $2 ids text[]
UPDATE usage_resources SET state = 'ACTIVE', revision = revision + 1
 WHERE tenant_id = $1 AND usage_resource_id = ANY ($2::text[]) AND state = 'DRAFT';

-- name: activate_product
-- The product, if still a draft.
--   $1 tenant_id uuid, $2 product_id text
UPDATE products SET state = 'ACTIVE', revision = revision + 1
 WHERE tenant_id = $1 AND product_id = $2 AND state = 'DRAFT';

-- name: activate_product_resources
-- The resources of the product, if still drafts.
--   $1 tenant_id uuid, $2 product_id text
UPDATE product_usage_resources SET state = 'ACTIVE', revision = revision + 1
 WHERE tenant_id = $1 AND product_id = $2 AND state = 'DRAFT';

-- name: activate_product_grants
-- The grants of the product, if still drafts.
--   $1 tenant_id uuid, $2 product_id text
UPDATE product_usage_grants SET state = 'ACTIVE', revision = revision + 1
 WHERE tenant_id = $1 AND product_id = $2 AND state = 'DRAFT';

-- name: entry_models
-- The selling models that the product has rates for.
--   $1 tenant_id uuid, $2 product_id text
SELECT DISTINCT selling_model_id
  FROM rate_card_entries
 WHERE tenant_id = $1 AND product_id = $2 AND selling_model_id IS NOT NULL AND state <> 'INACTIVE';

-- name: draft_entries
-- The entries that become active with the product; tiers are not needed.
--   $1 tenant_id uuid, $2 product_id text
SELECT rate_card_id, entry_id, product_id, usage_resource_id, selling_model_id, rate_unit_id,
       rate_value, rate_per, is_package, tier_bounds, tier_mode, adjustments, is_negotiable, max_discount_percent, custom_fields, start_date, end_date,
       state
  FROM rate_card_entries WHERE tenant_id = $1 AND product_id = $2 AND state = 'DRAFT'
 ORDER BY rate_card_id, entry_id;

-- name: activate_entries
-- With the revision of the catalog that activates them.
--   $1 tenant_id uuid, $2 product_id text, $3 catalog_revision bigint
UPDATE rate_card_entries SET state = 'ACTIVE', revision = revision + 1, catalog_revision = $3
 WHERE tenant_id = $1 AND product_id = $2 AND state = 'DRAFT';
