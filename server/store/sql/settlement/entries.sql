-- The entries of a wallet's ledger.

-- name: list_entries
-- The lines of a wallet in posting order.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid, $4 after_seq bigint, $5 limit bigint
SELECT seq, grant_id, grant_seq, kind, amount, wallet_before, wallet_after, grant_before, grant_after,
       effective_time, cause_kind, cause_id, cause_revision, leg, hash, covered, create_time
  FROM wallet_entries
 WHERE tenant_id = $1 AND account_id = $2 AND wallet_id = $3 AND seq > $4
 ORDER BY seq LIMIT $5;
