-- Policies: kept once, found by id, listed by id.

-- name: add_aggregation
-- How usage adds up, as a draft; the first of an id wins.
--   $1 tenant_id uuid, $2 policy_id text, $3 display_name text, $4 method text, $5 period text, $6
--   combine text
INSERT INTO aggregation_policies (tenant_id, policy_id, display_name, method, period, combine)
VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT DO NOTHING;

-- name: find_aggregation
-- By id, whatever its case.
--   $1 tenant_id uuid, $2 policy_id text
SELECT policy_id, display_name, method, period, combine, state, revision, create_time
  FROM aggregation_policies
 WHERE tenant_id = $1 AND lower(policy_id) = lower($2::text);

-- name: list_aggregation
-- By id, after the last one seen.
--   $1 tenant_id uuid, $2 after text, $3 limit bigint, $4 state text or null
SELECT policy_id, display_name, method, period, combine, state, revision, create_time
  FROM aggregation_policies
 WHERE tenant_id = $1 AND policy_id > $2 AND ($4::text IS NULL OR state = $4)
 ORDER BY policy_id LIMIT $3;

-- name: add_rating_frequency
-- When usage is rated, as a draft; the first of an id wins.
--   $1 tenant_id uuid, $2 policy_id text, $3 display_name text, $4 period text, $5 waiting_days integer,
--   $6 waiting_hours integer, $7 late_policy text
INSERT INTO rating_frequency_policies (tenant_id, policy_id, display_name, period, waiting_days,
                                       waiting_hours, late_policy)
VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT DO NOTHING;

-- name: find_rating_frequency
-- By id, whatever its case.
--   $1 tenant_id uuid, $2 policy_id text
SELECT policy_id, display_name, period, waiting_days, waiting_hours, late_policy, state, revision,
       create_time
  FROM rating_frequency_policies
 WHERE tenant_id = $1 AND lower(policy_id) = lower($2::text);

-- name: list_rating_frequency
-- By id, after the last one seen.
--   $1 tenant_id uuid, $2 after text, $3 limit bigint, $4 state text or null
SELECT policy_id, display_name, period, waiting_days, waiting_hours, late_policy, state, revision,
       create_time
  FROM rating_frequency_policies
 WHERE tenant_id = $1 AND policy_id > $2 AND ($4::text IS NULL OR state = $4)
 ORDER BY policy_id LIMIT $3;

-- name: add_overage
-- What overage does, as a draft; the first of an id wins.
--   $1 tenant_id uuid, $2 policy_id text, $3 display_name text, $4 overage text
INSERT INTO overage_policies (tenant_id, policy_id, display_name, overage)
VALUES ($1, $2, $3, $4)
    ON CONFLICT DO NOTHING;

-- name: find_overage
-- By id, whatever its case.
--   $1 tenant_id uuid, $2 policy_id text
SELECT policy_id, display_name, overage, state, revision, create_time
  FROM overage_policies
 WHERE tenant_id = $1 AND lower(policy_id) = lower($2::text);

-- name: list_overage
-- By id, after the last one seen.
--   $1 tenant_id uuid, $2 after text, $3 limit bigint, $4 state text or null
SELECT policy_id, display_name, overage, state, revision, create_time
  FROM overage_policies
 WHERE tenant_id = $1 AND policy_id > $2 AND ($4::text IS NULL OR state = $4)
 ORDER BY policy_id LIMIT $3;

-- name: add_refresh
-- When a grant is issued again, as a draft; the first of an id wins.
--   $1 tenant_id uuid, $2 policy_id text, $3 display_name text, $4 interval_unit text, $5 interval_count
--   integer
INSERT INTO refresh_policies (tenant_id, policy_id, display_name, interval_unit, interval_count)
VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT DO NOTHING;

-- name: find_refresh
-- By id, whatever its case.
--   $1 tenant_id uuid, $2 policy_id text
SELECT policy_id, display_name, interval_unit, interval_count, state, revision, create_time
  FROM refresh_policies
 WHERE tenant_id = $1 AND lower(policy_id) = lower($2::text);

-- name: list_refresh
-- By id, after the last one seen.
--   $1 tenant_id uuid, $2 after text, $3 limit bigint, $4 state text or null
SELECT policy_id, display_name, interval_unit, interval_count, state, revision, create_time
  FROM refresh_policies
 WHERE tenant_id = $1 AND policy_id > $2 AND ($4::text IS NULL OR state = $4)
 ORDER BY policy_id LIMIT $3;

-- name: add_rollover
-- What becomes of a remainder, as a draft; the first of an id wins.
--   $1 tenant_id uuid, $2 policy_id text, $3 display_name text, $4 max_rollovers integer, $5 max_quantity
--   numeric, $6 max_percent numeric
INSERT INTO rollover_policies (tenant_id, policy_id, display_name, max_rollovers, max_quantity, max_percent)
VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT DO NOTHING;

-- name: find_rollover
-- By id, whatever its case.
--   $1 tenant_id uuid, $2 policy_id text
SELECT policy_id, display_name, max_rollovers, max_quantity, max_percent, state, revision, create_time
  FROM rollover_policies
 WHERE tenant_id = $1 AND lower(policy_id) = lower($2::text);

-- name: list_rollover
-- By id, after the last one seen.
--   $1 tenant_id uuid, $2 after text, $3 limit bigint, $4 state text or null
SELECT policy_id, display_name, max_rollovers, max_quantity, max_percent, state, revision, create_time
  FROM rollover_policies
 WHERE tenant_id = $1 AND policy_id > $2 AND ($4::text IS NULL OR state = $4)
 ORDER BY policy_id LIMIT $3;
