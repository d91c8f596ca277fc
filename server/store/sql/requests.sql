-- Answered requests and their answers.

-- name: lock_request
-- Calls with one id run one after the other; the second finds the answer of the first.
--   $1 tenant_id uuid, $2 account_id text, $3 request_id text
SELECT pg_advisory_xact_lock(hashtextextended($1::uuid::text || '/' || $2::text || '/' || $3::text, 0));

-- name: find_request
-- The request with that id, whatever its method and body.
--   $1 tenant_id uuid, $2 account_id text, $3 request_id text
SELECT method, fingerprint, fields, response
  FROM request_log
 WHERE tenant_id = $1 AND account_id = $2 AND request_id = $3;

-- name: keep_request
-- Commits with the effect of the request. The table's key is a second guard behind the lock.
--   $1 tenant_id uuid, $2 account_id text, $3 request_id text, $4 method text, $5 fingerprint bytea,
--   $6 fields jsonb, $7 response bytea
INSERT INTO request_log (tenant_id, account_id, request_id, method, fingerprint, fields, response)
VALUES ($1, $2, $3, $4, $5, $6, $7);

-- name: old_request_tenants
-- The tenants with answers older than this.
--   $1 kept interval
SELECT tenant_id FROM tenants_with_old_requests(statement_timestamp() - $1::interval);

-- name: delete_old_requests
-- Some of the answers older than this. An answer is never changed, so no lock is needed.
--   $1 tenant_id uuid, $2 kept interval, $3 at_most integer
DELETE FROM request_log
 WHERE tenant_id = $1 AND (account_id, request_id) IN (
       SELECT account_id, request_id FROM request_log
        WHERE tenant_id = $1 AND create_time < statement_timestamp() - $2::interval
        ORDER BY create_time LIMIT $3);
