-- Verification: compares stored results with the rows they are derived from. Every query returns the
-- differences, or the rows that a pure function compares.

-- name: cells_and_records
-- Cells whose figures differ from their records. A cell of another unit has what was sent; only those of gauges
-- have what was held. The records are measured once: joined as they are, they could be measured for each cell.
--   $1 tenant_id uuid, $2 account_id text
WITH timed AS (
    SELECT u.usage_summary_id, u.usage_time, u.record_id, u.counted_quantity, u.quantity,
           lead(u.usage_time) OVER (
               PARTITION BY u.usage_summary_id ORDER BY u.usage_time, u.record_id) AS next_time
      FROM usage_records AS u
     WHERE u.tenant_id = $1 AND u.account_id = $2 AND u.state = 'ACTIVE'),
records AS MATERIALIZED (
    SELECT t.usage_summary_id, count(*) AS n,
           ARRAY[sum(t.counted_quantity), max(t.counted_quantity), min(t.counted_quantity),
                 (array_agg(t.counted_quantity ORDER BY t.usage_time DESC, t.record_id DESC))[1]] AS counted,
           ARRAY[sum(t.quantity), max(t.quantity), min(t.quantity),
                 (array_agg(t.quantity ORDER BY t.usage_time DESC, t.record_id DESC))[1]] AS sent,
           coalesce(sum(t.counted_quantity * extract(epoch FROM t.next_time - t.usage_time)), 0) AS held
      FROM timed AS t
     GROUP BY t.usage_summary_id),
cells AS MATERIALIZED (
    SELECT s.usage_summary_id, s.record_count, s.sum_quantity, s.max_quantity, s.min_quantity, s.last_quantity,
           s.held_quantity, r.n, CASE WHEN s.held_quantity IS NOT NULL THEN r.held END AS held,
           -- A cell whose records are all voided has zeros.
           CASE WHEN r.n IS NULL THEN ARRAY[0, 0, 0, 0]::numeric[]
                WHEN s.unit_numerator = s.unit_denominator THEN r.counted ELSE r.sent END AS measured
      FROM usage_summaries AS s
      LEFT JOIN records AS r ON r.usage_summary_id = s.usage_summary_id
     WHERE s.tenant_id = $1 AND s.account_id = $2 AND s.source_summary_id IS NULL
       -- A standing cell has no records.
       AND NOT (s.record_count = 0 AND s.held_quantity IS NOT NULL AND r.n IS NULL))
SELECT c.usage_summary_id, c.record_count, coalesce(c.n, 0) AS n, c.sum_quantity, c.measured[1] AS total,
       c.max_quantity, c.measured[2] AS largest, c.min_quantity, c.measured[3] AS smallest, c.last_quantity,
       c.measured[4] AS latest, c.held_quantity, c.held
  FROM cells AS c
 WHERE (c.record_count, c.sum_quantity, c.max_quantity, c.min_quantity, c.last_quantity, c.held_quantity)
       IS DISTINCT FROM (coalesce(c.n, 0), c.measured[1], c.measured[2], c.measured[3], c.measured[4], c.held)
 ORDER BY c.usage_summary_id;

-- name: records_without_cell
-- Records without a cell.
--   $1 tenant_id uuid, $2 account_id text
SELECT r.record_id
  FROM usage_records AS r
 WHERE r.tenant_id = $1 AND r.account_id = $2 AND NOT EXISTS (
       SELECT FROM usage_summaries AS s WHERE s.tenant_id = $1 AND s.account_id = $2
          AND s.usage_summary_id = r.usage_summary_id)
 ORDER BY r.record_id LIMIT 10;

-- name: wallets
-- The heads of an account's wallets.
--   $1 tenant_id uuid, $2 account_id text
SELECT wallet_id, head_seq, balance, head_hash FROM wallets
 WHERE tenant_id = $1 AND account_id = $2 ORDER BY wallet_id;

-- name: grant_heads
-- Grants whose head differs from their last entry.
--   $1 tenant_id uuid, $2 account_id text
SELECT g.wallet_id, g.grant_id, g.head_seq, g.balance, e.grant_seq, e.grant_after
  FROM grants AS g
  LEFT JOIN LATERAL (
       SELECT e.grant_seq, e.grant_after FROM wallet_entries AS e
        WHERE e.tenant_id = $1 AND e.account_id = $2 AND e.wallet_id = g.wallet_id
          AND e.grant_id = g.grant_id
        ORDER BY e.grant_seq DESC LIMIT 1) AS e ON true
 WHERE g.tenant_id = $1 AND g.account_id = $2
   AND (g.head_seq, g.balance) IS DISTINCT FROM (coalesce(e.grant_seq, 0), coalesce(e.grant_after, 0))
 ORDER BY g.wallet_id, g.grant_id;

