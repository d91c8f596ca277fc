-- Rating periods: they separate recording from settlement.

-- name: open_periods
-- Opens the missing periods and returns them; those of tokens and of spend, and of wallets to which grants move, are
-- closed after the others. A period is never frozen later than a following one, because the periods of a wallet are
-- closed in time order.
--   $1 tenant_id uuid, $2 account_ids text[], $3 wallet_ids uuid[], $4 start_times timestamptz[],
--   $5 end_times timestamptz[], $6 freeze_times timestamptz[]
WITH opened AS (
INSERT INTO rating_periods (tenant_id, account_id, wallet_id, start_time, end_time, freeze_time)
SELECT $1, p.account_id, p.wallet_id, p.start_time, p.end_time, least(p.freeze_time, (
       SELECT min(l.freeze_time) FROM rating_periods AS l
        WHERE l.tenant_id = $1 AND l.account_id = p.account_id AND l.wallet_id = p.wallet_id
          AND l.start_time > p.start_time AND l.state = 'OPEN'))
  FROM unnest($2::text[], $3::uuid[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[])
       AS p (account_id, wallet_id, start_time, end_time, freeze_time)
 ORDER BY p.account_id COLLATE "C", p.wallet_id, p.start_time
    ON CONFLICT (tenant_id, account_id, wallet_id, start_time) DO NOTHING
RETURNING account_id, wallet_id, start_time, freeze_time)
SELECT o.account_id, o.wallet_id, o.start_time, o.freeze_time, EXISTS (
       SELECT FROM wallets AS w
         JOIN usage_resources AS u ON u.tenant_id = $1 AND u.usage_resource_id = w.usage_resource_id
        WHERE w.tenant_id = $1 AND w.account_id = o.account_id AND w.wallet_id = o.wallet_id
          AND u.category <> 'USAGE') OR EXISTS (
       SELECT FROM asset_resources AS h
        WHERE h.tenant_id = $1 AND h.account_id = o.account_id AND h.wallet_id = o.wallet_id
          AND h.former_wallet_id IS NOT NULL) AS is_follower
  FROM opened AS o
 ORDER BY o.account_id, o.wallet_id, o.start_time;

-- name: open_of_wallet
-- The open periods of a wallet.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid
SELECT p.account_id, p.wallet_id, p.start_time, p.freeze_time, EXISTS (
       SELECT FROM wallets AS w
         JOIN usage_resources AS u ON u.tenant_id = $1 AND u.usage_resource_id = w.usage_resource_id
        WHERE w.tenant_id = $1 AND w.account_id = $2 AND w.wallet_id = $3
          AND u.category <> 'USAGE') OR EXISTS (
       SELECT FROM asset_resources AS h
        WHERE h.tenant_id = $1 AND h.account_id = $2 AND h.wallet_id = $3
          AND h.former_wallet_id IS NOT NULL) AS is_follower
  FROM rating_periods AS p
 WHERE p.tenant_id = $1 AND p.account_id = $2 AND p.wallet_id = $3 AND p.state <> 'FINAL'
 ORDER BY p.start_time;

-- name: existing
-- The periods of a wallet in which new rates apply, open or final.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid, $4 at timestamptz
SELECT p.start_time, p.end_time
  FROM rating_periods AS p
 WHERE p.tenant_id = $1 AND p.account_id = $2 AND p.wallet_id = $3 AND p.end_time > $4
 ORDER BY p.start_time;

-- name: lock_period
-- Waits for all active recordings into the period; later ones find it closed. A correction may refer to it
-- meanwhile: it holds the lock of the wallet, for which the close waits next.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid, $4 start_time timestamptz
SELECT start_time, end_time, state
  FROM rating_periods
 WHERE tenant_id = $1 AND account_id = $2 AND wallet_id = $3 AND start_time = $4
   FOR NO KEY UPDATE;

-- name: closed_ends
-- The end of the last final period of each wallet.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_ids uuid[]
SELECT k.wallet_id, f.end_time
  FROM unnest($3::uuid[]) AS k (wallet_id)
 CROSS JOIN LATERAL (
       SELECT p.end_time FROM rating_periods AS p
        WHERE p.tenant_id = $1 AND p.account_id = $2 AND p.wallet_id = k.wallet_id AND p.state = 'FINAL'
        ORDER BY p.start_time DESC LIMIT 1) AS f;

-- name: final_sizes
-- The final periods of a wallet since a time, with the number of their cells.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid, $4 since timestamptz
SELECT p.start_time, c.cells
  FROM (SELECT o.start_time FROM rating_periods AS o
         WHERE o.tenant_id = $1 AND o.account_id = $2 AND o.wallet_id = $3 AND o.start_time >= $4
           AND o.state = 'FINAL'
         ORDER BY o.start_time OFFSET 0) AS p
 CROSS JOIN LATERAL (
       SELECT count(*) AS cells FROM usage_summaries AS s
        WHERE s.tenant_id = $1 AND s.account_id = $2 AND s.wallet_id = $3
          AND s.period_start_time = p.start_time AND s.period_start_time > '-infinity') AS c
 ORDER BY p.start_time;

-- name: first_final
-- The first final period of each wallet that ends after a time.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_ids uuid[], $4 at timestamptz
SELECT k.wallet_id, f.start_time
  FROM unnest($3::uuid[]) AS k (wallet_id)
 CROSS JOIN LATERAL (
       SELECT p.start_time FROM rating_periods AS p
        WHERE p.tenant_id = $1 AND p.account_id = $2 AND p.wallet_id = k.wallet_id AND p.state = 'FINAL'
          AND p.end_time > $4
        ORDER BY p.start_time LIMIT 1) AS f
 ORDER BY k.wallet_id;

-- name: share_open
-- Locks the periods of some wallets that are open after a time against their close, not against recording: a close
-- before is seen by what reads next, and a later one sees what this transaction changes.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_ids uuid[], $4 at timestamptz
SELECT wallet_id, start_time
  FROM rating_periods
 WHERE tenant_id = $1 AND account_id = $2 AND wallet_id = ANY ($3::uuid[]) AND state = 'OPEN' AND end_time > $4
 ORDER BY wallet_id, start_time
   FOR SHARE;

-- name: first_unsettled
-- The periods of a wallet become final in time order.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid, $4 before timestamptz
SELECT start_time
  FROM rating_periods
 WHERE tenant_id = $1 AND account_id = $2 AND wallet_id = $3 AND start_time < $4 AND state <> 'FINAL'
 ORDER BY start_time LIMIT 1;

-- name: first_unsettled_source
-- Wallets that are rated in tokens are settled before the token wallet, and those from which grants move before the
-- wallet to which they move. What moves at the end of a period is drawn after it, so no later period has to be settled.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid, $4 before timestamptz
SELECT min(p.start_time)
  FROM (SELECT h.wallet_id, $4::timestamptz - interval '1 microsecond' AS through FROM asset_resources AS h
         WHERE h.tenant_id = $1 AND h.account_id = $2 AND h.token_wallet_id = $3
         UNION ALL
        SELECT h.former_wallet_id, least(h.moved_time, $4 - interval '1 microsecond') FROM asset_resources AS h
         WHERE h.tenant_id = $1 AND h.account_id = $2 AND h.wallet_id = $3 AND h.former_wallet_id IS NOT NULL
           AND h.bound_time < $4) AS s
 CROSS JOIN LATERAL (
       SELECT o.start_time FROM rating_periods AS o
        WHERE o.tenant_id = $1 AND o.account_id = $2 AND o.wallet_id = s.wallet_id AND o.start_time <= s.through
          AND o.state <> 'FINAL'
        ORDER BY o.start_time LIMIT 1) AS p;

-- name: lock_open
-- Locks the periods of some wallets that are open after a time against recording and their close.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_ids uuid[], $4 at timestamptz
SELECT wallet_id, start_time, end_time, freeze_time
  FROM rating_periods
 WHERE tenant_id = $1 AND account_id = $2 AND wallet_id = ANY ($3::uuid[]) AND state = 'OPEN' AND end_time > $4
 ORDER BY wallet_id, start_time
   FOR NO KEY UPDATE;

-- name: mark_moved
-- Usage of the open periods of some wallets after a time may be elsewhere now.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_ids uuid[], $4 at timestamptz
UPDATE rating_periods SET has_moved = true
 WHERE tenant_id = $1 AND account_id = $2 AND wallet_id = ANY ($3::uuid[]) AND state = 'OPEN' AND end_time > $4;

-- name: finish_period
-- The period is drawn down, rated and written; nothing in it changes any more.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid, $4 start_time timestamptz
UPDATE rating_periods SET state = 'FINAL', final_time = clock_timestamp()
 WHERE tenant_id = $1 AND account_id = $2 AND wallet_id = $3 AND start_time = $4;
