-- Custom fields of rates.

-- name: custom_fields
-- The definitions of the fields of a rate, with which its values are checked.
--   $1 tenant_id uuid, $2 custom_field_ids text[]
SELECT custom_field_id, display_name, type, picklist_values
  FROM custom_fields
 WHERE tenant_id = $1 AND custom_field_id = ANY ($2::text[])
 ORDER BY custom_field_id;