-- name: cells_and_entries
-- Drawn cells whose entries do not add up to the drawn quantity.
--   $1 tenant_id uuid, $2 account_id text
SELECT s.usage_summary_id, s.drawn_quantity, coalesce(e.drawn, 0) AS drawn
  FROM usage_summaries AS s
  LEFT JOIN (
       SELECT cause_id, sum(coalesce(covered, -amount)) AS drawn FROM wallet_entries
        WHERE tenant_id = $1 AND account_id = $2 AND cause_kind = 'CELL' GROUP BY cause_id) AS e
    ON e.cause_id = s.usage_summary_id::text
 WHERE s.tenant_id = $1 AND s.account_id = $2
   AND coalesce(s.drawn_quantity, 0) <> coalesce(e.drawn, 0)
 ORDER BY s.usage_summary_id;

-- name: moves_that_differ
-- Grants of which not as much moved into another wallet as moved out. The moves of one are posted together, also by
-- corrections.
--   $1 tenant_id uuid, $2 account_id text
SELECT g.wallet_id, g.grant_id, m.moved_out, m.moved_in
  FROM (SELECT cause_id, coalesce(-sum(amount) FILTER (WHERE leg::integer % 3 = 0), 0) AS moved_out,
               coalesce(sum(amount) FILTER (WHERE leg::integer % 3 = 1), 0) AS moved_in
          FROM wallet_entries
         WHERE tenant_id = $1 AND account_id = $2 AND cause_kind = 'MOVE' GROUP BY cause_id) AS m
  JOIN grants AS g ON g.tenant_id = $1 AND g.account_id = $2 AND g.grant_id::text = m.cause_id
 WHERE m.moved_out <> m.moved_in
 ORDER BY g.wallet_id, g.grant_id;

-- name: ratables_and_cells
-- Ratable lines that, with their corrections, differ from the sum of their cells.
--   $1 tenant_id uuid, $2 account_id text
SELECT r.ratable_summary_id, r.used_quantity, r.overage_quantity, coalesce(s.used, 0) AS used,
       coalesce(s.overage, 0) AS overage
  FROM (SELECT coalesce(corrects_id, ratable_summary_id) AS ratable_summary_id,
               sum(used_quantity) AS used_quantity, sum(overage_quantity) AS overage_quantity
          FROM ratable_summaries WHERE tenant_id = $1 AND account_id = $2
         GROUP BY coalesce(corrects_id, ratable_summary_id)) AS r
  LEFT JOIN (
       SELECT ratable_summary_id, sum(quantity) AS used, sum(overage_quantity) AS overage
         FROM usage_summaries
        WHERE tenant_id = $1 AND account_id = $2 AND ratable_summary_id IS NOT NULL
        GROUP BY ratable_summary_id) AS s ON s.ratable_summary_id = r.ratable_summary_id
 WHERE (r.used_quantity, r.overage_quantity) IS DISTINCT FROM (coalesce(s.used, 0), coalesce(s.overage, 0))
 ORDER BY r.ratable_summary_id;

-- name: liables_and_ratables
-- Invoice-ready lines that differ from the sum of their ratable lines.
--   $1 tenant_id uuid, $2 account_id text
SELECT l.liable_summary_id, l.exact_amount, coalesce(r.amount, 0) AS amount
  FROM liable_summaries AS l
  LEFT JOIN (
       SELECT liable_summary_id, sum(amount) AS amount FROM ratable_summaries
        WHERE tenant_id = $1 AND account_id = $2 AND liable_summary_id IS NOT NULL
        GROUP BY liable_summary_id) AS r ON r.liable_summary_id = l.liable_summary_id
 WHERE l.tenant_id = $1 AND l.account_id = $2 AND l.exact_amount <> coalesce(r.amount, 0)
 ORDER BY l.liable_summary_id;

-- name: billed_lines
-- The exact and the rounded amount of each invoice-ready line, and what it is rounded with.
--   $1 tenant_id uuid, $2 account_id text
SELECT liable_summary_id, wallet_id, asset_id, origin_end_time, end_time, segment_start_time, dimensions,
       is_correction, exact_amount, amount, currency_code
  FROM liable_summaries
 WHERE tenant_id = $1 AND account_id = $2 ORDER BY liable_summary_id;

