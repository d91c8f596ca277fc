-- Record runs, which void or amend: created, continued slice by slice, read.

-- name: add_run
-- A run begins without progress, before the first record of its window.
--   $1 tenant_id uuid, $2 account_id text, $3 record_run_id uuid, $4 kind text, $5 change jsonb or null,
--   $6 is_dry boolean, $7 start_time timestamptz, $8 end_time timestamptz, $9 asset_id uuid or null,
--   $10 usage_resource_id text or null, $11 labels jsonb or null, $12 reason text
INSERT INTO record_runs (tenant_id, account_id, record_run_id, kind, change, is_dry, start_time, end_time, asset_id,
                         usage_resource_id, labels, reason, after_time)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $7);

-- name: lock_run
-- The lock prevents two workers from doing one slice.
--   $1 tenant_id uuid, $2 account_id text, $3 record_run_id uuid
SELECT record_run_id FROM record_runs
 WHERE tenant_id = $1 AND account_id = $2 AND record_run_id = $3 AND state = 'RUNNING'
   FOR UPDATE;

-- name: get_run
-- One run, of either kind.
--   $1 tenant_id uuid, $2 account_id text, $3 record_run_id uuid
SELECT record_run_id, kind, change, is_dry, start_time, end_time, asset_id, usage_resource_id, labels, reason, state,
       after_time, after_record_id, record_count, unchanged_count, refused_count, has_money, no_money, error,
       create_time, created_by, update_time, updated_by, finish_time
  FROM record_runs
 WHERE tenant_id = $1 AND account_id = $2 AND record_run_id = $3;

-- name: list_runs
-- An account's runs of one kind, newest first, after the last one seen.
--   $1 tenant_id uuid, $2 account_id text, $3 kind text, $4 after_time timestamptz, $5 after_id uuid, $6 limit bigint
SELECT record_run_id, kind, change, is_dry, start_time, end_time, asset_id, usage_resource_id, labels, reason, state,
       after_time, after_record_id, record_count, unchanged_count, refused_count, has_money, no_money, error,
       create_time, created_by, update_time, updated_by, finish_time
  FROM record_runs
 WHERE tenant_id = $1 AND account_id = $2 AND kind = $3
   AND ($4::timestamptz IS NULL OR (create_time, record_run_id) < ($4, $5::uuid))
 ORDER BY create_time DESC, record_run_id DESC
 LIMIT $6;

-- name: next_records
-- The records after the last one seen that match, and the last one that was looked at. A slice looks at a bounded
-- number of records, however few match. What was recorded or amended since the run was created is not matched; so no
-- record is amended twice.
--   $1 tenant_id uuid, $2 account_id text, $3 after_time timestamptz, $4 after_record_id text,
--   $5 end_time timestamptz, $6 asset_id uuid or null, $7 usage_resource_id text or null, $8 labels jsonb or null,
--   $9 changed_until timestamptz, $10 limit bigint
WITH scanned AS MATERIALIZED (
    SELECT u.* FROM usage_records AS u
     WHERE u.tenant_id = $1 AND u.account_id = $2 AND u.usage_time > '-infinity' AND u.usage_time >= $3
       AND (u.usage_time, u.record_id) > ($3, $4) AND u.usage_time < $5
     ORDER BY u.usage_time, u.record_id LIMIT $10),
judged AS (
    SELECT s.*, count(*) OVER () AS scanned_count,
           row_number() OVER (ORDER BY s.usage_time, s.record_id) AS position,
           s.state = 'ACTIVE' AND s.create_time <= $9 AND (s.amend_time IS NULL OR s.amend_time <= $9)
           AND ($6::uuid IS NULL OR s.asset_id = $6)
           AND ($7::text IS NULL OR s.usage_resource_id = $7)
           AND ($8::jsonb IS NULL OR s.labels @> $8) IS TRUE AS is_match
      FROM scanned AS s)
SELECT r.account_id, r.record_id, r.asset_id, r.usage_resource_id, r.quantity, r.unit_of_measure_id,
       r.counted_quantity, r.usage_time, r.labels, r.content_hash, r.revision, r.state, r.void_time,
       r.usage_summary_id, c.wallet_id, c.period_start_time, NULL::bytea[] AS earlier_hashes,
       NULL::integer[] AS earlier_revisions, r.is_match, r.scanned_count
  FROM judged AS r
 CROSS JOIN LATERAL (
       SELECT s.wallet_id, s.period_start_time FROM usage_summaries AS s
        WHERE s.tenant_id = $1 AND s.account_id = $2 AND s.usage_summary_id = r.usage_summary_id LIMIT 1) AS c
 WHERE r.is_match OR r.position = r.scanned_count
 ORDER BY r.usage_time, r.record_id;

