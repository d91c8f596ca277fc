-- Grants of products.

-- name: of_resource
-- The active grants of one resource of a product.
--   $1 tenant_id uuid, $2 product_id text, $3 product_usage_resource_id text
SELECT product_id, grant_id, display_name, product_usage_resource_id, type, quantity, is_fixed, max_increase_percent,
       spend_cap,
       unit_of_measure_id,
       validity_unit, validity_count, refresh_policy_id, rollover_policy_id, selling_model_id, start_date, end_date,
       state, revision, create_time, created_by, update_time, updated_by
  FROM product_usage_grants
 WHERE tenant_id = $1 AND product_id = $2 AND product_usage_resource_id = $3 AND state = 'ACTIVE'
 ORDER BY grant_id;
