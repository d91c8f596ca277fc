-- Edits of the catalogue: a record changes, moves or goes, if it still is what was looked at. A query that
-- changes no row was too late.

-- name: save_unit_class
-- Other content under the same id.
--   $1 tenant_id uuid, $2 unit_class_id text, $3 display_name text, $4 kind text, $5 default_unit_id text,
--   $6 revision bigint
UPDATE unit_classes SET display_name = $3, kind = $4, default_unit_id = $5, revision = revision + 1
 WHERE tenant_id = $1 AND unit_class_id = $2 AND revision = $6;

-- name: drop_unit_class
-- Nobody will miss it: what refers to it would stop this.
--   $1 tenant_id uuid, $2 unit_class_id text, $3 revision bigint
DELETE FROM unit_classes
 WHERE tenant_id = $1 AND unit_class_id = $2 AND revision = $3;

-- name: move_unit_class
-- From one state to another.
--   $1 tenant_id uuid, $2 unit_class_id text, $3 state text, $4 revision bigint
UPDATE unit_classes SET state = $3, revision = revision + 1
 WHERE tenant_id = $1 AND unit_class_id = $2 AND revision = $4;

-- name: save_unit
-- Other content under the same id.
--   $1 tenant_id uuid, $2 unit_of_measure_id text, $3 display_name text, $4 unit_class_id text,
--   $5 factor numeric, $6 scale smallint, $7 rounding text, $8 sequence integer, $9 revision bigint
UPDATE units_of_measure SET display_name = $3, unit_class_id = $4, factor = $5, scale = $6, rounding = $7,
       sequence = $8, revision = revision + 1
 WHERE tenant_id = $1 AND unit_of_measure_id = $2 AND revision = $9;

-- name: drop_unit
-- Nobody will miss it: what refers to it would stop this.
--   $1 tenant_id uuid, $2 unit_of_measure_id text, $3 revision bigint
DELETE FROM units_of_measure
 WHERE tenant_id = $1 AND unit_of_measure_id = $2 AND revision = $3;

-- name: move_unit
-- From one state to another.
--   $1 tenant_id uuid, $2 unit_of_measure_id text, $3 state text, $4 revision bigint
UPDATE units_of_measure SET state = $3, revision = revision + 1
 WHERE tenant_id = $1 AND unit_of_measure_id = $2 AND revision = $4;

-- name: save_resource
-- Other content under the same id.
--   $1 tenant_id uuid, $2 usage_resource_id text, $3 display_name text, $4 category text,
--   $5 unit_class_id text, $6 unit_of_measure_id text, $7 aggregation_policy_id text,
--   $8 rating_frequency_policy_id text, $9 overage_policy_id text, $10 commitment_policy_id text,
--   $11 drawdown_order text, $12 token_resource_id text, $13 definition_product_id text, $14 revision bigint
UPDATE usage_resources SET display_name = $3, category = $4, unit_class_id = $5, unit_of_measure_id = $6,
       aggregation_policy_id = $7, rating_frequency_policy_id = $8, overage_policy_id = $9,
       commitment_policy_id = $10, drawdown_order = $11, token_resource_id = $12, definition_product_id = $13,
       revision = revision + 1
 WHERE tenant_id = $1 AND usage_resource_id = $2 AND revision = $14;

-- name: drop_resource
-- Nobody will miss it: what refers to it would stop this.
--   $1 tenant_id uuid, $2 usage_resource_id text, $3 revision bigint
DELETE FROM usage_resources
 WHERE tenant_id = $1 AND usage_resource_id = $2 AND revision = $3;

-- name: move_resource
-- From one state to another.
--   $1 tenant_id uuid, $2 usage_resource_id text, $3 state text, $4 revision bigint
UPDATE usage_resources SET state = $3, revision = revision + 1
 WHERE tenant_id = $1 AND usage_resource_id = $2 AND revision = $4;

-- name: save_product
-- Other content under the same id.
--   $1 tenant_id uuid, $2 product_id text, $3 display_name text, $4 usage_model_type text,
--   $5 grant_binding text, $6 revision bigint
UPDATE products SET display_name = $3, usage_model_type = $4, grant_binding = $5, revision = revision + 1
 WHERE tenant_id = $1 AND product_id = $2 AND revision = $6;

