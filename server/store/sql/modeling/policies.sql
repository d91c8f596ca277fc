-- Policies: insert, find, list, update, change of state and delete. A statement that changes no row was too
-- late: the record has another revision.

-- name: add_aggregation
-- An aggregation policy, as a draft; an existing id is left unchanged.
--   $1 tenant_id uuid, $2 policy_id text, $3 display_name text, $4 method text, $5 period text, $6
--   combine text, $7 unique_label text
INSERT INTO aggregation_policies (tenant_id, policy_id, display_name, method, period, combine, unique_label)
VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT DO NOTHING;

-- name: find_aggregation
-- Ids are compared without case.
--   $1 tenant_id uuid, $2 policy_id text
SELECT policy_id, display_name, method, period, combine, unique_label, state, revision, version,
       create_time, created_by, update_time, updated_by
  FROM aggregation_policies
 WHERE tenant_id = $1 AND lower(policy_id) = lower($2::text);

-- name: list_aggregation
-- By id, after the last one seen.
--   $1 tenant_id uuid, $2 after text, $3 limit bigint, $4 state text or null
SELECT policy_id, display_name, method, period, combine, unique_label, state, revision, version,
       create_time, created_by, update_time, updated_by
  FROM aggregation_policies
 WHERE tenant_id = $1 AND policy_id > $2 AND ($4::text IS NULL OR state = $4)
 ORDER BY policy_id LIMIT $3;

-- name: add_rating_frequency
-- A rating frequency policy, as a draft; an existing id is left unchanged.
--   $1 tenant_id uuid, $2 policy_id text, $3 display_name text, $4 period text, $5 waiting_days integer,
--   $6 waiting_hours integer, $7 late_policy text
INSERT INTO rating_frequency_policies (tenant_id, policy_id, display_name, period, waiting_days,
                                       waiting_hours, late_policy)
VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT DO NOTHING;

-- name: find_rating_frequency
-- Ids are compared without case.
--   $1 tenant_id uuid, $2 policy_id text
SELECT policy_id, display_name, period, waiting_days, waiting_hours, late_policy, state, revision, version,
       create_time, created_by, update_time, updated_by
  FROM rating_frequency_policies
 WHERE tenant_id = $1 AND lower(policy_id) = lower($2::text);

-- name: list_rating_frequency
-- By id, after the last one seen.
--   $1 tenant_id uuid, $2 after text, $3 limit bigint, $4 state text or null
SELECT policy_id, display_name, period, waiting_days, waiting_hours, late_policy, state, revision, version,
       create_time, created_by, update_time, updated_by
  FROM rating_frequency_policies
 WHERE tenant_id = $1 AND policy_id > $2 AND ($4::text IS NULL OR state = $4)
 ORDER BY policy_id LIMIT $3;

-- name: add_overage
-- An overage policy, as a draft; an existing id is left unchanged.
--   $1 tenant_id uuid, $2 policy_id text, $3 display_name text, $4 overage text
INSERT INTO overage_policies (tenant_id, policy_id, display_name, overage)
VALUES ($1, $2, $3, $4)
    ON CONFLICT DO NOTHING;

-- name: find_overage
-- Ids are compared without case.
--   $1 tenant_id uuid, $2 policy_id text
SELECT policy_id, display_name, overage, state, revision, version, create_time, created_by, update_time, updated_by
  FROM overage_policies
 WHERE tenant_id = $1 AND lower(policy_id) = lower($2::text);

-- name: list_overage
-- By id, after the last one seen.
--   $1 tenant_id uuid, $2 after text, $3 limit bigint, $4 state text or null
SELECT policy_id, display_name, overage, state, revision, version, create_time, created_by, update_time, updated_by
  FROM overage_policies
 WHERE tenant_id = $1 AND policy_id > $2 AND ($4::text IS NULL OR state = $4)
 ORDER BY policy_id LIMIT $3;

-- name: add_refresh
-- A refresh policy, as a draft; an existing id is left unchanged.
--   $1 tenant_id uuid, $2 policy_id text, $3 display_name text, $4 interval_unit text, $5 interval_count
--   integer
INSERT INTO refresh_policies (tenant_id, policy_id, display_name, interval_unit, interval_count)
VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT DO NOTHING;

-- name: find_refresh
-- Ids are compared without case.
--   $1 tenant_id uuid, $2 policy_id text
SELECT policy_id, display_name, interval_unit, interval_count, state, revision, version,
       create_time, created_by, update_time, updated_by
  FROM refresh_policies
 WHERE tenant_id = $1 AND lower(policy_id) = lower($2::text);

