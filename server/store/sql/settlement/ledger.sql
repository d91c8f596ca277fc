-- The ledger: new grants, their entries, and the heads, which repeat the last entry.

-- name: add_grants
-- New issues and rollovers, with their balance after this posting.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_ids uuid[], $4 grant_ids uuid[],
--   $5 entitlement_ids uuid[], $6 kinds text[], $7 issue_indices integer[], $8 rollover_counts integer[],
--   $9 quantities numeric[], $10 start_times timestamptz[], $11 expire_times timestamptz[],
--   $12 arrive_times timestamptz[], $13 source_grant_ids uuid[]
INSERT INTO grants (tenant_id, account_id, wallet_id, grant_id, entitlement_id, kind, issue_index,
                    rollover_count, quantity, start_time, expire_time, arrive_time, source_grant_id)
SELECT $1, $2, g.wallet_id, g.grant_id, g.entitlement_id, g.kind, g.issue_index, g.rollover_count,
       g.quantity, g.start_time, g.expire_time, g.arrive_time, g.source_grant_id
  FROM unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::integer[], $8::integer[], $9::numeric[],
              $10::timestamptz[], $11::timestamptz[], $12::timestamptz[], $13::uuid[])
       AS g (wallet_id, grant_id, entitlement_id, kind, issue_index, rollover_count, quantity, start_time,
             expire_time, arrive_time, source_grant_id)
 ORDER BY g.wallet_id, g.grant_id;

-- name: add_entries
-- The entries of one posting, by wallet and position. Keys of the table refuse a repeated cause, a gap or an
-- overdraft.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_ids uuid[], $4 seqs bigint[], $5 grant_ids uuid[],
--   $6 grant_seqs bigint[], $7 kinds text[], $8 amounts numeric[], $9 wallet_befores numeric[],
--   $10 wallet_afters numeric[], $11 grant_befores numeric[], $12 grant_afters numeric[],
--   $13 effective_times timestamptz[], $14 cause_kinds text[], $15 cause_ids text[],
--   $16 cause_revisions integer[], $17 legs text[], $18 hashes bytea[], $19 covered numeric[]
INSERT INTO wallet_entries (tenant_id, account_id, wallet_id, seq, grant_id, grant_seq, kind, amount,
                            wallet_before, wallet_after, grant_before, grant_after, effective_time,
                            cause_kind, cause_id, cause_revision, leg, hash, covered)
SELECT $1, $2, e.wallet_id, e.seq, e.grant_id, e.grant_seq, e.kind, e.amount, e.wallet_before,
       e.wallet_after, e.grant_before, e.grant_after, e.effective_time, e.cause_kind, e.cause_id,
       e.cause_revision, e.leg, e.hash, e.covered
  FROM unnest($3::uuid[], $4::bigint[], $5::uuid[], $6::bigint[], $7::text[], $8::numeric[], $9::numeric[],
              $10::numeric[], $11::numeric[], $12::numeric[], $13::timestamptz[], $14::text[], $15::text[],
              $16::integer[], $17::text[], $18::bytea[], $19::numeric[])
       AS e (wallet_id, seq, grant_id, grant_seq, kind, amount, wallet_before, wallet_after, grant_before,
             grant_after, effective_time, cause_kind, cause_id, cause_revision, leg, hash, covered)
 ORDER BY e.wallet_id, e.seq;

-- name: save_grant_heads
-- The heads of the grants' chains. A grant that a rollover was added to has a larger quantity.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_ids uuid[], $4 grant_ids uuid[], $5 seqs bigint[],
--   $6 balances numeric[]
UPDATE grants AS g SET head_seq = h.seq, balance = h.balance, quantity = greatest(g.quantity, h.balance)
  FROM unnest($3::uuid[], $4::uuid[], $5::bigint[], $6::numeric[]) AS h (wallet_id, grant_id, seq, balance)
 WHERE g.tenant_id = $1 AND g.account_id = $2 AND g.wallet_id = h.wallet_id AND g.grant_id = h.grant_id
   AND g.wallet_id = ANY ($3::uuid[]) AND g.grant_id = ANY ($4::uuid[]);

-- name: save_wallet_heads
-- The heads of the wallets' chains.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_ids uuid[], $4 seqs bigint[], $5 balances numeric[],
--   $6 hashes bytea[]
UPDATE wallets AS w SET head_seq = h.seq, balance = h.balance, head_hash = h.hash
  FROM unnest($3::uuid[], $4::bigint[], $5::numeric[], $6::bytea[]) AS h (wallet_id, seq, balance, hash)
 WHERE w.tenant_id = $1 AND w.account_id = $2 AND w.wallet_id = h.wallet_id
   AND w.wallet_id = ANY ($3::uuid[]);

-- name: lock_wallets
-- The heads of the chains that are extended next, locked in key order.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_ids uuid[]
SELECT wallet_id, head_seq, balance, head_hash
  FROM wallets
 WHERE tenant_id = $1 AND account_id = $2 AND wallet_id = ANY ($3::uuid[])
 ORDER BY wallet_id
   FOR NO KEY UPDATE;