-- name: drop_product
-- Nobody will miss it: what refers to it would stop this.
--   $1 tenant_id uuid, $2 product_id text, $3 revision bigint
DELETE FROM products
 WHERE tenant_id = $1 AND product_id = $2 AND revision = $3;

-- name: move_product
-- From one state to another.
--   $1 tenant_id uuid, $2 product_id text, $3 state text, $4 revision bigint
UPDATE products SET state = $3, revision = revision + 1
 WHERE tenant_id = $1 AND product_id = $2 AND revision = $4;

-- name: save_product_resource
-- Other content under the same id.
--   $1 tenant_id uuid, $2 product_id text, $3 usage_resource_id text, $4 start_date date, $5 end_date date,
--   $6 aggregation_policy_id text, $7 rating_frequency_policy_id text, $8 overage_policy_id text,
--   $9 commitment_policy_id text, $10 drawdown_order text, $11 token_resource_id text, $12 is_optional boolean,
--   $13 revision bigint
UPDATE product_usage_resources SET start_date = $4, end_date = $5, aggregation_policy_id = $6,
       rating_frequency_policy_id = $7, overage_policy_id = $8, commitment_policy_id = $9, drawdown_order = $10,
       token_resource_id = $11, is_optional = $12, revision = revision + 1
 WHERE tenant_id = $1 AND product_id = $2 AND usage_resource_id = $3 AND revision = $13;

-- name: drop_product_resource
-- Nobody will miss it: what refers to it would stop this.
--   $1 tenant_id uuid, $2 product_id text, $3 usage_resource_id text, $4 revision bigint
DELETE FROM product_usage_resources
 WHERE tenant_id = $1 AND product_id = $2 AND usage_resource_id = $3 AND revision = $4;

-- name: move_product_resource
-- From one state to another.
--   $1 tenant_id uuid, $2 product_id text, $3 usage_resource_id text, $4 state text, $5 revision bigint
UPDATE product_usage_resources SET state = $4, revision = revision + 1
 WHERE tenant_id = $1 AND product_id = $2 AND usage_resource_id = $3 AND revision = $5;

-- name: save_product_grant
-- Other content under the same id.
--   $1 tenant_id uuid, $2 product_id text, $3 grant_id text, $4 display_name text,
--   $5 usage_resource_id text, $6 quantity numeric, $7 unit_of_measure_id text, $8 validity_unit text,
--   $9 validity_count integer, $10 refresh_policy_id text, $11 rollover_policy_id text, $12 type text,
--   $13 selling_model_id text, $14 start_date date, $15 end_date date, $16 revision bigint
UPDATE product_usage_grants SET display_name = $4, usage_resource_id = $5, quantity = $6,
       unit_of_measure_id = $7, validity_unit = $8, validity_count = $9, refresh_policy_id = $10,
       rollover_policy_id = $11, type = $12, selling_model_id = $13, start_date = $14, end_date = $15,
       revision = revision + 1
 WHERE tenant_id = $1 AND product_id = $2 AND grant_id = $3 AND revision = $16;

-- name: drop_product_grant
-- Nobody will miss it: what refers to it would stop this.
--   $1 tenant_id uuid, $2 product_id text, $3 grant_id text, $4 revision bigint
DELETE FROM product_usage_grants
 WHERE tenant_id = $1 AND product_id = $2 AND grant_id = $3 AND revision = $4;

-- name: move_product_grant
-- From one state to another.
--   $1 tenant_id uuid, $2 product_id text, $3 grant_id text, $4 state text, $5 revision bigint
UPDATE product_usage_grants SET state = $4, revision = revision + 1
 WHERE tenant_id = $1 AND product_id = $2 AND grant_id = $3 AND revision = $5;

-- name: save_aggregation
-- Other content under the same id.
--   $1 tenant_id uuid, $2 policy_id text, $3 display_name text, $4 method text, $5 period text,
--   $6 combine text, $7 revision bigint
UPDATE aggregation_policies SET display_name = $3, method = $4, period = $5, combine = $6,
       revision = revision + 1
 WHERE tenant_id = $1 AND policy_id = $2 AND revision = $7;

