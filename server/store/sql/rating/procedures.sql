-- Procedures and their versions: kept once, found by id; changed if they still are what was looked at.

-- name: add_procedure
-- A procedure, as a draft; the first of an id wins.
--   $1 tenant_id uuid, $2 procedure_id text, $3 display_name text, $4 usage text
INSERT INTO procedures (tenant_id, procedure_id, display_name, usage)
VALUES ($1, $2, $3, $4)
    ON CONFLICT DO NOTHING;

-- name: find_procedure
-- By id, whatever its case.
--   $1 tenant_id uuid, $2 procedure_id text
SELECT procedure_id, display_name, usage, state, revision, create_time, created_by, update_time, updated_by
  FROM procedures
 WHERE tenant_id = $1 AND lower(procedure_id) = lower($2::text);

-- name: list_procedure
-- By id, after the last one seen.
--   $1 tenant_id uuid, $2 after text, $3 limit bigint, $4 state text or null, $5 usage text or null
SELECT procedure_id, display_name, usage, state, revision, create_time, created_by, update_time, updated_by
  FROM procedures
 WHERE tenant_id = $1 AND procedure_id > $2 AND ($4::text IS NULL OR state = $4)
   AND ($5::text IS NULL OR usage = $5)
 ORDER BY procedure_id LIMIT $3;

-- name: save_procedure
-- Other content under the same id.
--   $1 tenant_id uuid, $2 procedure_id text, $3 display_name text, $4 usage text, $5 revision bigint
UPDATE procedures SET display_name = $3, usage = $4, revision = revision + 1
 WHERE tenant_id = $1 AND procedure_id = $2 AND revision = $5;

-- name: drop_procedure
-- Nobody will miss it: what refers to it would stop this.
--   $1 tenant_id uuid, $2 procedure_id text, $3 revision bigint
DELETE FROM procedures
 WHERE tenant_id = $1 AND procedure_id = $2 AND revision = $3;

-- name: move_procedure
-- From one state to another.
--   $1 tenant_id uuid, $2 procedure_id text, $3 state text, $4 revision bigint
UPDATE procedures SET state = $3, revision = revision + 1
 WHERE tenant_id = $1 AND procedure_id = $2 AND revision = $4;

-- name: add_version
-- A version, as a draft; the first of an id wins.
--   $1 tenant_id uuid, $2 procedure_id text, $3 version_id text, $4 display_name text, $5 rank integer,
--   $6 start_date date, $7 end_date date, $8 run_milliseconds integer, $9 element_milliseconds integer,
--   $10 elements jsonb
INSERT INTO procedure_versions (tenant_id, procedure_id, version_id, display_name, rank, start_date, end_date,
                                run_milliseconds, element_milliseconds, elements)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    ON CONFLICT DO NOTHING;

-- name: find_version
-- By id, whatever its case.
--   $1 tenant_id uuid, $2 procedure_id text, $3 version_id text
SELECT procedure_id, version_id, display_name, rank, start_date, end_date, run_milliseconds,
       element_milliseconds, elements, state, revision, create_time, created_by, update_time, updated_by
  FROM procedure_versions
 WHERE tenant_id = $1 AND procedure_id = $2 AND lower(version_id) = lower($3::text);

-- name: list_version
-- Those of a procedure by id, after the last one seen.
--   $1 tenant_id uuid, $2 procedure_id text, $3 after text, $4 limit bigint, $5 state text or null
SELECT procedure_id, version_id, display_name, rank, start_date, end_date, run_milliseconds,
       element_milliseconds, elements, state, revision, create_time, created_by, update_time, updated_by
  FROM procedure_versions
 WHERE tenant_id = $1 AND procedure_id = $2 AND version_id > $3 AND ($5::text IS NULL OR state = $5)
 ORDER BY version_id LIMIT $4;

-- name: save_version
-- Other content under the same id.
--   $1 tenant_id uuid, $2 procedure_id text, $3 version_id text, $4 display_name text, $5 rank integer,
--   $6 start_date date, $7 end_date date, $8 run_milliseconds integer, $9 element_milliseconds integer,
--   $10 elements jsonb, $11 revision bigint
UPDATE procedure_versions
   SET display_name = $4, rank = $5, start_date = $6, end_date = $7, run_milliseconds = $8,
       element_milliseconds = $9, elements = $10, revision = revision + 1
 WHERE tenant_id = $1 AND procedure_id = $2 AND version_id = $3 AND revision = $11;

