-- Final rating periods that are not as they were settled: what was recorded since, and the job that takes it in.

-- name: share_late
-- Whoever changes final usage holds this lock together; a correction waits for all of them.
--   $1 wallet_keys bigint[]
SELECT count(pg_advisory_xact_lock_shared(k.key))
  FROM (SELECT DISTINCT key FROM unnest($1::bigint[]) AS w (key) ORDER BY key) AS k;

-- name: take_late
-- A correction holds this lock alone, so that it sees everything that was changed and nothing changes meanwhile.
--   $1 wallet_keys bigint[]
SELECT count(pg_advisory_xact_lock(k.key))
  FROM (SELECT DISTINCT key FROM unnest($1::bigint[]) AS w (key) ORDER BY key) AS k;

-- name: missing_periods
-- The periods of some keys that do not exist, with the start of the first later one and the calendar.
--   $1 tenant_id uuid, $2 account_ids text[], $3 wallet_ids uuid[], $4 start_times timestamptz[]
SELECT k.account_id, k.wallet_id, k.start_time, e.time_zone, e.anchor_date, w.rating_period,
       (SELECT p.start_time FROM rating_periods AS p
         WHERE p.tenant_id = $1 AND p.account_id = k.account_id AND p.wallet_id = k.wallet_id
           AND p.start_time > k.start_time
         ORDER BY p.start_time LIMIT 1) AS next_start_time
  FROM unnest($2::text[], $3::uuid[], $4::timestamptz[]) AS k (account_id, wallet_id, start_time)
 CROSS JOIN LATERAL (
       SELECT o.* FROM wallets AS o
        WHERE o.tenant_id = $1 AND o.account_id = k.account_id AND o.wallet_id = k.wallet_id LIMIT 1) AS w
 CROSS JOIN LATERAL (
       SELECT o.* FROM entitlement_accounts AS o
        WHERE o.tenant_id = $1 AND o.account_id = k.account_id
          AND o.entitlement_account_id = w.entitlement_account_id LIMIT 1) AS e
 WHERE NOT EXISTS (
       SELECT FROM rating_periods AS p
        WHERE p.tenant_id = $1 AND p.account_id = k.account_id AND p.wallet_id = k.wallet_id
          AND p.start_time = k.start_time)
 ORDER BY k.account_id COLLATE "C", k.wallet_id, k.start_time;

-- name: add_final_periods
-- Periods before a final one that nothing has opened: they are final at once.
--   $1 tenant_id uuid, $2 account_ids text[], $3 wallet_ids uuid[], $4 start_times timestamptz[],
--   $5 end_times timestamptz[], $6 now timestamptz
INSERT INTO rating_periods (tenant_id, account_id, wallet_id, start_time, end_time, freeze_time, state, final_time)
SELECT $1, p.account_id, p.wallet_id, p.start_time, p.end_time, $6, 'FINAL', clock_timestamp()
  FROM unnest($2::text[], $3::uuid[], $4::timestamptz[], $5::timestamptz[])
       AS p (account_id, wallet_id, start_time, end_time)
 ORDER BY p.account_id COLLATE "C", p.wallet_id, p.start_time
    ON CONFLICT (tenant_id, account_id, wallet_id, start_time) DO NOTHING;

-- name: mark
-- The lock on late usage is held.
--   $1 tenant_id uuid, $2 account_ids text[], $3 wallet_ids uuid[], $4 start_times timestamptz[], $5 cause text
INSERT INTO pending_corrections (tenant_id, account_id, wallet_id, start_time, cause)
SELECT $1, k.account_id, k.wallet_id, k.start_time, $5
  FROM unnest($2::text[], $3::uuid[], $4::timestamptz[]) AS k (account_id, wallet_id, start_time)
 ORDER BY k.account_id COLLATE "C", k.wallet_id, k.start_time
    ON CONFLICT DO NOTHING;

-- name: correction_counts
-- The number of corrections of each wallet so far.
--   $1 tenant_id uuid, $2 account_ids text[], $3 wallet_ids uuid[]
SELECT k.account_id, k.wallet_id, w.correction_count
  FROM unnest($2::text[], $3::uuid[]) AS k (account_id, wallet_id)
 CROSS JOIN LATERAL (
       SELECT o.correction_count FROM wallets AS o
        WHERE o.tenant_id = $1 AND o.account_id = k.account_id AND o.wallet_id = k.wallet_id LIMIT 1) AS w
 ORDER BY k.account_id COLLATE "C", k.wallet_id;

-- name: lock_jobs
-- In the order of their keys, so that two calls cannot deadlock.
--   $1 tenant_id uuid, $2 account_id text, $3 kind text
SELECT (payload ->> 'wallet_id')::uuid AS wallet_id FROM jobs
 WHERE tenant_id = $1 AND account_id = $2 AND account_id <> '' AND state = 'PENDING' AND kind = $3
 ORDER BY job_id
   FOR UPDATE;

-- name: move_jobs
-- The attempts are forgotten, so that one that is under way cannot end the job: no attempt has the number 0.
--   $1 tenant_id uuid, $2 account_id text, $3 kind text, $4 wallet_ids uuid[], $5 fire_times timestamptz[]
UPDATE jobs AS j SET fire_time = m.fire_time, available_time = NULL, attempts = 0
  FROM unnest($4::uuid[], $5::timestamptz[]) AS m (wallet_id, fire_time)
 WHERE j.tenant_id = $1 AND j.account_id = $2 AND j.account_id <> '' AND j.state = 'PENDING' AND j.kind = $3
   AND (j.payload ->> 'wallet_id')::uuid = m.wallet_id;

-- name: take
-- What is pending for some wallets. The caller holds their locks.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_ids uuid[]
DELETE FROM pending_corrections
 WHERE tenant_id = $1 AND account_id = $2 AND wallet_id = ANY ($3::uuid[])
RETURNING wallet_id, start_time, cause;

-- name: first
-- The first period of a wallet that waits for a correction.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid
SELECT min(start_time) FROM pending_corrections WHERE tenant_id = $1 AND account_id = $2 AND wallet_id = $3;

-- name: group_of
-- The settlement group of a wallet: all wallets of its account that are connected by tokens or moves, those first that
-- others depend on.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid
WITH RECURSIVE pairs AS MATERIALIZED (
    SELECT wallet_id, token_wallet_id AS next_id, true AS is_token FROM asset_resources
     WHERE tenant_id = $1 AND account_id = $2 AND token_wallet_id IS NOT NULL
     UNION
    SELECT former_wallet_id, wallet_id, false FROM asset_resources
     WHERE tenant_id = $1 AND account_id = $2 AND former_wallet_id IS NOT NULL),
members AS (
    SELECT $3::uuid AS wallet_id
    UNION
    SELECT CASE WHEN p.wallet_id = m.wallet_id THEN p.next_id ELSE p.wallet_id END
      FROM members AS m JOIN pairs AS p ON m.wallet_id IN (p.wallet_id, p.next_id))
SELECT m.wallet_id
  FROM members AS m
 ORDER BY EXISTS (SELECT FROM pairs AS p WHERE p.next_id = m.wallet_id AND p.is_token),
          EXISTS (SELECT FROM pairs AS p WHERE p.next_id = m.wallet_id), m.wallet_id;
