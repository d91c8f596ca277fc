-- Selling models: insert, find, list, update, change of state and delete.

-- name: add_selling_model
-- A selling model, as a draft; an existing id is left unchanged.
--   $1 tenant_id uuid, $2 selling_model_id text, $3 display_name text, $4 type text, $5 term_unit text,
--   $6 term_count integer
INSERT INTO selling_models (tenant_id, selling_model_id, display_name, type, term_unit, term_count)
VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT DO NOTHING;

-- name: find_selling_model
-- Ids are compared without case.
--   $1 tenant_id uuid, $2 selling_model_id text
SELECT selling_model_id, display_name, type, term_unit, term_count, state, revision,
       create_time, created_by, update_time, updated_by
  FROM selling_models
 WHERE tenant_id = $1 AND lower(selling_model_id) = lower($2::text);

-- name: list_selling_model
-- By id, after the last one seen.
--   $1 tenant_id uuid, $2 after text, $3 limit bigint, $4 state text or null
SELECT selling_model_id, display_name, type, term_unit, term_count, state, revision,
       create_time, created_by, update_time, updated_by
  FROM selling_models
 WHERE tenant_id = $1 AND selling_model_id > $2 AND ($4::text IS NULL OR state = $4)
 ORDER BY selling_model_id LIMIT $3;

-- name: save_selling_model
-- No row is changed if the revision is another.
--   $1 tenant_id uuid, $2 selling_model_id text, $3 display_name text, $4 type text, $5 term_unit text,
--   $6 term_count integer, $7 revision bigint
UPDATE selling_models SET display_name = $3, type = $4, term_unit = $5, term_count = $6,
       revision = revision + 1
 WHERE tenant_id = $1 AND selling_model_id = $2 AND revision = $7;

-- name: drop_selling_model
-- A foreign key refuses this if something refers to the record.
--   $1 tenant_id uuid, $2 selling_model_id text, $3 revision bigint
DELETE FROM selling_models
 WHERE tenant_id = $1 AND selling_model_id = $2 AND revision = $3;

-- name: move_selling_model
-- No row is changed if the revision is another.
--   $1 tenant_id uuid, $2 selling_model_id text, $3 state text, $4 revision bigint
UPDATE selling_models SET state = $3, revision = revision + 1
 WHERE tenant_id = $1 AND selling_model_id = $2 AND revision = $4;
