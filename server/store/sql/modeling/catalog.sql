-- The catalog: insert, find, list, update, change of state and delete. A statement that changes no row was too
-- late: the record has another revision.

-- name: add_unit_class
-- A class of units, as a draft; an existing id is left unchanged.
--   $1 tenant_id uuid, $2 unit_class_id text, $3 display_name text, $4 kind text, $5 default_unit_id text
INSERT INTO unit_classes (tenant_id, unit_class_id, display_name, kind, default_unit_id)
VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT DO NOTHING;

-- name: find_unit_class
-- Ids are compared without case.
--   $1 tenant_id uuid, $2 unit_class_id text
SELECT unit_class_id, display_name, kind, default_unit_id, state, revision,
       create_time, created_by, update_time, updated_by
  FROM unit_classes WHERE tenant_id = $1 AND lower(unit_class_id) = lower($2::text);

-- name: list_unit_class
-- By id, after the last one seen.
--   $1 tenant_id uuid, $2 after text, $3 limit bigint, $4 state text or null
SELECT unit_class_id, display_name, kind, default_unit_id, state, revision,
       create_time, created_by, update_time, updated_by
  FROM unit_classes
 WHERE tenant_id = $1 AND unit_class_id > $2 AND ($4::text IS NULL OR state = $4)
 ORDER BY unit_class_id LIMIT $3;

-- name: add_unit
-- A unit of measure, as a draft; an existing id is left unchanged.
--   $1 tenant_id uuid, $2 unit_of_measure_id text, $3 display_name text, $4 unit_class_id text, $5 factor
--   numeric, $6 scale smallint, $7 rounding text, $8 sequence integer
INSERT INTO units_of_measure (tenant_id, unit_of_measure_id, display_name, unit_class_id, factor, scale,
                              rounding, sequence)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT DO NOTHING;

-- name: find_unit
-- Ids are compared without case.
--   $1 tenant_id uuid, $2 unit_of_measure_id text
SELECT unit_of_measure_id, display_name, unit_class_id, factor, scale, rounding, sequence, state,
       revision, create_time, created_by, update_time, updated_by
  FROM units_of_measure WHERE tenant_id = $1 AND lower(unit_of_measure_id) = lower($2::text);

-- name: list_unit
-- By id, after the last one seen.
--   $1 tenant_id uuid, $2 after text, $3 limit bigint, $4 state text or null, $5 unit_class_id text or null
SELECT unit_of_measure_id, display_name, unit_class_id, factor, scale, rounding, sequence, state,
       revision, create_time, created_by, update_time, updated_by
  FROM units_of_measure
 WHERE tenant_id = $1 AND unit_of_measure_id > $2 AND ($4::text IS NULL OR state = $4)
   AND ($5::text IS NULL OR unit_class_id = $5)
 ORDER BY unit_of_measure_id LIMIT $3;

-- name: add_resource
-- A usage resource, as a draft; an existing id is left unchanged.
--   $1 tenant_id uuid, $2 usage_resource_id text, $3 display_name text, $4 category text, $5
--   unit_class_id text, $6 unit_of_measure_id text, $7 rating_frequency_policy_id text,
--   $8 overage_policy_id text, $9 drawdown_order text, $10 token_resource_id text,
--   $11 definition_product_id text, $12 dimensions text[]
INSERT INTO usage_resources (tenant_id, usage_resource_id, display_name, category, unit_class_id,
                             unit_of_measure_id, rating_frequency_policy_id, overage_policy_id,
                             drawdown_order, token_resource_id, definition_product_id, dimensions)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
    ON CONFLICT DO NOTHING;

-- name: find_resource
-- Ids are compared without case.
--   $1 tenant_id uuid, $2 usage_resource_id text
SELECT usage_resource_id, display_name, category, unit_class_id, unit_of_measure_id, token_resource_id,
       definition_product_id, dimensions, rating_frequency_policy_id, overage_policy_id, drawdown_order, state, revision, create_time, created_by, update_time, updated_by
  FROM usage_resources WHERE tenant_id = $1 AND lower(usage_resource_id) = lower($2::text);

-- name: list_resource
-- By id, after the last one seen.
--   $1 tenant_id uuid, $2 after text, $3 limit bigint, $4 state text or null, $5 unit_class_id text or null,
--   $6 category text or null
SELECT usage_resource_id, display_name, category, unit_class_id, unit_of_measure_id, token_resource_id,
       definition_product_id, dimensions, rating_frequency_policy_id, overage_policy_id, drawdown_order, state, revision, create_time, created_by, update_time, updated_by
  FROM usage_resources
 WHERE tenant_id = $1 AND usage_resource_id > $2 AND ($4::text IS NULL OR state = $4)
   AND ($5::text IS NULL OR unit_class_id = $5) AND ($6::text IS NULL OR category = $6)
 ORDER BY usage_resource_id LIMIT $3;