-- name: list_refresh
-- By id, after the last one seen.
--   $1 tenant_id uuid, $2 after text, $3 limit bigint, $4 state text or null
SELECT policy_id, display_name, interval_unit, interval_count, state, revision, version,
       create_time, created_by, update_time, updated_by
  FROM refresh_policies
 WHERE tenant_id = $1 AND policy_id > $2 AND ($4::text IS NULL OR state = $4)
 ORDER BY policy_id LIMIT $3;

-- name: add_rollover
-- A rollover policy, as a draft; an existing id is left unchanged.
--   $1 tenant_id uuid, $2 policy_id text, $3 display_name text, $4 max_rollovers integer, $5 max_quantity
--   numeric, $6 max_percent numeric
INSERT INTO rollover_policies (tenant_id, policy_id, display_name, max_rollovers, max_quantity, max_percent)
VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT DO NOTHING;

-- name: find_rollover
-- Ids are compared without case.
--   $1 tenant_id uuid, $2 policy_id text
SELECT policy_id, display_name, max_rollovers, max_quantity, max_percent, state, revision, version,
       create_time, created_by, update_time, updated_by
  FROM rollover_policies
 WHERE tenant_id = $1 AND lower(policy_id) = lower($2::text);

-- name: list_rollover
-- By id, after the last one seen.
--   $1 tenant_id uuid, $2 after text, $3 limit bigint, $4 state text or null
SELECT policy_id, display_name, max_rollovers, max_quantity, max_percent, state, revision, version,
       create_time, created_by, update_time, updated_by
  FROM rollover_policies
 WHERE tenant_id = $1 AND policy_id > $2 AND ($4::text IS NULL OR state = $4)
 ORDER BY policy_id LIMIT $3;

-- name: save_aggregation
-- No row is changed if the revision is another.
--   $1 tenant_id uuid, $2 policy_id text, $3 display_name text, $4 method text, $5 period text,
--   $6 combine text, $7 unique_label text, $8 revision bigint
UPDATE aggregation_policies SET display_name = $3, method = $4, period = $5, combine = $6, unique_label = $7,
       revision = revision + 1
 WHERE tenant_id = $1 AND policy_id = $2 AND revision = $8;

-- name: drop_aggregation
-- A foreign key refuses this if something refers to the record.
--   $1 tenant_id uuid, $2 policy_id text, $3 revision bigint
DELETE FROM aggregation_policies
 WHERE tenant_id = $1 AND policy_id = $2 AND revision = $3;

-- name: move_aggregation
-- No row is changed if the revision is another.
--   $1 tenant_id uuid, $2 policy_id text, $3 state text, $4 revision bigint
UPDATE aggregation_policies SET state = $3, revision = revision + 1
 WHERE tenant_id = $1 AND policy_id = $2 AND revision = $4;

-- name: save_rating_frequency
-- No row is changed if the revision is another.
--   $1 tenant_id uuid, $2 policy_id text, $3 display_name text, $4 period text, $5 waiting_days integer,
--   $6 waiting_hours integer, $7 late_policy text, $8 revision bigint
UPDATE rating_frequency_policies SET display_name = $3, period = $4, waiting_days = $5, waiting_hours = $6,
       late_policy = $7, revision = revision + 1
 WHERE tenant_id = $1 AND policy_id = $2 AND revision = $8;

-- name: drop_rating_frequency
-- A foreign key refuses this if something refers to the record.
--   $1 tenant_id uuid, $2 policy_id text, $3 revision bigint
DELETE FROM rating_frequency_policies
 WHERE tenant_id = $1 AND policy_id = $2 AND revision = $3;

-- name: move_rating_frequency
-- No row is changed if the revision is another.
--   $1 tenant_id uuid, $2 policy_id text, $3 state text, $4 revision bigint
UPDATE rating_frequency_policies SET state = $3, revision = revision + 1
 WHERE tenant_id = $1 AND policy_id = $2 AND revision = $4;

-- name: save_overage
-- No row is changed if the revision is another.
--   $1 tenant_id uuid, $2 policy_id text, $3 display_name text, $4 overage text, $5 revision bigint
UPDATE overage_policies SET display_name = $3, overage = $4, revision = revision + 1
 WHERE tenant_id = $1 AND policy_id = $2 AND revision = $5;

-- name: drop_overage
-- A foreign key refuses this if something refers to the record.
--   $1 tenant_id uuid, $2 policy_id text, $3 revision bigint
DELETE FROM overage_policies
 WHERE tenant_id = $1 AND policy_id = $2 AND revision = $3;

