-- Runs and their progress.

-- name: add_run
-- One active run of a kind: a constraint refuses the second.
--   $1 tenant_id uuid, $2 run_id uuid, $3 kind text, $4 start_time timestamptz, $5 target_time timestamptz
INSERT INTO runs (tenant_id, run_id, kind, state, start_time, target_time)
VALUES ($1, $2, $3, 'RUNNING', $4, $5);

-- name: running
-- The active run of a kind.
--   $1 tenant_id uuid, $2 kind text
SELECT run_id FROM runs WHERE tenant_id = $1 AND kind = $2 AND state = 'RUNNING';

-- name: find_run
-- One run, with the tenant's clock.
--   $1 tenant_id uuid, $2 run_id uuid
SELECT run_id, kind, state, start_time, target_time, done_counts, error, failed_job_id,
       create_time, created_by, update_time, updated_by,
       end_time, tenant_now(tenant_id) AS clock_time
  FROM runs
 WHERE tenant_id = $1 AND run_id = $2;

-- name: list_runs
-- Newest first.
--   $1 tenant_id uuid, $2 before_time timestamptz or null, $3 before_id uuid, $4 limit bigint
SELECT run_id, kind, state, start_time, target_time, done_counts, error, failed_job_id,
       create_time, created_by, update_time, updated_by,
       end_time, tenant_now(tenant_id) AS clock_time
  FROM runs
 WHERE tenant_id = $1 AND ($2::timestamptz IS NULL OR (create_time, run_id) < ($2, $3::uuid))
 ORDER BY create_time DESC, run_id DESC LIMIT $4;

-- name: save_counts
-- The progress of a run.
--   $1 tenant_id uuid, $2 run_id uuid, $3 done_counts jsonb
UPDATE runs SET done_counts = $3 WHERE tenant_id = $1 AND run_id = $2;

-- name: end_run
-- Done, or failed with the job that blocked it.
--   $1 tenant_id uuid, $2 run_id uuid, $3 state text, $4 error text, $5 failed_job_id uuid
UPDATE runs SET state = $3, error = $4, failed_job_id = $5, end_time = clock_timestamp(),
       done_counts = coalesce((SELECT jsonb_object_agg(d.kind, d.n) FROM (
           SELECT j.kind, count(*) AS n FROM jobs AS j
            WHERE j.tenant_id = $1 AND j.state IN ('DONE', 'WAIVED') AND j.state = 'DONE'
              AND j.end_time >= runs.create_time
              AND j.kind <> 'advance_clock'
            GROUP BY j.kind) AS d), '{}')
 WHERE tenant_id = $1 AND run_id = $2 AND state = 'RUNNING';

-- name: next_due
-- The time of the next pending job at or before the target.
--   $1 tenant_id uuid, $2 until timestamptz
SELECT least(
       (SELECT min(fire_time) FROM jobs
         WHERE tenant_id = $1 AND state = 'PENDING' AND available_time IS NULL AND fire_time <= $2
           AND kind <> 'advance_clock'),
       (SELECT min(fire_time) FROM jobs
         WHERE tenant_id = $1 AND state = 'PENDING' AND available_time IS NOT NULL AND fire_time <= $2
           AND kind <> 'advance_clock'));

-- name: stuck_job
-- A due job that blocks the run: it is quarantined, or was refused. A refused job about a wallet blocks however
-- long ago it was refused; other refusals block only the run in which they happened.
--   $1 tenant_id uuid, $2 clock_time timestamptz, $3 since timestamptz
SELECT job_id, kind, state, error FROM jobs
 WHERE tenant_id = $1 AND state IN ('QUARANTINED', 'FAILED') AND fire_time <= $2
   AND (state = 'QUARANTINED' OR kind IN ('close_period', 'refresh_grants') OR end_time >= $3)
 ORDER BY fire_time, rank, job_id LIMIT 1;
