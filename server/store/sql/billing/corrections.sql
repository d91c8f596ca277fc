-- Corrections: what was booked for final usage, and what replaces or adds to it.

-- name: booked
-- The sums of the ratable lines of the usage of some periods, with their corrections. The first line of usage is
-- the one that corrects no other.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid, $4 since timestamptz, $5 until timestamptz or null
SELECT b.*, a.number
  FROM (SELECT r.asset_id, r.origin_start_time, r.segment_start_time, r.dimensions,
               sum(r.used_quantity) AS used, sum(r.drawn_quantity) AS drawn, sum(r.overage_quantity) AS overage,
               sum(r.amount) AS amount,
               (array_agg(r.ratable_summary_id ORDER BY r.corrects_id NULLS FIRST))[1] AS ratable_summary_id,
               (array_agg(r.currency_code ORDER BY r.corrects_id NULLS FIRST))[1] AS currency_code,
               (array_agg(r.error_reason ORDER BY r.corrects_id NULLS FIRST))[1] AS error_reason,
               (array_agg(r.procedure_id::text ORDER BY r.corrects_id NULLS FIRST))[1] AS procedure_id,
               (array_agg(r.procedure_version_id::text ORDER BY r.corrects_id NULLS FIRST))[1]
               AS procedure_version_id,
               (array_agg(greatest(r.origin_start_time, r.service_start_time)
                          ORDER BY r.corrects_id NULLS FIRST))[1] AS billed_from
          FROM ratable_summaries AS r
         WHERE r.tenant_id = $1 AND r.account_id = $2 AND r.wallet_id = $3 AND r.origin_start_time >= $4
           AND r.origin_start_time > '-infinity'
           AND r.origin_start_time < coalesce($5::timestamptz, 'infinity')
         GROUP BY r.asset_id, r.origin_start_time, r.segment_start_time, r.dimensions) AS b
 CROSS JOIN LATERAL (
       SELECT t.number FROM assets AS t
        WHERE t.tenant_id = $1 AND t.account_id = $2 AND t.asset_id = b.asset_id LIMIT 1) AS a
 ORDER BY b.origin_start_time, b.asset_id;

-- name: add_correction
-- One correction of a settlement group.
--   $1 tenant_id uuid, $2 account_id text, $3 correction_id uuid, $4 causes text[], $5 start_time timestamptz
INSERT INTO corrections (tenant_id, account_id, correction_id, causes, start_time) VALUES ($1, $2, $3, $4, $5);

-- name: add_wallets
-- The wallets that a correction changed, with the revision and the positions of its entries.
--   $1 tenant_id uuid, $2 account_id text, $3 correction_id uuid, $4 wallet_ids uuid[], $5 revisions integer[],
--   $6 after_seqs bigint[], $7 last_seqs bigint[]
INSERT INTO correction_wallets (tenant_id, account_id, correction_id, wallet_id, revision, after_seq, last_seq)
SELECT $1, $2, $3, w.wallet_id, w.revision, w.after_seq, w.last_seq
  FROM unnest($4::uuid[], $5::integer[], $6::bigint[], $7::bigint[]) AS w (wallet_id, revision, after_seq, last_seq)
 ORDER BY w.wallet_id;

-- name: count_correction
-- What was pending for these wallets is taken in. The next change adds a job of its own.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_ids uuid[]
UPDATE wallets SET correction_count = correction_count + 1
 WHERE tenant_id = $1 AND account_id = $2 AND wallet_id = ANY ($3::uuid[]);

-- name: first_open
-- The first open period of a wallet.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid
SELECT start_time, end_time FROM rating_periods
 WHERE tenant_id = $1 AND account_id = $2 AND wallet_id = $3 AND state = 'OPEN'
 ORDER BY start_time LIMIT 1;