-- name: move_overage
-- No row is changed if the revision is another.
--   $1 tenant_id uuid, $2 policy_id text, $3 state text, $4 revision bigint
UPDATE overage_policies SET state = $3, revision = revision + 1
 WHERE tenant_id = $1 AND policy_id = $2 AND revision = $4;

-- name: save_refresh
-- No row is changed if the revision is another.
--   $1 tenant_id uuid, $2 policy_id text, $3 display_name text, $4 interval_unit text,
--   $5 interval_count integer, $6 revision bigint
UPDATE refresh_policies SET display_name = $3, interval_unit = $4, interval_count = $5,
       revision = revision + 1
 WHERE tenant_id = $1 AND policy_id = $2 AND revision = $6;

-- name: drop_refresh
-- A foreign key refuses this if something refers to the record.
--   $1 tenant_id uuid, $2 policy_id text, $3 revision bigint
DELETE FROM refresh_policies
 WHERE tenant_id = $1 AND policy_id = $2 AND revision = $3;

-- name: move_refresh
-- No row is changed if the revision is another.
--   $1 tenant_id uuid, $2 policy_id text, $3 state text, $4 revision bigint
UPDATE refresh_policies SET state = $3, revision = revision + 1
 WHERE tenant_id = $1 AND policy_id = $2 AND revision = $4;

-- name: save_rollover
-- No row is changed if the revision is another.
--   $1 tenant_id uuid, $2 policy_id text, $3 display_name text, $4 max_rollovers integer,
--   $5 max_quantity numeric, $6 max_percent numeric, $7 revision bigint
UPDATE rollover_policies SET display_name = $3, max_rollovers = $4, max_quantity = $5, max_percent = $6,
       revision = revision + 1
 WHERE tenant_id = $1 AND policy_id = $2 AND revision = $7;

-- name: drop_rollover
-- A foreign key refuses this if something refers to the record.
--   $1 tenant_id uuid, $2 policy_id text, $3 revision bigint
DELETE FROM rollover_policies
 WHERE tenant_id = $1 AND policy_id = $2 AND revision = $3;

-- name: move_rollover
-- No row is changed if the revision is another.
--   $1 tenant_id uuid, $2 policy_id text, $3 state text, $4 revision bigint
UPDATE rollover_policies SET state = $3, revision = revision + 1
 WHERE tenant_id = $1 AND policy_id = $2 AND revision = $4;

-- name: add_commitment
-- A commitment policy, as a draft; an existing id is left unchanged.
--   $1 tenant_id uuid, $2 policy_id text, $3 display_name text, $4 rate text
INSERT INTO commitment_policies (tenant_id, policy_id, display_name, rate)
VALUES ($1, $2, $3, $4)
    ON CONFLICT DO NOTHING;

-- name: find_commitment
-- Ids are compared without case.
--   $1 tenant_id uuid, $2 policy_id text
SELECT policy_id, display_name, rate, state, revision, version, create_time, created_by, update_time, updated_by
  FROM commitment_policies
 WHERE tenant_id = $1 AND lower(policy_id) = lower($2::text);

-- name: list_commitment
-- By id, after the last one seen.
--   $1 tenant_id uuid, $2 after text, $3 limit bigint, $4 state text or null
SELECT policy_id, display_name, rate, state, revision, version, create_time, created_by, update_time, updated_by
  FROM commitment_policies
 WHERE tenant_id = $1 AND policy_id > $2 AND ($4::text IS NULL OR state = $4)
 ORDER BY policy_id LIMIT $3;

-- name: save_commitment
-- No row is changed if the revision is another.
--   $1 tenant_id uuid, $2 policy_id text, $3 display_name text, $4 rate text, $5 revision bigint
UPDATE commitment_policies SET display_name = $3, rate = $4, revision = revision + 1
 WHERE tenant_id = $1 AND policy_id = $2 AND revision = $5;

-- name: drop_commitment
-- A foreign key refuses this if something refers to the record.
--   $1 tenant_id uuid, $2 policy_id text, $3 revision bigint
DELETE FROM commitment_policies
 WHERE tenant_id = $1 AND policy_id = $2 AND revision = $3;

-- name: move_commitment
-- No row is changed if the revision is another.
--   $1 tenant_id uuid, $2 policy_id text, $3 state text, $4 revision bigint
UPDATE commitment_policies SET state = $3, revision = revision + 1
 WHERE tenant_id = $1 AND policy_id = $2 AND revision = $4;