-- name: drop_version
-- Nobody will miss it.
--   $1 tenant_id uuid, $2 procedure_id text, $3 version_id text, $4 revision bigint
DELETE FROM procedure_versions
 WHERE tenant_id = $1 AND procedure_id = $2 AND version_id = $3 AND revision = $4;

-- name: move_version
-- From one state to another; of two of one rank, the days must not overlap.
--   $1 tenant_id uuid, $2 procedure_id text, $3 version_id text, $4 state text, $5 revision bigint
UPDATE procedure_versions SET state = $4, revision = revision + 1
 WHERE tenant_id = $1 AND procedure_id = $2 AND version_id = $3 AND revision = $5;

-- name: versions
-- All versions of a procedure: whoever resolves says of each what became of it.
--   $1 tenant_id uuid, $2 procedure_id text
SELECT procedure_id, version_id, display_name, rank, start_date, end_date, run_milliseconds,
       element_milliseconds, elements, state
  FROM procedure_versions
 WHERE tenant_id = $1 AND procedure_id = $2
 ORDER BY version_id;

-- name: some_versions
-- Versions by their names, whatever their state.
--   $1 tenant_id uuid, $2 procedure_ids text[], $3 version_ids text[]
SELECT v.procedure_id, v.version_id, v.display_name, v.rank, v.start_date, v.end_date, v.run_milliseconds,
       v.element_milliseconds, v.elements
  FROM unnest($2::text[], $3::text[]) AS k (procedure_id, version_id)
  JOIN procedure_versions AS v
    ON (v.tenant_id, v.procedure_id, v.version_id) = ($1, k.procedure_id, k.version_id)
 ORDER BY v.procedure_id, v.version_id;

-- name: rating_versions
-- What the tenant rates by.
--   $1 tenant_id uuid
SELECT rating_versions($1);

-- name: discovery_versions
-- What finds the tenant's rates: the procedure with its active versions, the highest rank first; of one
-- that has none a row without a version.
--   $1 tenant_id uuid
SELECT d.procedure_id, v.version_id, v.rank, v.start_date, v.end_date, v.elements
  FROM default_procedures AS d
  LEFT JOIN procedure_versions AS v
    ON (v.tenant_id, v.procedure_id, v.state) = (d.tenant_id, d.procedure_id, 'ACTIVE')
 WHERE d.tenant_id = $1 AND d.usage = 'DISCOVERY'
 ORDER BY v.rank DESC, v.version_id;

-- name: default_procedure
-- What the tenant uses for a usage.
--   $1 tenant_id uuid, $2 usage text
SELECT procedure_id FROM default_procedures WHERE tenant_id = $1 AND usage = $2;

-- name: set_default
-- One for a usage: the last who says so.
--   $1 tenant_id uuid, $2 usage text, $3 procedure_id text
INSERT INTO default_procedures (tenant_id, usage, procedure_id)
VALUES ($1, $2, $3)
    ON CONFLICT (tenant_id, usage) DO UPDATE SET procedure_id = excluded.procedure_id;

-- name: seed_procedure
-- In force from the start; what is there stays.
--   $1 tenant_id uuid, $2 procedure_id text, $3 display_name text, $4 usage text
INSERT INTO procedures (tenant_id, procedure_id, display_name, usage, state)
VALUES ($1, $2, $3, $4, 'ACTIVE')
    ON CONFLICT DO NOTHING;

-- name: seed_version
-- In force from the start; what is there stays.
--   $1 tenant_id uuid, $2 procedure_id text, $3 version_id text, $4 display_name text, $5 rank integer,
--   $6 start_date date, $7 end_date date, $8 run_milliseconds integer, $9 element_milliseconds integer,
--   $10 elements jsonb
INSERT INTO procedure_versions (tenant_id, procedure_id, version_id, display_name, rank, start_date, end_date,
                                run_milliseconds, element_milliseconds, elements, state)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'ACTIVE')
    ON CONFLICT DO NOTHING;
