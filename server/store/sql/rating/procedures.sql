-- Procedures and their versions: insert, find, list, update, change of state and delete.

-- name: versions
-- All versions of a procedure, because resolving gives a verdict on each.
--   $1 tenant_id uuid, $2 procedure_id text
SELECT procedure_id, version_id, display_name, rank, start_date, end_date, run_milliseconds,
       element_milliseconds, elements, state
  FROM procedure_versions
 WHERE tenant_id = $1 AND procedure_id = $2
 ORDER BY version_id;

-- name: some_versions
-- Versions by name, in any state.
--   $1 tenant_id uuid, $2 procedure_ids text[], $3 version_ids text[]
SELECT v.procedure_id, v.version_id, v.display_name, v.rank, v.start_date, v.end_date, v.run_milliseconds,
       v.element_milliseconds, v.elements
  FROM unnest($2::text[], $3::text[]) AS k (procedure_id, version_id)
  JOIN procedure_versions AS v
    ON (v.tenant_id, v.procedure_id, v.version_id) = ($1, k.procedure_id, k.version_id)
 ORDER BY v.procedure_id, v.version_id;

-- name: rating_versions
-- The active rating versions of the tenant's default procedure.
--   $1 tenant_id uuid
SELECT rating_versions($1);

-- name: discovery_versions
-- The active discovery versions of the tenant's default procedure, highest rank first; one row without a
-- version if it has none.
--   $1 tenant_id uuid
SELECT d.procedure_id, v.version_id, v.rank, v.start_date, v.end_date, v.elements
  FROM default_procedures AS d
  LEFT JOIN procedure_versions AS v
    ON (v.tenant_id, v.procedure_id, v.state) = (d.tenant_id, d.procedure_id, 'ACTIVE')
 WHERE d.tenant_id = $1 AND d.usage = 'DISCOVERY'
 ORDER BY v.rank DESC, v.version_id;

-- name: default_procedure
-- The tenant's default procedure for a usage.
--   $1 tenant_id uuid, $2 usage text
SELECT procedure_id FROM default_procedures WHERE tenant_id = $1 AND usage = $2;

-- name: set_default
-- The last change wins.
--   $1 tenant_id uuid, $2 usage text, $3 procedure_id text
INSERT INTO default_procedures (tenant_id, usage, procedure_id)
VALUES ($1, $2, $3)
    ON CONFLICT (tenant_id, usage) DO UPDATE SET procedure_id = excluded.procedure_id;

-- name: seed_procedure
-- Active from the start; an existing one is left unchanged.
--   $1 tenant_id uuid, $2 procedure_id text, $3 display_name text, $4 usage text
INSERT INTO procedures (tenant_id, procedure_id, display_name, usage, state)
VALUES ($1, $2, $3, $4, 'ACTIVE')
    ON CONFLICT DO NOTHING;

-- name: seed_version
-- Active from the start; an existing one is left unchanged.
--   $1 tenant_id uuid, $2 procedure_id text, $3 version_id text, $4 display_name text, $5 rank integer,
--   $6 start_date date, $7 end_date date, $8 run_milliseconds integer, $9 element_milliseconds integer,
--   $10 elements jsonb
INSERT INTO procedure_versions (tenant_id, procedure_id, version_id, display_name, rank, start_date, end_date,
                                run_milliseconds, element_milliseconds, elements, state)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'ACTIVE')
    ON CONFLICT DO NOTHING;