-- name: add_product
-- A product, as a draft; an existing id is left unchanged.
--   $1 tenant_id uuid, $2 product_id text, $3 display_name text, $4 usage_model_type text, $5 grant_binding text
INSERT INTO products (tenant_id, product_id, display_name, usage_model_type, grant_binding)
VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT DO NOTHING;

-- name: find_product
-- Ids are compared without case.
--   $1 tenant_id uuid, $2 product_id text
SELECT product_id, display_name, usage_model_type, grant_binding, state, revision,
       create_time, created_by, update_time, updated_by
  FROM products WHERE tenant_id = $1 AND lower(product_id) = lower($2::text);

-- name: list_product
-- By id, after the last one seen.
--   $1 tenant_id uuid, $2 after text, $3 limit bigint, $4 state text or null, $5 usage_model_type text or null
SELECT product_id, display_name, usage_model_type, grant_binding, state, revision,
       create_time, created_by, update_time, updated_by
  FROM products
 WHERE tenant_id = $1 AND product_id > $2 AND ($4::text IS NULL OR state = $4)
   AND ($5::text IS NULL OR usage_model_type = $5)
 ORDER BY product_id LIMIT $3;

-- name: add_product_resource
-- A resource of a product, as a draft; an existing id is left unchanged.
--   $1 tenant_id uuid, $2 product_id text, $3 product_usage_resource_id text, $4 usage_resource_id text,
--   $5 start_date date, $6 end_date date, $7 aggregation_policy_id text, $8 rating_frequency_policy_id text,
--   $9 overage_policy_id text, $10 commitment_policy_id text, $11 drawdown_order text,
--   $12 token_resource_id text, $13 is_optional boolean
INSERT INTO product_usage_resources (tenant_id, product_id, product_usage_resource_id, usage_resource_id, start_date, end_date,
                                     aggregation_policy_id, rating_frequency_policy_id, overage_policy_id,
                                     commitment_policy_id, drawdown_order, token_resource_id, is_optional)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
    ON CONFLICT DO NOTHING;

-- name: find_product_resource
-- Ids are compared without case.
--   $1 tenant_id uuid, $2 product_id text, $3 product_usage_resource_id text
SELECT product_id, product_usage_resource_id, usage_resource_id, token_resource_id, is_optional, start_date, end_date,
       aggregation_policy_id, rating_frequency_policy_id, overage_policy_id, commitment_policy_id,
       drawdown_order, state, revision, create_time, created_by, update_time, updated_by
  FROM product_usage_resources
 WHERE tenant_id = $1 AND product_id = $2 AND lower(product_usage_resource_id) = lower($3::text);

-- name: list_product_resource
-- By id, after the last one seen.
--   $1 tenant_id uuid, $2 product_id text, $3 after text, $4 limit bigint, $5 state text or null
SELECT product_id, product_usage_resource_id, usage_resource_id, token_resource_id, is_optional, start_date, end_date,
       aggregation_policy_id, rating_frequency_policy_id, overage_policy_id, commitment_policy_id,
       drawdown_order, state, revision, create_time, created_by, update_time, updated_by
  FROM product_usage_resources
 WHERE tenant_id = $1 AND product_id = $2 AND product_usage_resource_id > $3 AND ($5::text IS NULL OR state = $5)
 ORDER BY product_usage_resource_id LIMIT $4;

-- name: add_product_grant
-- A grant of a product, as a draft; an existing id is left unchanged.
--   $1 tenant_id uuid, $2 product_id text, $3 grant_id text, $4 display_name text, $5 product_usage_resource_id
--   text, $6 quantity numeric, $7 unit_of_measure_id text, $8 validity_unit text, $9 validity_count
--   integer, $10 refresh_policy_id text, $11 rollover_policy_id text, $12 type text,
--   $13 selling_model_id text, $14 start_date date, $15 end_date date
INSERT INTO product_usage_grants (tenant_id, product_id, grant_id, display_name, product_usage_resource_id,
                                  quantity, unit_of_measure_id, validity_unit, validity_count,
                                  refresh_policy_id, rollover_policy_id, type, selling_model_id,
                                  start_date, end_date)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
    ON CONFLICT DO NOTHING;

