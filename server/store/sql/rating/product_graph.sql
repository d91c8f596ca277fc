-- A product with all its dependencies, and their activation. An activation takes its locks kind by kind and by
-- id, so that two activations cannot deadlock.

-- name: lock_product
-- Activations of one product run one after the other.
--   $1 tenant_id uuid, $2 product_id text
SELECT product_id, display_name, usage_model_type, grant_binding, state, revision,
       create_time, created_by, update_time, updated_by
  FROM products WHERE tenant_id = $1 AND product_id = $2 FOR UPDATE;

-- name: product_resources
-- The resources of a product.
--   $1 tenant_id uuid, $2 product_id text
SELECT product_id, product_usage_resource_id, usage_resource_id, token_resource_id, is_optional, has_fixed_policies, start_date, end_date,
       aggregation_policy_id, rating_frequency_policy_id, overage_policy_id, commitment_policy_id,
       drawdown_order, state, revision, create_time, created_by, update_time, updated_by
  FROM product_usage_resources WHERE tenant_id = $1 AND product_id = $2 ORDER BY product_usage_resource_id;

-- name: product_grants
-- The grants of a product.
--   $1 tenant_id uuid, $2 product_id text
SELECT product_id, grant_id, display_name, product_usage_resource_id, type, quantity, is_fixed, max_increase_percent,
       spend_cap,
       unit_of_measure_id, validity_unit,
       validity_count, refresh_policy_id, rollover_policy_id, selling_model_id, start_date, end_date, state, revision,
       create_time, created_by, update_time, updated_by
  FROM product_usage_grants WHERE tenant_id = $1 AND product_id = $2 ORDER BY grant_id;

-- name: resources
-- Some usage resources.
--   $1 tenant_id uuid, $2 ids text[]
SELECT usage_resource_id, display_name, category, unit_class_id, unit_of_measure_id, token_resource_id,
       definition_product_id, dimensions, rating_frequency_policy_id, overage_policy_id, drawdown_order, state, revision, create_time, created_by, update_time, updated_by
  FROM usage_resources WHERE tenant_id = $1 AND usage_resource_id = ANY ($2::text[]) ORDER BY usage_resource_id;

-- name: unit_classes
-- Some classes of units.
--   $1 tenant_id uuid, $2 ids text[]
SELECT unit_class_id, display_name, kind, default_unit_id, state, revision,
       create_time, created_by, update_time, updated_by
  FROM unit_classes WHERE tenant_id = $1 AND unit_class_id = ANY ($2::text[]) ORDER BY unit_class_id;

-- name: units
-- The units of some classes.
--   $1 tenant_id uuid, $2 unit_class_ids text[]
SELECT unit_of_measure_id, display_name, unit_class_id, factor, divisor, scale, rounding, sequence, state,
       revision, create_time, created_by, update_time, updated_by
  FROM units_of_measure WHERE tenant_id = $1 AND unit_class_id = ANY ($2::text[]) ORDER BY unit_of_measure_id;

-- name: aggregations
-- Some aggregation policies.
--   $1 tenant_id uuid, $2 ids text[]
SELECT policy_id, display_name, method, period, combine, unique_label, state, revision, version,
       create_time, created_by, update_time, updated_by
  FROM aggregation_policies WHERE tenant_id = $1 AND policy_id = ANY ($2::text[]) ORDER BY policy_id;

-- name: rating_frequencies
-- Some rating frequency policies.
--   $1 tenant_id uuid, $2 ids text[]
SELECT policy_id, display_name, period, waiting_days, waiting_hours, late_policy, state, revision, version,
       create_time, created_by, update_time, updated_by
  FROM rating_frequency_policies WHERE tenant_id = $1 AND policy_id = ANY ($2::text[]) ORDER BY policy_id;

-- name: overages
-- Some overage policies.
--   $1 tenant_id uuid, $2 ids text[]
SELECT policy_id, display_name, overage, state, revision, version, create_time, created_by, update_time, updated_by
  FROM overage_policies WHERE tenant_id = $1 AND policy_id = ANY ($2::text[]) ORDER BY policy_id;

-- name: commitments
-- Some commitment policies.
--   $1 tenant_id uuid, $2 ids text[]
SELECT policy_id, display_name, rate, state, revision, version, create_time, created_by, update_time, updated_by
  FROM commitment_policies WHERE tenant_id = $1 AND policy_id = ANY ($2::text[]) ORDER BY policy_id;

-- name: refreshes
-- Some refresh policies.
--   $1 tenant_id uuid, $2 ids text[]
SELECT policy_id, display_name, interval_unit, interval_count, state, revision, version,
       create_time, created_by, update_time, updated_by
  FROM refresh_policies WHERE tenant_id = $1 AND policy_id = ANY ($2::text[]) ORDER BY policy_id;

-- name: rollovers
-- Some rollover policies.
--   $1 tenant_id uuid, $2 ids text[]
SELECT policy_id, display_name, max_rollovers, max_quantity, max_percent, remainder_percent, state, revision, version,
       create_time, created_by, update_time, updated_by
  FROM rollover_policies WHERE tenant_id = $1 AND policy_id = ANY ($2::text[]) ORDER BY policy_id;

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