-- name: lock_billed
-- The states of the lines of a billing period, which are locked.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid, $4 billing_end_time timestamptz
SELECT state FROM liable_summaries
 WHERE tenant_id = $1 AND account_id = $2 AND wallet_id = $3 AND end_time = $4
 ORDER BY liable_summary_id FOR UPDATE;

-- name: has_billed
-- True if a billing period of a wallet has lines: a final rating period reaches to its end.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid, $4 billing_end_time timestamptz
SELECT EXISTS (SELECT FROM rating_periods
                WHERE tenant_id = $1 AND account_id = $2 AND wallet_id = $3 AND end_time >= $4
                  AND state = 'FINAL');

-- name: token_cells
-- The token cells of the usage of a wallet in some periods.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid, $4 token_wallet_id uuid, $5 since timestamptz,
--   $6 until timestamptz or null
SELECT json_build_array(t.usage_summary_id, t.asset_id, a.number, t.start_time, t.end_time,
                        t.period_start_time, p.end_time, t.record_count, t.sum_quantity::text,
                        t.max_quantity::text, t.min_quantity::text, t.last_quantity::text, t.last_time,
                        t.last_record_id, t.dimensions, t.unit_numerator::text,
                        t.unit_denominator::text, t.first_time, t.held_quantity::text)::text AS cell
  FROM usage_summaries AS s
 CROSS JOIN LATERAL (
       SELECT c.* FROM usage_summaries AS c
        WHERE c.tenant_id = $1 AND c.account_id = $2 AND c.source_summary_id = s.usage_summary_id
          AND c.source_summary_id IS NOT NULL LIMIT 1) AS t
 CROSS JOIN LATERAL (
       SELECT r.end_time FROM rating_periods AS r
        WHERE r.tenant_id = $1 AND r.account_id = $2 AND r.wallet_id = t.wallet_id
          AND r.start_time = t.period_start_time LIMIT 1) AS p
 CROSS JOIN LATERAL (
       SELECT o.number FROM assets AS o
        WHERE o.tenant_id = $1 AND o.account_id = $2 AND o.asset_id = t.asset_id LIMIT 1) AS a
 WHERE s.tenant_id = $1 AND s.account_id = $2 AND s.wallet_id = $3 AND s.period_start_time >= $5
   AND s.period_start_time > '-infinity' AND s.period_start_time < coalesce($6::timestamptz, 'infinity')
   AND t.wallet_id = $4
 ORDER BY t.usage_summary_id;

-- name: empty_cells
-- Token cells whose usage costs no tokens any more.
--   $1 tenant_id uuid, $2 account_id text, $3 usage_summary_ids uuid[]
UPDATE usage_summaries
   SET record_count = 0, sum_quantity = 0, max_quantity = 0, min_quantity = 0, last_quantity = 0
 WHERE tenant_id = $1 AND account_id = $2 AND usage_summary_id = ANY ($3::uuid[]);

-- name: empty_standing
-- Cells with which periods begin, of series that hold nothing any more. Those of final periods were drawn.
--   $1 tenant_id uuid, $2 account_id text, $3 usage_summary_ids uuid[]
UPDATE usage_summaries
   SET max_quantity = 0, min_quantity = 0, last_quantity = 0, quantity = 0 * quantity,
       drawn_quantity = 0 * drawn_quantity, overage_quantity = 0 * overage_quantity
 WHERE tenant_id = $1 AND account_id = $2 AND usage_summary_id = ANY ($3::uuid[]);

-- name: supersede_ratable
-- Keeps ratable lines that are replaced; the new ones have the same names.
--   $1 tenant_id uuid, $2 account_id text, $3 ratable_summary_ids uuid[]
WITH gone AS (
DELETE FROM ratable_summaries
 WHERE tenant_id = $1 AND account_id = $2 AND ratable_summary_id = ANY ($3::uuid[])
RETURNING *)
INSERT INTO superseded_ratables SELECT g.* FROM gone AS g;

-- name: unlink_liable
-- Unlinks the ratable lines from the invoice-ready lines of a billing period, which are made again.
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