-- name: find_product_grant
-- Ids are compared without case.
--   $1 tenant_id uuid, $2 product_id text, $3 grant_id text
SELECT product_id, grant_id, display_name, product_usage_resource_id, type, quantity, unit_of_measure_id, validity_unit,
       validity_count, refresh_policy_id, rollover_policy_id, selling_model_id, start_date, end_date, state, revision,
       create_time, created_by, update_time, updated_by
  FROM product_usage_grants WHERE tenant_id = $1 AND product_id = $2 AND lower(grant_id) = lower($3::text);

-- name: list_product_grant
-- By id, after the last one seen.
--   $1 tenant_id uuid, $2 product_id text, $3 after text, $4 limit bigint, $5 state text or null
SELECT product_id, grant_id, display_name, product_usage_resource_id, type, quantity, unit_of_measure_id, validity_unit,
       validity_count, refresh_policy_id, rollover_policy_id, selling_model_id, start_date, end_date, state, revision,
       create_time, created_by, update_time, updated_by
  FROM product_usage_grants
 WHERE tenant_id = $1 AND product_id = $2 AND grant_id > $3 AND ($5::text IS NULL OR state = $5)
 ORDER BY grant_id LIMIT $4;

-- name: save_unit_class
-- No row is changed if the revision is another.
--   $1 tenant_id uuid, $2 unit_class_id text, $3 display_name text, $4 kind text, $5 default_unit_id text,
--   $6 revision bigint
UPDATE unit_classes SET display_name = $3, kind = $4, default_unit_id = $5, revision = revision + 1
 WHERE tenant_id = $1 AND unit_class_id = $2 AND revision = $6;

-- name: drop_unit_class
-- A foreign key refuses this if something refers to the record.
--   $1 tenant_id uuid, $2 unit_class_id text, $3 revision bigint
DELETE FROM unit_classes WHERE tenant_id = $1 AND unit_class_id = $2 AND revision = $3;

-- name: move_unit_class
-- No row is changed if the revision is another.
--   $1 tenant_id uuid, $2 unit_class_id text, $3 state text, $4 revision bigint
UPDATE unit_classes SET state = $3, revision = revision + 1
 WHERE tenant_id = $1 AND unit_class_id = $2 AND revision = $4;

-- name: save_unit
-- No row is changed if the revision is another.
--   $1 tenant_id uuid, $2 unit_of_measure_id text, $3 display_name text, $4 unit_class_id text,
--   $5 factor numeric, $6 scale smallint, $7 rounding text, $8 sequence integer, $9 revision bigint
UPDATE units_of_measure SET display_name = $3, unit_class_id = $4, factor = $5, scale = $6, rounding = $7,
       sequence = $8, revision = revision + 1
 WHERE tenant_id = $1 AND unit_of_measure_id = $2 AND revision = $9;

-- name: drop_unit
-- A foreign key refuses this if something refers to the record.
--   $1 tenant_id uuid, $2 unit_of_measure_id text, $3 revision bigint
DELETE FROM units_of_measure WHERE tenant_id = $1 AND unit_of_measure_id = $2 AND revision = $3;

-- name: move_unit
-- No row is changed if the revision is another.
--   $1 tenant_id uuid, $2 unit_of_measure_id text, $3 state text, $4 revision bigint
UPDATE units_of_measure SET state = $3, revision = revision + 1
 WHERE tenant_id = $1 AND unit_of_measure_id = $2 AND revision = $4;

-- name: save_resource
-- No row is changed if the revision is another.
--   $1 tenant_id uuid, $2 usage_resource_id text, $3 display_name text, $4 category text,
--   $5 unit_class_id text, $6 unit_of_measure_id text, $7 rating_frequency_policy_id text,
--   $8 overage_policy_id text, $9 drawdown_order text, $10 token_resource_id text,
--   $11 definition_product_id text, $12 dimensions text[], $13 revision bigint
UPDATE usage_resources SET display_name = $3, category = $4, unit_class_id = $5, unit_of_measure_id = $6,
       rating_frequency_policy_id = $7, overage_policy_id = $8, drawdown_order = $9,
       token_resource_id = $10, definition_product_id = $11, dimensions = $12, revision = revision + 1
 WHERE tenant_id = $1 AND usage_resource_id = $2 AND revision = $13;

-- name: drop_resource
-- A foreign key refuses this if something refers to the record.
--   $1 tenant_id uuid, $2 usage_resource_id text, $3 revision bigint
DELETE FROM usage_resources WHERE tenant_id = $1 AND usage_resource_id = $2 AND revision = $3;