-- name: periods_out_of_turn
-- Final periods with an earlier period of their wallet that is not final.
--   $1 tenant_id uuid, $2 account_id text
SELECT p.wallet_id, p.start_time FROM rating_periods AS p
 WHERE p.tenant_id = $1 AND p.account_id = $2 AND p.state = 'FINAL' AND EXISTS (
       SELECT FROM rating_periods AS o
        WHERE o.tenant_id = $1 AND o.account_id = $2 AND o.wallet_id = p.wallet_id
          AND o.start_time < p.start_time AND o.state <> 'FINAL')
 ORDER BY p.wallet_id, p.start_time;

-- name: closes_that_stopped
-- Open periods whose close was refused, quarantined or waived: they are not billed until the job is retried.
--   $1 tenant_id uuid, $2 account_id text
SELECT j.job_id, j.state, j.error, p.wallet_id, p.start_time
  FROM jobs AS j
  JOIN rating_periods AS p
    ON p.tenant_id = $1 AND p.account_id = $2 AND p.wallet_id = (j.payload ->> 'wallet_id')::uuid
   AND p.start_time = (j.payload ->> 'start_time')::timestamptz AND p.state <> 'FINAL'
 WHERE j.tenant_id = $1 AND j.account_id = $2
   AND (j.state IN ('FAILED', 'QUARANTINED') OR j.state IN ('DONE', 'WAIVED') AND j.state = 'WAIVED')
   AND j.kind = 'close_period'
 ORDER BY p.start_time, p.wallet_id;

-- name: corrections_that_stopped
-- Final periods that have changed and whose correction was refused, quarantined or waived.
--   $1 tenant_id uuid, $2 account_id text
SELECT j.job_id, j.state, j.error, p.wallet_id, min(p.start_time) AS start_time
  FROM jobs AS j
  JOIN pending_corrections AS p
    ON p.tenant_id = $1 AND p.account_id = $2 AND p.wallet_id = (j.payload ->> 'wallet_id')::uuid
 WHERE j.tenant_id = $1 AND j.account_id = $2 AND j.kind = 'correct_usage'
   AND (j.state IN ('FAILED', 'QUARANTINED') OR j.state IN ('DONE', 'WAIVED') AND j.state = 'WAIVED')
 GROUP BY j.job_id, j.state, j.error, p.wallet_id
 ORDER BY p.wallet_id, j.job_id;

-- name: final_cells
-- The cells of some final periods of a wallet, as `wallet_states` reads them, with their stored quantities.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid, $4 since timestamptz, $5 until timestamptz or null
SELECT json_build_array(s.usage_summary_id, s.asset_id, a.number, s.start_time, s.end_time,
                        s.period_start_time, p.end_time, s.record_count, s.sum_quantity::text,
                        s.max_quantity::text, s.min_quantity::text, s.last_quantity::text, s.last_time,
                        s.last_record_id, s.dimensions, s.unit_numerator::text,
                        s.unit_denominator::text, s.first_time, s.held_quantity::text)::text AS cell,
       s.quantity, s.drawn_quantity, s.overage_quantity
  FROM usage_summaries AS s
  JOIN rating_periods AS p
    ON p.tenant_id = $1 AND p.account_id = $2 AND p.wallet_id = $3 AND p.start_time = s.period_start_time
   AND p.state = 'FINAL'
  JOIN assets AS a ON a.tenant_id = $1 AND a.account_id = $2 AND a.asset_id = s.asset_id
 WHERE s.tenant_id = $1 AND s.account_id = $2 AND s.wallet_id = $3 AND s.period_start_time > '-infinity'
   AND s.period_start_time >= $4 AND s.period_start_time < coalesce($5::timestamptz, 'infinity')
 ORDER BY s.usage_summary_id;

-- name: token_quantities
-- The tokens that a wallet's cells of some periods were rated at.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid, $4 since timestamptz, $5 until timestamptz or null
SELECT t.source_summary_id, t.usage_summary_id, t.sum_quantity
  FROM usage_summaries AS s
  JOIN usage_summaries AS t
    ON t.tenant_id = $1 AND t.account_id = $2 AND t.source_summary_id = s.usage_summary_id
 WHERE s.tenant_id = $1 AND s.account_id = $2 AND s.wallet_id = $3 AND s.period_start_time > '-infinity'
   AND s.period_start_time >= $4 AND s.period_start_time < coalesce($5::timestamptz, 'infinity')
 ORDER BY t.usage_summary_id;

-- name: count_records
-- The number of records of an account that count.
--   $1 tenant_id uuid, $2 account_id text
SELECT count(*) FROM usage_records WHERE tenant_id = $1 AND account_id = $2 AND state = 'ACTIVE';