-- name: find_periods
-- The rating periods of changed records, each from the start of service, which are there by now. Each is looked up by
-- key.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_ids uuid[], $4 start_times timestamptz[]
SELECT p.wallet_id, p.start_time, p.end_time, p.freeze_time, p.state <> 'OPEN' AS is_final, e.time_zone, e.start_date
  FROM unnest($3::uuid[], $4::timestamptz[]) AS k (wallet_id, start_time)
  JOIN rating_periods AS p
    ON p.tenant_id = $1 AND p.account_id = $2 AND p.wallet_id = k.wallet_id AND p.start_time = k.start_time
  JOIN wallets AS w ON w.tenant_id = $1 AND w.account_id = $2 AND w.wallet_id = k.wallet_id
  JOIN entitlement_accounts AS e
    ON e.tenant_id = $1 AND e.account_id = $2 AND e.entitlement_account_id = w.entitlement_account_id;

-- name: add_usage
-- Adds a slice to the usage of a run.
--   $1 tenant_id uuid, $2 account_id text, $3 record_run_id uuid, $4 asset_ids uuid[], $5 usage_resource_ids text[],
--   $6 record_counts bigint[], $7 quantities numeric[], $8 new_quantities numeric[]
INSERT INTO record_run_usage AS o
       (tenant_id, account_id, record_run_id, asset_id, usage_resource_id, record_count, quantity, new_quantity)
SELECT $1, $2, $3, u.* FROM unnest($4::uuid[], $5::text[], $6::bigint[], $7::numeric[], $8::numeric[]) AS u
    ON CONFLICT (tenant_id, account_id, record_run_id, asset_id, usage_resource_id) DO UPDATE
   SET record_count = o.record_count + excluded.record_count, quantity = o.quantity + excluded.quantity,
       new_quantity = o.new_quantity + excluded.new_quantity;

-- name: add_periods
-- Adds a slice to the periods of a run, each from the start of service.
--   $1 tenant_id uuid, $2 account_id text, $3 record_run_id uuid, $4 wallet_ids uuid[], $5 start_times timestamptz[],
--   $6 end_times timestamptz[], $7 freeze_times timestamptz[], $8 is_final boolean[], $9 record_counts bigint[]
INSERT INTO record_run_periods AS o
       (tenant_id, account_id, record_run_id, wallet_id, start_time, end_time, freeze_time, is_final, record_count)
SELECT $1, $2, $3, u.*
  FROM unnest($4::uuid[], $5::timestamptz[], $6::timestamptz[], $7::timestamptz[], $8::boolean[], $9::bigint[]) AS u
    ON CONFLICT (tenant_id, account_id, record_run_id, wallet_id, start_time) DO UPDATE
   SET record_count = o.record_count + excluded.record_count, is_final = o.is_final OR excluded.is_final;

-- name: add_refusals
-- Refused records, numbered after those of the slices before.
--   $1 tenant_id uuid, $2 account_id text, $3 record_run_id uuid, $4 first bigint, $5 record_ids text[],
--   $6 errors text[]
INSERT INTO record_run_refusals (tenant_id, account_id, record_run_id, position, record_id, error)
SELECT $1, $2, $3, $4 + u.number, u.record_id, u.error
  FROM unnest($5::text[], $6::text[]) WITH ORDINALITY AS u (record_id, error, number);

-- name: save_progress
-- Adds a slice to the counts, and moves on to the last record that it looked at.
--   $1 tenant_id uuid, $2 account_id text, $3 record_run_id uuid, $4 record_count bigint, $5 unchanged_count bigint,
--   $6 refused_count bigint, $7 after_time timestamptz, $8 after_record_id text
UPDATE record_runs SET record_count = record_count + $4, unchanged_count = unchanged_count + $5,
       refused_count = refused_count + $6, after_time = $7, after_record_id = $8
 WHERE tenant_id = $1 AND account_id = $2 AND record_run_id = $3;

-- name: finish_run
-- The final state, by the database's clock.
--   $1 tenant_id uuid, $2 account_id text, $3 record_run_id uuid, $4 state text, $5 error text
UPDATE record_runs SET state = $4, error = $5, finish_time = clock_timestamp()
 WHERE tenant_id = $1 AND account_id = $2 AND record_run_id = $3 AND state = 'RUNNING';

-- name: list_usage
-- The usage of a run.
--   $1 tenant_id uuid, $2 account_id text, $3 record_run_id uuid, $4 limit bigint
SELECT asset_id, usage_resource_id, record_count, quantity, new_quantity
  FROM record_run_usage
 WHERE tenant_id = $1 AND account_id = $2 AND record_run_id = $3
 ORDER BY asset_id, usage_resource_id LIMIT $4;

-- name: list_periods
-- The rating periods of a run.
--   $1 tenant_id uuid, $2 account_id text, $3 record_run_id uuid, $4 limit bigint
SELECT wallet_id, start_time, end_time, freeze_time, is_final, record_count
  FROM record_run_periods
 WHERE tenant_id = $1 AND account_id = $2 AND record_run_id = $3
 ORDER BY start_time, wallet_id LIMIT $4;

-- name: list_refusals
-- The records that a run refused, by usage time.
--   $1 tenant_id uuid, $2 account_id text, $3 record_run_id uuid, $4 limit bigint
SELECT record_id, error
  FROM record_run_refusals
 WHERE tenant_id = $1 AND account_id = $2 AND record_run_id = $3
 ORDER BY position LIMIT $4;
