-- The list of work. Redis only rings the bell; these rows say what is to be done and what became of it.

-- name: add_jobs
-- Ids are derived from what a job is about, so asking twice is asking once. Sorted, so that two who
-- ask for the same jobs wait for each other and never in a circle.
--   $1 tenant_id uuid, $2 job_ids uuid[], $3 kinds text[], $4 ranks smallint[], $5 account_ids text[],
--   $6 payloads jsonb[], $7 fire_times timestamptz[], $8 wait interval
INSERT INTO jobs (tenant_id, job_id, kind, rank, account_id, payload, fire_time, available_time)
SELECT $1, j.job_id, j.kind, j.rank, j.account_id, j.payload, j.fire_time, clock_timestamp() + $8
  FROM unnest($2::uuid[], $3::text[], $4::smallint[], $5::text[], $6::jsonb[], $7::timestamptz[])
       AS j (job_id, kind, rank, account_id, payload, fire_time)
 ORDER BY j.job_id
    ON CONFLICT (tenant_id, job_id) DO NOTHING;

-- name: due_jobs
-- What can be done now, of all tenants: keys only.
--   $1 maximum integer
SELECT tenant_id, job_id FROM due_jobs($1);

-- name: claim_job
-- Counts the attempt and sets the job aside for a while, so that a worker that dies costs an attempt
-- and a pause, and nothing else. A job that somebody works on at this moment is passed over, and so is
-- one of an account that has an earlier one open, whoever has that in hand or lets it rest.
--   $1 tenant_id uuid, $2 job_id uuid, $3 most_attempts integer, $4 kinds text[]
UPDATE jobs
   SET attempts = attempts + 1,
       available_time = clock_timestamp() + make_interval(secs => least(60, 0.2 * 2 ^ attempts)),
       state = CASE WHEN attempts >= $3 THEN 'QUARANTINED' ELSE 'PENDING' END,
       end_time = CASE WHEN attempts >= $3 THEN clock_timestamp() END
 WHERE (tenant_id, job_id) IN (
       SELECT j.tenant_id, j.job_id FROM jobs AS j
        WHERE j.tenant_id = $1 AND j.job_id = $2 AND j.state = 'PENDING' AND j.kind = ANY ($4)
          AND j.available_time <= clock_timestamp()
          AND (j.account_id = '' OR NOT EXISTS (
              SELECT FROM jobs AS o
               WHERE o.tenant_id = $1 AND o.account_id = j.account_id AND o.state = 'PENDING'
                 AND (o.fire_time, o.rank) < (j.fire_time, j.rank)))
          FOR UPDATE SKIP LOCKED)
RETURNING attempts, state;

-- name: lock_job
-- The attempt is still ours only if nobody has claimed the job since.
--   $1 tenant_id uuid, $2 job_id uuid, $3 attempts integer
SELECT kind, account_id, payload, fire_time
  FROM jobs
 WHERE tenant_id = $1 AND job_id = $2 AND attempts = $3 AND state = 'PENDING'
   FOR UPDATE SKIP LOCKED;

-- name: end_job
-- In the transaction of the effect, or in one of its own after a refusal.
--   $1 tenant_id uuid, $2 job_id uuid, $3 attempts integer, $4 state text, $5 error text
UPDATE jobs SET state = $4, error = $5, end_time = clock_timestamp()
 WHERE tenant_id = $1 AND job_id = $2 AND attempts = $3 AND state = 'PENDING';

-- name: note_failure
-- What went wrong last; the job stays to be tried again.
--   $1 tenant_id uuid, $2 job_id uuid, $3 attempts integer, $4 error text
UPDATE jobs SET error = $4
 WHERE tenant_id = $1 AND job_id = $2 AND attempts = $3;

-- name: retry_job
-- Another eight attempts for a job in quarantine.
--   $1 tenant_id uuid, $2 job_id uuid
UPDATE jobs SET state = 'PENDING', attempts = 0, available_time = clock_timestamp(), end_time = NULL
 WHERE tenant_id = $1 AND job_id = $2 AND state = 'QUARANTINED'
RETURNING job_id;

-- name: waive_job
-- Given up for good.
--   $1 tenant_id uuid, $2 job_id uuid
UPDATE jobs SET state = 'WAIVED', end_time = clock_timestamp()
 WHERE tenant_id = $1 AND job_id = $2 AND state = 'QUARANTINED'
RETURNING kind, rank, account_id, payload, fire_time;

-- name: find_job
-- One job as it stands.
--   $1 tenant_id uuid, $2 job_id uuid
SELECT job_id, kind, account_id, state, fire_time, attempts, error, create_time
  FROM jobs
 WHERE tenant_id = $1 AND job_id = $2;

-- name: list_jobs
-- Oldest first, in some states.
--   $1 tenant_id uuid, $2 states text[], $3 after_time timestamptz or null, $4 after_id uuid,
--   $5 limit bigint
SELECT job_id, kind, account_id, state, fire_time, attempts, error, create_time
  FROM jobs
 WHERE tenant_id = $1 AND state = ANY ($2::text[])
   AND ($3::timestamptz IS NULL OR (create_time, job_id) > ($3, $4::uuid))
 ORDER BY create_time, job_id LIMIT $5;
