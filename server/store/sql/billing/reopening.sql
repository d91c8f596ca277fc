-- Periods that late usage reopens: the effects of their close are undone, and the next close writes them again.

-- name: final_periods
-- The final ones of some periods; nothing is locked.
--   $1 tenant_id uuid, $2 account_ids text[], $3 wallet_ids uuid[], $4 start_times timestamptz[]
SELECT p.account_id, p.wallet_id, p.start_time
  FROM unnest($2::text[], $3::uuid[], $4::timestamptz[]) AS k (account_id, wallet_id, start_time)
 CROSS JOIN LATERAL (
       SELECT r.account_id, r.wallet_id, r.start_time FROM rating_periods AS r
        WHERE r.tenant_id = $1 AND r.account_id = k.account_id AND r.wallet_id = k.wallet_id
          AND r.start_time = k.start_time AND r.state = 'FINAL' LIMIT 1) AS p
 ORDER BY p.account_id, p.wallet_id, p.start_time;

-- name: reopenable
-- The final periods that no later final period of their target follows, and that are in no invoice.
--   $1 tenant_id uuid, $2 account_ids text[], $3 wallet_ids uuid[], $4 start_times timestamptz[]
SELECT p.account_id, p.wallet_id, p.start_time, p.end_time, p.reopen_count,
       (SELECT min(n.freeze_time) FROM rating_periods AS n
         WHERE n.tenant_id = $1 AND n.account_id = p.account_id AND n.wallet_id = p.wallet_id
           AND n.start_time > p.start_time) AS next_freeze_time
  FROM unnest($2::text[], $3::uuid[], $4::timestamptz[]) AS k (account_id, wallet_id, start_time)
  JOIN rating_periods AS p
    ON p.tenant_id = $1 AND p.account_id = k.account_id AND p.wallet_id = k.wallet_id
   AND p.start_time = k.start_time AND p.state = 'FINAL'
 WHERE NOT EXISTS (
       SELECT FROM wallets AS w
         JOIN wallets AS o ON o.tenant_id = $1 AND o.account_id = w.account_id
          AND o.entitlement_account_id = w.entitlement_account_id
         JOIN rating_periods AS l ON l.tenant_id = $1 AND l.account_id = o.account_id
          AND l.wallet_id = o.wallet_id AND l.start_time > k.start_time AND l.state <> 'OPEN'
        WHERE w.tenant_id = $1 AND w.account_id = k.account_id AND w.wallet_id = k.wallet_id)
   AND NOT EXISTS (
       SELECT FROM liable_summaries AS i
        WHERE i.tenant_id = $1 AND i.account_id = k.account_id AND i.wallet_id = k.wallet_id
          AND i.start_time < p.end_time AND i.end_time > p.start_time AND i.start_time > '-infinity'
          AND i.state = 'INVOICED')
 ORDER BY p.account_id, p.wallet_id, p.start_time;

-- name: has_final_follower
-- True if a later period of the wallet became final in the meantime.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid, $4 start_time timestamptz
SELECT EXISTS (SELECT FROM rating_periods
                WHERE tenant_id = $1 AND account_id = $2 AND wallet_id = $3 AND start_time > $4
                  AND state <> 'OPEN');

-- name: lock_billed
-- True if an invoice has one of the lines of a billing period, which are locked.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid, $4 billing_end_time timestamptz
WITH locked AS (
    SELECT state FROM liable_summaries
     WHERE tenant_id = $1 AND account_id = $2 AND wallet_id = $3 AND end_time = $4
     ORDER BY liable_summary_id FOR UPDATE)
SELECT coalesce(bool_or(state = 'INVOICED'), false) FROM locked;

-- name: reopen
-- The period takes usage again, until `freeze_time`.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid, $4 start_time timestamptz,
--   $5 freeze_time timestamptz
UPDATE rating_periods
   SET state = 'OPEN', final_time = NULL, freeze_time = $5, reopen_count = reopen_count + 1
 WHERE tenant_id = $1 AND account_id = $2 AND wallet_id = $3 AND start_time = $4;