-- name: drop_aggregation
-- Nobody will miss it: what refers to it would stop this.
--   $1 tenant_id uuid, $2 policy_id text, $3 revision bigint
DELETE FROM aggregation_policies
 WHERE tenant_id = $1 AND policy_id = $2 AND revision = $3;

-- name: move_aggregation
-- From one state to another.
--   $1 tenant_id uuid, $2 policy_id text, $3 state text, $4 revision bigint
UPDATE aggregation_policies SET state = $3, revision = revision + 1
 WHERE tenant_id = $1 AND policy_id = $2 AND revision = $4;

-- name: save_rating_frequency
-- Other content under the same id.
--   $1 tenant_id uuid, $2 policy_id text, $3 display_name text, $4 period text, $5 waiting_days integer,
--   $6 waiting_hours integer, $7 late_policy text, $8 revision bigint
UPDATE rating_frequency_policies SET display_name = $3, period = $4, waiting_days = $5, waiting_hours = $6,
       late_policy = $7, revision = revision + 1
 WHERE tenant_id = $1 AND policy_id = $2 AND revision = $8;

-- name: drop_rating_frequency
-- Nobody will miss it: what refers to it would stop this.
--   $1 tenant_id uuid, $2 policy_id text, $3 revision bigint
DELETE FROM rating_frequency_policies
 WHERE tenant_id = $1 AND policy_id = $2 AND revision = $3;

-- name: move_rating_frequency
-- From one state to another.
--   $1 tenant_id uuid, $2 policy_id text, $3 state text, $4 revision bigint
UPDATE rating_frequency_policies SET state = $3, revision = revision + 1
 WHERE tenant_id = $1 AND policy_id = $2 AND revision = $4;

-- name: save_overage
-- Other content under the same id.
--   $1 tenant_id uuid, $2 policy_id text, $3 display_name text, $4 overage text, $5 revision bigint
UPDATE overage_policies SET display_name = $3, overage = $4, revision = revision + 1
 WHERE tenant_id = $1 AND policy_id = $2 AND revision = $5;

-- name: drop_overage
-- Nobody will miss it: what refers to it would stop this.
--   $1 tenant_id uuid, $2 policy_id text, $3 revision bigint
DELETE FROM overage_policies
 WHERE tenant_id = $1 AND policy_id = $2 AND revision = $3;

-- name: move_overage
-- From one state to another.
--   $1 tenant_id uuid, $2 policy_id text, $3 state text, $4 revision bigint
UPDATE overage_policies SET state = $3, revision = revision + 1
 WHERE tenant_id = $1 AND policy_id = $2 AND revision = $4;

-- name: save_refresh
-- Other content under the same id.
--   $1 tenant_id uuid, $2 policy_id text, $3 display_name text, $4 interval_unit text,
--   $5 interval_count integer, $6 revision bigint
UPDATE refresh_policies SET display_name = $3, interval_unit = $4, interval_count = $5,
       revision = revision + 1
 WHERE tenant_id = $1 AND policy_id = $2 AND revision = $6;

-- name: drop_refresh
-- Nobody will miss it: what refers to it would stop this.
--   $1 tenant_id uuid, $2 policy_id text, $3 revision bigint
DELETE FROM refresh_policies
 WHERE tenant_id = $1 AND policy_id = $2 AND revision = $3;

-- name: move_refresh
-- From one state to another.
--   $1 tenant_id uuid, $2 policy_id text, $3 state text, $4 revision bigint
UPDATE refresh_policies SET state = $3, revision = revision + 1
 WHERE tenant_id = $1 AND policy_id = $2 AND revision = $4;

-- name: save_rollover
-- Other content under the same id.
--   $1 tenant_id uuid, $2 policy_id text, $3 display_name text, $4 max_rollovers integer,
--   $5 max_quantity numeric, $6 max_percent numeric, $7 revision bigint
UPDATE rollover_policies SET display_name = $3, max_rollovers = $4, max_quantity = $5, max_percent = $6,
       revision = revision + 1
 WHERE tenant_id = $1 AND policy_id = $2 AND revision = $7;