-- name: move_resource
-- No row is changed if the revision is another.
--   $1 tenant_id uuid, $2 usage_resource_id text, $3 state text, $4 revision bigint
UPDATE usage_resources SET state = $3, revision = revision + 1
 WHERE tenant_id = $1 AND usage_resource_id = $2 AND revision = $4;

-- name: save_product
-- No row is changed if the revision is another.
--   $1 tenant_id uuid, $2 product_id text, $3 display_name text, $4 usage_model_type text,
--   $5 grant_binding text, $6 revision bigint
UPDATE products SET display_name = $3, usage_model_type = $4, grant_binding = $5, revision = revision + 1
 WHERE tenant_id = $1 AND product_id = $2 AND revision = $6;

-- name: drop_product
-- A foreign key refuses this if something refers to the record.
--   $1 tenant_id uuid, $2 product_id text, $3 revision bigint
DELETE FROM products WHERE tenant_id = $1 AND product_id = $2 AND revision = $3;

-- name: move_product
-- No row is changed if the revision is another.
--   $1 tenant_id uuid, $2 product_id text, $3 state text, $4 revision bigint
UPDATE products SET state = $3, revision = revision + 1
 WHERE tenant_id = $1 AND product_id = $2 AND revision = $4;

-- name: save_product_resource
-- No row is changed if the revision is another.
--   $1 tenant_id uuid, $2 product_id text, $3 product_usage_resource_id text, $4 usage_resource_id text,
--   $5 start_date date, $6 end_date date, $7 aggregation_policy_id text, $8 rating_frequency_policy_id text,
--   $9 overage_policy_id text, $10 commitment_policy_id text, $11 drawdown_order text,
--   $12 token_resource_id text, $13 is_optional boolean, $14 revision bigint
UPDATE product_usage_resources SET usage_resource_id = $4, start_date = $5, end_date = $6,
       aggregation_policy_id = $7, rating_frequency_policy_id = $8, overage_policy_id = $9,
       commitment_policy_id = $10, drawdown_order = $11, token_resource_id = $12, is_optional = $13,
       revision = revision + 1
 WHERE tenant_id = $1 AND product_id = $2 AND product_usage_resource_id = $3 AND revision = $14;

-- name: drop_product_resource
-- A foreign key refuses this if something refers to the record.
--   $1 tenant_id uuid, $2 product_id text, $3 product_usage_resource_id text, $4 revision bigint
DELETE FROM product_usage_resources
 WHERE tenant_id = $1 AND product_id = $2 AND product_usage_resource_id = $3 AND revision = $4;

-- name: move_product_resource
-- No row is changed if the revision is another.
--   $1 tenant_id uuid, $2 product_id text, $3 product_usage_resource_id text, $4 state text, $5 revision bigint
UPDATE product_usage_resources SET state = $4, revision = revision + 1
 WHERE tenant_id = $1 AND product_id = $2 AND product_usage_resource_id = $3 AND revision = $5;

-- name: save_product_grant
-- No row is changed if the revision is another.
--   $1 tenant_id uuid, $2 product_id text, $3 grant_id text, $4 display_name text,
--   $5 product_usage_resource_id text, $6 quantity numeric, $7 unit_of_measure_id text, $8 validity_unit text,
--   $9 validity_count integer, $10 refresh_policy_id text, $11 rollover_policy_id text, $12 type text,
--   $13 selling_model_id text, $14 start_date date, $15 end_date date, $16 revision bigint
UPDATE product_usage_grants SET display_name = $4, product_usage_resource_id = $5, quantity = $6,
       unit_of_measure_id = $7, validity_unit = $8, validity_count = $9, refresh_policy_id = $10,
       rollover_policy_id = $11, type = $12, selling_model_id = $13, start_date = $14, end_date = $15,
       revision = revision + 1
 WHERE tenant_id = $1 AND product_id = $2 AND grant_id = $3 AND revision = $16;

-- name: drop_product_grant
-- A foreign key refuses this if something refers to the record.
--   $1 tenant_id uuid, $2 product_id text, $3 grant_id text, $4 revision bigint
DELETE FROM product_usage_grants WHERE tenant_id = $1 AND product_id = $2 AND grant_id = $3 AND revision = $4;

-- name: move_product_grant
-- No row is changed if the revision is another.
--   $1 tenant_id uuid, $2 product_id text, $3 grant_id text, $4 state text, $5 revision bigint
UPDATE product_usage_grants SET state = $4, revision = revision + 1
 WHERE tenant_id = $1 AND product_id = $2 AND grant_id = $3 AND revision = $5;