-- name: posted_by_close
-- The entries that the last close of a period posted: drawdowns of its cells, and expirations after it began.
-- They are found by their causes, so that the ledger is not read from its beginning. Expirations in a later
-- period that was reopened before this one are already reversed.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid, $4 start_time timestamptz,
--   $5 cause_revision integer
SELECT e.seq, e.grant_id, e.grant_seq, e.kind, e.amount, e.wallet_before, e.wallet_after, e.grant_before,
       e.grant_after, e.effective_time, e.cause_kind, e.cause_id, e.cause_revision, e.leg, e.hash, e.covered
  FROM (SELECT 'CELL' AS kind, s.usage_summary_id::text AS id FROM usage_summaries AS s
         WHERE s.tenant_id = $1 AND s.account_id = $2 AND s.wallet_id = $3 AND s.period_start_time = $4
           AND s.period_start_time > '-infinity'
         UNION ALL
        SELECT 'BOUNDARY', g.grant_id::text FROM grants AS g
         WHERE g.tenant_id = $1 AND g.account_id = $2 AND g.wallet_id = $3 AND g.expire_time > $4) AS c
 CROSS JOIN LATERAL (
       SELECT o.* FROM wallet_entries AS o
        WHERE o.tenant_id = $1 AND o.account_id = $2 AND o.cause_kind = c.kind AND o.cause_id = c.id
          AND o.cause_revision = $5
        ORDER BY o.cause_kind, o.cause_id, o.cause_revision, o.leg OFFSET 0) AS e
 WHERE e.wallet_id = $3 AND (e.cause_kind = 'CELL' OR e.effective_time > $4)
   AND NOT EXISTS (SELECT FROM wallet_entries AS r
                    WHERE r.tenant_id = $1 AND r.account_id = $2 AND r.cause_kind = e.cause_kind
                      AND r.cause_id = e.cause_id AND r.cause_revision = $5 + 1 AND r.leg = e.leg)
 ORDER BY e.seq DESC;

-- name: wallet_head
-- The head of a wallet's chain.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid
SELECT wallet_id, head_seq, balance, head_hash FROM wallets
 WHERE tenant_id = $1 AND account_id = $2 AND wallet_id = $3;

-- name: grant_heads
-- The heads of the chains of some grants of a wallet.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid, $4 grant_ids uuid[]
SELECT grant_id, head_seq, balance FROM grants
 WHERE tenant_id = $1 AND account_id = $2 AND wallet_id = $3 AND grant_id = ANY ($4::uuid[])
 ORDER BY grant_id;

-- name: undraw
-- Resets the cells of the period to their values before the close.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid, $4 start_time timestamptz
UPDATE usage_summaries
   SET quantity = NULL, drawn_quantity = NULL, overage_quantity = NULL, ratable_summary_id = NULL
 WHERE tenant_id = $1 AND account_id = $2 AND wallet_id = $3 AND period_start_time = $4
   AND period_start_time > '-infinity';

-- name: supersede_ratable
-- Moves the ratable lines of the period to the superseded ones; the next close writes new ones.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid, $4 start_time timestamptz
WITH gone AS (
DELETE FROM ratable_summaries
 WHERE tenant_id = $1 AND account_id = $2 AND wallet_id = $3 AND start_time = $4 AND start_time > '-infinity'
RETURNING *)
INSERT INTO superseded_ratables SELECT g.* FROM gone AS g;

-- name: unlink_liable
-- Unlinks lines of other periods from the invoice-ready line of this one; the next line will sum them up.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid, $4 billing_end_time timestamptz
UPDATE ratable_summaries SET liable_summary_id = NULL
 WHERE tenant_id = $1 AND account_id = $2 AND wallet_id = $3 AND start_time > '-infinity' AND liable_summary_id IN (
       SELECT liable_summary_id FROM liable_summaries
        WHERE tenant_id = $1 AND account_id = $2 AND wallet_id = $3 AND end_time = $4);

-- name: supersede_liable
-- Keeps the figures of the invoice-ready lines; they are made again under the same names.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid, $4 billing_end_time timestamptz
WITH gone AS (
DELETE FROM liable_summaries
 WHERE tenant_id = $1 AND account_id = $2 AND wallet_id = $3 AND end_time = $4
RETURNING liable_summary_id, used_quantity, overage_quantity, amount, create_time)
INSERT INTO superseded_liables (tenant_id, account_id, liable_summary_id, revision, used_quantity,
                                overage_quantity, amount, create_time)
SELECT $1, $2, g.liable_summary_id, 1 + (SELECT count(*) FROM superseded_liables AS s
         WHERE s.tenant_id = $1 AND s.account_id = $2 AND s.liable_summary_id = g.liable_summary_id),
       g.used_quantity, g.overage_quantity, g.amount, g.create_time
  FROM gone AS g;
