-- Jobs. These rows hold the work and its outcome; Redis only carries signals.

-- name: add_jobs
-- Ids are derived from the subject of a job, so adding a job twice has no effect. Sorted, so that concurrent
-- transactions that add the same jobs cannot deadlock.
--   $1 tenant_id uuid, $2 job_ids uuid[], $3 kinds text[], $4 ranks smallint[], $5 account_ids text[],
--   $6 payloads jsonb[], $7 fire_times timestamptz[], $8 wait interval or null
INSERT INTO jobs (tenant_id, job_id, kind, rank, account_id, payload, fire_time, available_time)
SELECT $1, j.job_id, j.kind, j.rank, j.account_id, j.payload, j.fire_time, clock_timestamp() + $8::interval
  FROM unnest($2::uuid[], $3::text[], $4::smallint[], $5::text[], $6::jsonb[], $7::timestamptz[])
       AS j (job_id, kind, rank, account_id, payload, fire_time)
 ORDER BY j.job_id
    ON CONFLICT (tenant_id, job_id) DO NOTHING;

-- name: due_tenants
-- The tenants with a due job of one of these kinds.
--   $1 kinds text[]
SELECT tenant_id FROM tenants_with_due_jobs($1);

-- name: plan_by_index
-- Runs before a claim, so that its statement uses the indexes made for it, whatever the statistics are. The
-- statistics do not include recent jobs, and a plan based on them reads all jobs of the tenant.
SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true),
       set_config('enable_sort', 'off', true), set_config('enable_hashjoin', 'off', true),
       set_config('enable_mergejoin', 'off', true), set_config('jit', 'off', true);

-- name: claim_jobs
-- Counts an attempt at some due jobs and hides them for a while, so that the crash of a worker costs only an
-- attempt and a pause. Jobs that were already attempted come first, then the oldest. Jobs whose pause has ended
-- are found by its end, so that paused and claimed jobs are not read. A job of an account waits for all earlier
-- jobs of the account, even if these are claimed or paused. A job that moves the clock waits for all due jobs
-- before it. Jobs about no account do not wait for others.
--   $1 tenant_id uuid, $2 kinds text[], $3 most_jobs integer, $4 most_attempts integer
WITH clock AS MATERIALIZED (
    SELECT coalesce(clock_time, statement_timestamp()) AS now FROM tenants WHERE tenant_id = $1),
due AS MATERIALIZED (
    (SELECT j.job_id, j.account_id, j.fire_time, j.rank, j.kind FROM jobs AS j
      WHERE j.tenant_id = $1 AND j.state = 'PENDING' AND j.available_time IS NOT NULL
        AND j.available_time <= statement_timestamp() AND j.kind = ANY ($2)
        AND j.fire_time <= (SELECT now FROM clock)
        AND CASE WHEN j.account_id <> '' THEN (
                SELECT true FROM jobs AS o
                 WHERE o.tenant_id = $1 AND o.account_id = j.account_id AND o.account_id <> ''
                   AND o.state = 'PENDING' AND (o.fire_time, o.rank) < (j.fire_time, j.rank)
                 ORDER BY o.fire_time, o.rank LIMIT 1) END IS NULL
      ORDER BY j.available_time LIMIT 4 * $3)
    UNION ALL
    (SELECT j.job_id, j.account_id, j.fire_time, j.rank, j.kind FROM jobs AS j
      WHERE j.tenant_id = $1 AND j.state = 'PENDING' AND j.available_time IS NULL AND j.kind = ANY ($2)
        AND j.fire_time <= (SELECT now FROM clock)
        AND CASE WHEN j.account_id <> '' THEN (
                SELECT true FROM jobs AS o
                 WHERE o.tenant_id = $1 AND o.account_id = j.account_id AND o.account_id <> ''
                   AND o.state = 'PENDING' AND (o.fire_time, o.rank) < (j.fire_time, j.rank)
                 ORDER BY o.fire_time, o.rank LIMIT 1) END IS NULL
      ORDER BY j.fire_time, j.rank, j.job_id LIMIT 4 * $3)),
-- Locked by key and checked again, because another worker may have claimed it a moment ago.
taken AS MATERIALIZED (
    SELECT l.job_id
      FROM due AS d
     CROSS JOIN LATERAL (
           SELECT j.job_id FROM jobs AS j
            WHERE j.tenant_id = $1 AND j.job_id = d.job_id AND j.state = 'PENDING'
              AND (j.available_time IS NULL OR j.available_time <= statement_timestamp())
              FOR UPDATE SKIP LOCKED) AS l
     WHERE d.kind <> 'advance_clock' OR (
            SELECT true FROM jobs AS o
             WHERE o.tenant_id = $1 AND o.state = 'PENDING' AND o.available_time IS NULL
               AND (o.fire_time, o.rank) < (d.fire_time, d.rank)
             ORDER BY o.fire_time, o.rank, o.job_id LIMIT 1) IS NULL AND (
            SELECT true FROM jobs AS o
             WHERE o.tenant_id = $1 AND o.state = 'PENDING' AND o.available_time IS NOT NULL
               AND (o.fire_time, o.rank) < (d.fire_time, d.rank)
             ORDER BY o.available_time LIMIT 1) IS NULL
     LIMIT $3)
UPDATE jobs AS j
   SET attempts = j.attempts + 1,
       available_time = clock_timestamp() + make_interval(secs => least(60, 10.0 * 2 ^ j.attempts)),
       state = CASE WHEN j.attempts >= $4 THEN 'QUARANTINED' ELSE 'PENDING' END,
       end_time = CASE WHEN j.attempts >= $4 THEN clock_timestamp() END
 WHERE j.tenant_id = $1 AND j.job_id = ANY (ARRAY (SELECT job_id FROM taken))
