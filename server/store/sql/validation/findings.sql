-- Findings of validation runs.

-- name: count_products
-- The number of products to validate.
--   $1 tenant_id uuid
SELECT count(*) FROM products WHERE tenant_id = $1;

-- name: next_products
-- The next slice, by id.
--   $1 tenant_id uuid, $2 after text, $3 limit bigint
SELECT product_id FROM products
 WHERE tenant_id = $1 AND product_id > $2 ORDER BY product_id LIMIT $3;

-- name: add_finding
-- One violation of a rule.
--   $1 tenant_id uuid, $2 run_id uuid, $3 product_id text, $4 rule_id text, $5 position integer,
--   $6 severity text, $7 message text, $8 records text[]
INSERT INTO validation_findings (tenant_id, run_id, product_id, rule_id, position, severity, message, records)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8);

-- name: list_findings
-- By product, rule and position, after the last one seen.
--   $1 tenant_id uuid, $2 run_id uuid, $3 severity text or null, $4 rule_id text or null,
--   $5 product_id text or null, $6 after_product text or null, $7 after_rule text, $8 after_position integer,
--   $9 limit bigint
SELECT product_id, rule_id, position, severity, message, records
  FROM validation_findings
 WHERE tenant_id = $1 AND run_id = $2 AND ($3::text IS NULL OR severity = $3)
   AND ($4::text IS NULL OR rule_id = $4) AND ($5::text IS NULL OR product_id = $5)
   AND ($6::text IS NULL OR (product_id, rule_id, position) > ($6, $7, $8))
 ORDER BY product_id, rule_id, position LIMIT $9;

-- name: forget_old
-- Findings of old runs describe a catalog that has changed since.
--   $1 tenant_id uuid, $2 kept interval
DELETE FROM validation_findings AS f
 USING runs AS r
 WHERE f.tenant_id = $1 AND r.tenant_id = $1 AND r.run_id = f.run_id
   AND r.end_time < clock_timestamp() - $2::interval;
