-- Rating batches: created, locked and rated once, read.

-- name: add_request
-- A batch begins as pending.
--   $1 tenant_id uuid, $2 account_id text, $3 rating_batch_id uuid, $4 skips_waterfall boolean,
--   $5 lines jsonb
INSERT INTO rating_batches (tenant_id, account_id, rating_batch_id, skips_waterfall, lines)
VALUES ($1, $2, $3, $4, $5);

-- name: lock_request
-- The lock prevents two workers from rating one batch.
--   $1 tenant_id uuid, $2 account_id text, $3 rating_batch_id uuid
SELECT rating_batch_id FROM rating_batches
 WHERE tenant_id = $1 AND account_id = $2 AND rating_batch_id = $3 AND state = 'PENDING'
   FOR UPDATE;

-- name: get_request
-- One batch with its lines and results.
--   $1 tenant_id uuid, $2 account_id text, $3 rating_batch_id uuid
SELECT rating_batch_id, state, skips_waterfall, lines, results, error_code, error_text,
       create_time, created_by, update_time, updated_by, rate_time
  FROM rating_batches
 WHERE tenant_id = $1 AND account_id = $2 AND rating_batch_id = $3;

-- name: list_requests
-- An account's batches, newest first, after the last one seen; without lines and results, which may be large.
--   $1 tenant_id uuid, $2 account_id text, $3 after_time timestamptz, $4 after_id uuid, $5 limit bigint
SELECT rating_batch_id, state, skips_waterfall, NULL::jsonb AS lines, NULL::jsonb AS results, error_code,
       error_text, create_time, created_by, update_time, updated_by, rate_time
  FROM rating_batches
 WHERE tenant_id = $1 AND account_id = $2
   AND ($3::timestamptz IS NULL OR (create_time, rating_batch_id) < ($3, $4::uuid))
 ORDER BY create_time DESC, rating_batch_id DESC
 LIMIT $5;

-- name: finish_request
-- The final state and the results.
--   $1 tenant_id uuid, $2 account_id text, $3 rating_batch_id uuid, $4 state text, $5 results jsonb,
--   $6 error_code text, $7 error_text text
UPDATE rating_batches
   SET state = $4, results = $5, error_code = $6, error_text = $7, rate_time = tenant_now($1)
 WHERE tenant_id = $1 AND account_id = $2 AND rating_batch_id = $3 AND state = 'PENDING';
