-- Void runs: created, continued slice by slice, read.

-- name: add_run
-- A run begins without progress.
--   $1 tenant_id uuid, $2 account_id text, $3 void_run_id uuid, $4 is_dry boolean, $5 start_time timestamptz,
--   $6 end_time timestamptz, $7 asset_id uuid or null, $8 usage_resource_id text or null, $9 labels jsonb or null,
--   $10 reason text
INSERT INTO void_runs (tenant_id, account_id, void_run_id, is_dry, start_time, end_time, asset_id, usage_resource_id,
                       labels, reason)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10);

-- name: lock_run
-- The lock prevents two workers from doing one slice.
--   $1 tenant_id uuid, $2 account_id text, $3 void_run_id uuid
SELECT void_run_id FROM void_runs
 WHERE tenant_id = $1 AND account_id = $2 AND void_run_id = $3 AND state = 'RUNNING'
   FOR UPDATE;

-- name: get_run
-- One run.
--   $1 tenant_id uuid, $2 account_id text, $3 void_run_id uuid
SELECT void_run_id, is_dry, start_time, end_time, asset_id, usage_resource_id, labels, reason, state, record_count,
       error, create_time, created_by, update_time, updated_by, finish_time
  FROM void_runs
 WHERE tenant_id = $1 AND account_id = $2 AND void_run_id = $3;

-- name: list_runs
-- An account's runs, newest first, after the last one seen.
--   $1 tenant_id uuid, $2 account_id text, $3 after_time timestamptz, $4 after_id uuid, $5 limit bigint
SELECT void_run_id, is_dry, start_time, end_time, asset_id, usage_resource_id, labels, reason, state, record_count,
       error, create_time, created_by, update_time, updated_by, finish_time
  FROM void_runs
 WHERE tenant_id = $1 AND account_id = $2
   AND ($3::timestamptz IS NULL OR (create_time, void_run_id) < ($3, $4::uuid))
 ORDER BY create_time DESC, void_run_id DESC
 LIMIT $5;

-- name: next_records
-- The records after the last one seen that match, and the last one that was looked at. A slice looks at a bounded
-- number of records, however few match.
--   $1 tenant_id uuid, $2 account_id text, $3 after_time timestamptz, $4 after_record_id text,
--   $5 end_time timestamptz, $6 asset_id uuid or null, $7 usage_resource_id text or null, $8 labels jsonb or null,
--   $9 created_until timestamptz, $10 limit bigint
WITH scanned AS MATERIALIZED (
    SELECT u.* FROM usage_records AS u
     WHERE u.tenant_id = $1 AND u.account_id = $2 AND u.usage_time > '-infinity' AND u.usage_time >= $3
       AND (u.usage_time, u.record_id) > ($3, $4) AND u.usage_time < $5
     ORDER BY u.usage_time, u.record_id LIMIT $10),
judged AS (
    SELECT s.*, count(*) OVER () AS scanned_count,
           row_number() OVER (ORDER BY s.usage_time, s.record_id) AS position,
           s.state = 'ACTIVE' AND s.create_time <= $9 AND ($6::uuid IS NULL OR s.asset_id = $6)
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

-- name: add_usage
-- Adds a slice to the usage of a run.
--   $1 tenant_id uuid, $2 account_id text, $3 void_run_id uuid, $4 asset_ids uuid[], $5 usage_resource_ids text[],
--   $6 record_counts bigint[], $7 quantities numeric[]
INSERT INTO void_run_usage AS o (tenant_id, account_id, void_run_id, asset_id, usage_resource_id, record_count, quantity)
SELECT $1, $2, $3, u.* FROM unnest($4::uuid[], $5::text[], $6::bigint[], $7::numeric[]) AS u
    ON CONFLICT (tenant_id, account_id, void_run_id, asset_id, usage_resource_id) DO UPDATE
   SET record_count = o.record_count + excluded.record_count, quantity = o.quantity + excluded.quantity;

-- name: add_periods
-- Adds a slice to the periods of a run.
--   $1 tenant_id uuid, $2 account_id text, $3 void_run_id uuid, $4 wallet_ids uuid[], $5 start_times timestamptz[],
--   $6 is_final boolean[], $7 record_counts bigint[]
INSERT INTO void_run_periods AS o (tenant_id, account_id, void_run_id, wallet_id, start_time, is_final, record_count)
SELECT $1, $2, $3, u.* FROM unnest($4::uuid[], $5::timestamptz[], $6::boolean[], $7::bigint[]) AS u
    ON CONFLICT (tenant_id, account_id, void_run_id, wallet_id, start_time) DO UPDATE
   SET record_count = o.record_count + excluded.record_count, is_final = o.is_final OR excluded.is_final;

-- name: save_progress
-- Adds a slice to the number of records.
--   $1 tenant_id uuid, $2 account_id text, $3 void_run_id uuid, $4 record_count bigint
UPDATE void_runs SET record_count = record_count + $4
 WHERE tenant_id = $1 AND account_id = $2 AND void_run_id = $3;

-- name: finish_run
-- The final state, by the database's clock.
--   $1 tenant_id uuid, $2 account_id text, $3 void_run_id uuid, $4 state text, $5 error text
UPDATE void_runs SET state = $4, error = $5, finish_time = clock_timestamp()
 WHERE tenant_id = $1 AND account_id = $2 AND void_run_id = $3 AND state = 'RUNNING';

-- name: list_usage
-- The usage of a run.
--   $1 tenant_id uuid, $2 account_id text, $3 void_run_id uuid, $4 limit bigint
SELECT asset_id, usage_resource_id, record_count, quantity
  FROM void_run_usage
 WHERE tenant_id = $1 AND account_id = $2 AND void_run_id = $3
 ORDER BY asset_id, usage_resource_id LIMIT $4;

-- name: list_periods
-- The rating periods of a run, each from the start of service.
--   $1 tenant_id uuid, $2 account_id text, $3 void_run_id uuid, $4 limit bigint
SELECT v.wallet_id, v.is_final, v.record_count, p.start_time, p.end_time, p.freeze_time, e.time_zone, e.start_date
  FROM void_run_periods AS v
  JOIN rating_periods AS p
    ON p.tenant_id = $1 AND p.account_id = $2 AND p.wallet_id = v.wallet_id AND p.start_time = v.start_time
  JOIN wallets AS w ON w.tenant_id = $1 AND w.account_id = $2 AND w.wallet_id = v.wallet_id
  JOIN entitlement_accounts AS e
    ON e.tenant_id = $1 AND e.account_id = $2 AND e.entitlement_account_id = w.entitlement_account_id
 WHERE v.tenant_id = $1 AND v.account_id = $2 AND v.void_run_id = $3
 ORDER BY v.start_time, v.wallet_id LIMIT $4;