-- name: drop_rollover
-- Nobody will miss it: what refers to it would stop this.
--   $1 tenant_id uuid, $2 policy_id text, $3 revision bigint
DELETE FROM rollover_policies
 WHERE tenant_id = $1 AND policy_id = $2 AND revision = $3;

-- name: move_rollover
-- From one state to another.
--   $1 tenant_id uuid, $2 policy_id text, $3 state text, $4 revision bigint
UPDATE rollover_policies SET state = $3, revision = revision + 1
 WHERE tenant_id = $1 AND policy_id = $2 AND revision = $4;
-- name: tokens_of
-- What the resources of a product are rated in, where that is a token.
--   $1 tenant_id uuid, $2 product_id text
SELECT p.usage_resource_id, coalesce(p.token_resource_id, u.token_resource_id) AS token_resource_id
  FROM product_usage_resources AS p
  JOIN usage_resources AS u ON u.tenant_id = $1 AND u.usage_resource_id = p.usage_resource_id
 WHERE p.tenant_id = $1 AND p.product_id = $2 AND coalesce(p.token_resource_id, u.token_resource_id) IS NOT NULL
 ORDER BY p.usage_resource_id;

-- name: referrers
-- What refers to a record of the catalogue, in the catalogue; the first 21.
--   $1 tenant_id uuid, $2 kind text, $3 id text, $4 second_id text
SELECT r.name, r.state
  FROM (SELECT 'unitsOfMeasure/' || u.unit_of_measure_id AS name, u.state
          FROM units_of_measure AS u
         WHERE $2 = 'UnitClass' AND u.tenant_id = $1 AND u.unit_class_id = $3
        UNION ALL
        SELECT 'usageResources/' || u.usage_resource_id, u.state
          FROM usage_resources AS u
         WHERE u.tenant_id = $1 AND CASE $2
               WHEN 'UnitClass' THEN u.unit_class_id = $3
               WHEN 'UnitOfMeasure' THEN u.unit_of_measure_id = $3
               WHEN 'AggregationPolicy' THEN u.aggregation_policy_id = $3
               WHEN 'RatingFrequencyPolicy' THEN u.rating_frequency_policy_id = $3
               WHEN 'OveragePolicy' THEN u.overage_policy_id = $3
               WHEN 'CommitmentPolicy' THEN u.commitment_policy_id = $3
               WHEN 'UsageResource' THEN u.token_resource_id = $3
               WHEN 'Product' THEN u.definition_product_id = $3 END
        UNION ALL
        SELECT 'products/' || p.product_id || '/usageResources/' || p.usage_resource_id, p.state
          FROM product_usage_resources AS p
         WHERE p.tenant_id = $1 AND CASE $2
               WHEN 'Product' THEN p.product_id = $3
               WHEN 'UsageResource' THEN $3 IN (p.usage_resource_id, p.token_resource_id)
               WHEN 'CommitmentPolicy' THEN p.commitment_policy_id = $3
               WHEN 'AggregationPolicy' THEN p.aggregation_policy_id = $3
               WHEN 'RatingFrequencyPolicy' THEN p.rating_frequency_policy_id = $3
               WHEN 'OveragePolicy' THEN p.overage_policy_id = $3 END
        UNION ALL
        SELECT 'products/' || g.product_id || '/grants/' || g.grant_id, g.state
          FROM product_usage_grants AS g
         WHERE g.tenant_id = $1 AND CASE $2
               WHEN 'UnitOfMeasure' THEN g.unit_of_measure_id = $3
               WHEN 'ProductUsageResource' THEN g.product_id = $3 AND g.usage_resource_id = $4
               WHEN 'RefreshPolicy' THEN g.refresh_policy_id = $3
               WHEN 'RolloverPolicy' THEN g.rollover_policy_id = $3
               WHEN 'SellingModel' THEN g.selling_model_id = $3 END
        UNION ALL
        SELECT 'rateCards/' || e.rate_card_id || '/entries/' || e.entry_id, e.state
          FROM rate_card_entries AS e
         WHERE e.tenant_id = $1 AND CASE $2
               WHEN 'Product' THEN e.product_id = $3
               WHEN 'UsageResource' THEN e.usage_resource_id = $3 END) AS r
 ORDER BY r.name COLLATE "C" LIMIT 21;