RETURNING j.job_id, j.attempts, j.state;

-- name: give_back
-- Jobs that were claimed and not begun: the attempt is not counted, and any worker may claim them at once.
--   $1 tenant_id uuid, $2 job_ids uuid[], $3 attempts integer[]
UPDATE jobs AS j SET attempts = j.attempts - 1, available_time = NULL
  FROM unnest($2::uuid[], $3::integer[]) AS c (job_id, attempts)
 WHERE j.tenant_id = $1 AND j.job_id = c.job_id AND j.job_id = ANY ($2::uuid[])
   AND j.attempts = c.attempts AND j.state = 'PENDING';

-- name: lock_job
-- The attempt is valid only if no other worker has claimed the job since.
--   $1 tenant_id uuid, $2 job_id uuid, $3 attempts integer
SELECT kind, rank, account_id, payload, fire_time
  FROM jobs
 WHERE tenant_id = $1 AND job_id = $2 AND attempts = $3 AND state = 'PENDING'
   FOR UPDATE SKIP LOCKED;

-- name: end_job
-- In the transaction of the effect, or in a transaction of its own after a refusal.
--   $1 tenant_id uuid, $2 job_id uuid, $3 attempts integer, $4 state text, $5 error text
UPDATE jobs SET state = $4, error = $5, end_time = clock_timestamp()
 WHERE tenant_id = $1 AND job_id = $2 AND attempts = $3 AND state = 'PENDING';

-- name: note_failure
-- The last error; the pause before the next attempt grows each time.
--   $1 tenant_id uuid, $2 job_id uuid, $3 attempts integer, $4 error text
UPDATE jobs
   SET error = $4, available_time = clock_timestamp() + make_interval(secs => least(60, 0.1 * 2 ^ attempts))
 WHERE tenant_id = $1 AND job_id = $2 AND attempts = $3 AND state = 'PENDING';

-- name: retry_job
-- Eight new attempts for a refused or quarantined job, and for the quarantined jobs of its account that came
-- after it. A waived close or correction may be retried too: until then its wallet is not billed, or not corrected.
--   $1 tenant_id uuid, $2 job_id uuid
WITH stopped AS (
    SELECT job_id, account_id, fire_time FROM jobs
     WHERE tenant_id = $1 AND job_id = $2
       AND (state IN ('FAILED', 'QUARANTINED')
            OR state = 'WAIVED' AND kind IN ('close_period', 'correct_usage'))
       FOR UPDATE)
UPDATE jobs AS j SET state = 'PENDING', attempts = 0, available_time = NULL, end_time = NULL
  FROM stopped AS s
 WHERE j.tenant_id = $1 AND j.state IN ('FAILED', 'QUARANTINED', 'WAIVED')
   AND (j.job_id = s.job_id OR (j.account_id = s.account_id AND j.account_id <> '' AND j.state = 'QUARANTINED'
        AND j.fire_time >= s.fire_time AND j.error LIKE 'PREVIOUS_PERIOD_OPEN: %'))
RETURNING j.job_id;

-- name: waive_job
-- The job is not tried again.
--   $1 tenant_id uuid, $2 job_id uuid
UPDATE jobs SET state = 'WAIVED', end_time = clock_timestamp()
 WHERE tenant_id = $1 AND job_id = $2 AND state IN ('FAILED', 'QUARANTINED')
RETURNING kind, rank, account_id, payload, fire_time;

-- name: find_job
-- One job with its state.
--   $1 tenant_id uuid, $2 job_id uuid
SELECT job_id, kind, account_id, state, fire_time, attempts, error, create_time, created_by, update_time, updated_by
  FROM jobs
 WHERE tenant_id = $1 AND job_id = $2;

-- name: find_jobs
-- Some jobs with their states.
--   $1 tenant_id uuid, $2 job_ids uuid[]
SELECT job_id, kind, account_id, state, fire_time, attempts, error, create_time, created_by, update_time, updated_by
  FROM jobs
 WHERE tenant_id = $1 AND job_id = ANY ($2::uuid[])
 ORDER BY job_id;

-- name: list_jobs
-- Oldest first, in some states.
--   $1 tenant_id uuid, $2 states text[], $3 after_time timestamptz or null, $4 after_id uuid,
--   $5 limit bigint
SELECT job_id, kind, account_id, state, fire_time, attempts, error, create_time, created_by, update_time, updated_by
  FROM jobs
 WHERE tenant_id = $1 AND state = ANY ($2::text[])
   AND ($3::timestamptz IS NULL OR (create_time, job_id) > ($3, $4::uuid))
 ORDER BY create_time, job_id LIMIT $5;

-- name: ended_tenants
-- The tenants with jobs that ended longer ago than this.
--   $1 kept interval
SELECT tenant_id FROM tenants_with_ended_jobs(statement_timestamp() - $1::interval);

-- name: forget_ended
-- Some of the jobs that were done or waived long ago. Jobs that an active run counts are not deleted, nor
-- waived closes and corrections, because they may be retried.
--   $1 tenant_id uuid, $2 kept interval, $3 most integer
DELETE FROM jobs
 WHERE tenant_id = $1 AND job_id = ANY (ARRAY (
       SELECT job_id FROM jobs
        WHERE tenant_id = $1 AND state IN ('DONE', 'WAIVED')
          AND (state = 'DONE' OR kind NOT IN ('close_period', 'correct_usage'))
          AND end_time < least(statement_timestamp() - $2::interval, (
              SELECT min(create_time) FROM runs WHERE tenant_id = $1 AND state = 'RUNNING'))
        ORDER BY end_time LIMIT $3
          FOR UPDATE SKIP LOCKED));
