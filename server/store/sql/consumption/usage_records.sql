-- The reads of usage records: each with its cell, its rating period and its line.

-- name: get_record
-- One record with its trace, which follows its cell and not its time.
--   $1 tenant_id uuid, $2 account_id text, $3 record_id text
SELECT r.account_id, r.record_id, r.asset_id, r.usage_resource_id, r.quantity, r.unit_of_measure_id,
       r.counted_quantity, r.usage_time, r.labels, r.create_time, r.created_by, r.revision, r.amend_time, r.amended_by,
       r.state, r.void_time, r.voided_by, r.void_reason, r.usage_summary_id,
       coalesce(coalesce(r.amend_time, r.create_time) > p.final_time, false) AS is_late, EXISTS (
           SELECT FROM pending_corrections AS w
            WHERE w.tenant_id = $1 AND w.account_id = $2 AND w.wallet_id = s.wallet_id
              AND w.start_time = s.period_start_time) AS is_pending,
       s.period_start_time, p.end_time AS period_end_time, p.freeze_time AS period_freeze_time,
       f.time_zone, f.start_date, s.drawn_quantity, s.overage_quantity, p.state AS period_state, q.liable_summary_id
  FROM usage_records AS r
  JOIN usage_summaries AS s
    ON s.tenant_id = $1 AND s.account_id = $2 AND s.usage_summary_id = r.usage_summary_id
  JOIN rating_periods AS p
    ON p.tenant_id = $1 AND p.account_id = $2 AND p.wallet_id = s.wallet_id
   AND p.start_time = s.period_start_time
 CROSS JOIN LATERAL (
       SELECT e.time_zone, e.start_date FROM wallets AS w
         JOIN entitlement_accounts AS e ON e.tenant_id = $1 AND e.account_id = $2
          AND e.entitlement_account_id = w.entitlement_account_id
        WHERE w.tenant_id = $1 AND w.account_id = $2 AND w.wallet_id = s.wallet_id LIMIT 1) AS f
  LEFT JOIN ratable_summaries AS q
    ON q.tenant_id = $1 AND q.account_id = $2 AND q.ratable_summary_id = s.ratable_summary_id
 WHERE r.tenant_id = $1 AND r.account_id = $2 AND r.record_id = $3;

-- name: list_records
-- Newest first, below a time and an id; the end of the filter is such a key too. LATERAL and LIMIT 1 make each
-- part a look-up for one record, and none runs after the page is full.
--   $1 tenant_id uuid, $2 account_id text, $3 start_time timestamptz, $4 before_time timestamptz,
--   $5 before_record_id text, $6 asset_id uuid or null, $7 usage_resource_id text or null,
--   $8 usage_summary_id uuid or null, $9 maximum integer, $10 product_id text or null,
--   $11 start_create_time timestamptz or null, $12 end_create_time timestamptz or null,
--   $13 period_state text or null, $14 is_liable boolean, $15 record_state text or null
SELECT r.account_id, r.record_id, r.asset_id, r.usage_resource_id, r.quantity, r.unit_of_measure_id,
       r.counted_quantity, r.usage_time, r.labels, r.create_time, r.created_by, r.revision, r.amend_time, r.amended_by,
       r.state, r.void_time, r.voided_by, r.void_reason, r.usage_summary_id,
       coalesce(coalesce(r.amend_time, r.create_time) > p.final_time, false) AS is_late, EXISTS (
           SELECT FROM pending_corrections AS w
            WHERE w.tenant_id = $1 AND w.account_id = $2 AND w.wallet_id = s.wallet_id
              AND w.start_time = s.period_start_time) AS is_pending,
       s.period_start_time, p.end_time AS period_end_time, p.freeze_time AS period_freeze_time,
       f.time_zone, f.start_date, s.drawn_quantity, s.overage_quantity, p.state AS period_state, q.liable_summary_id
  FROM usage_records AS r
 CROSS JOIN LATERAL (
       SELECT c.* FROM usage_summaries AS c
        WHERE c.tenant_id = $1 AND c.account_id = $2 AND c.usage_summary_id = r.usage_summary_id LIMIT 1) AS s
 CROSS JOIN LATERAL (
       SELECT o.* FROM rating_periods AS o
        WHERE o.tenant_id = $1 AND o.account_id = $2 AND o.wallet_id = s.wallet_id
          AND o.start_time = s.period_start_time LIMIT 1) AS p
 CROSS JOIN LATERAL (
       SELECT e.time_zone, e.start_date FROM wallets AS w
         JOIN entitlement_accounts AS e ON e.tenant_id = $1 AND e.account_id = $2
          AND e.entitlement_account_id = w.entitlement_account_id
        WHERE w.tenant_id = $1 AND w.account_id = $2 AND w.wallet_id = s.wallet_id LIMIT 1) AS f
  LEFT JOIN LATERAL (
       SELECT l.liable_summary_id FROM ratable_summaries AS l
        WHERE l.tenant_id = $1 AND l.account_id = $2 AND l.ratable_summary_id = s.ratable_summary_id LIMIT 1) AS q
    ON true
 WHERE r.tenant_id = $1 AND r.account_id = $2 AND r.usage_time > '-infinity' AND r.usage_time >= $3
   AND (r.usage_time, r.record_id) < ($4, $5)
   AND ($6::uuid IS NULL OR r.asset_id = $6)
   AND ($7::text IS NULL OR r.usage_resource_id = $7)
   AND ($8::uuid IS NULL OR r.usage_summary_id = $8)
   AND ($10::text IS NULL OR r.asset_id IN (
       SELECT a.asset_id FROM assets AS a
        WHERE a.tenant_id = $1 AND a.account_id = $2 AND a.product_id = $10))
   AND ($11::timestamptz IS NULL OR r.create_time >= $11)
   AND ($12::timestamptz IS NULL OR r.create_time < $12)
   AND ($13::text IS NULL OR p.state = $13 AND (q.liable_summary_id IS NOT NULL) = $14::boolean)
   AND ($15::text IS NULL OR r.state = $15)
 ORDER BY r.usage_time DESC, r.record_id DESC LIMIT $9;

-- name: find_state_bounds
-- The time range of the records in a state, so that they are found by time. Most records of an account are in
-- an invoice-ready line, so for these only the end is determined.
--   $1 tenant_id uuid, $2 account_id text, $3 period_state text, $4 is_liable boolean
SELECT min(b.start_time) AS start_time, max(b.end_time) AS end_time
  FROM (SELECT s.start_time, s.end_time
          FROM rating_periods AS p
         CROSS JOIN LATERAL (
               SELECT c.start_time, c.end_time, c.ratable_summary_id FROM usage_summaries AS c
                WHERE c.tenant_id = $1 AND c.account_id = $2 AND c.wallet_id = p.wallet_id
                  AND c.period_start_time = p.start_time AND c.period_start_time > '-infinity' OFFSET 0) AS s
          LEFT JOIN LATERAL (
               SELECT l.liable_summary_id FROM ratable_summaries AS l
                WHERE l.tenant_id = $1 AND l.account_id = $2 AND l.ratable_summary_id = s.ratable_summary_id
                LIMIT 1) AS q ON true
         WHERE p.tenant_id = $1 AND p.account_id = $2 AND p.state = $3 AND NOT $4::boolean
           AND q.liable_summary_id IS NULL
         UNION ALL
        SELECT NULL, p.end_time FROM rating_periods AS p
         WHERE p.tenant_id = $1 AND p.account_id = $2 AND p.state = $3 AND $4) AS b;

-- name: find_voided_bounds
-- The times of the first and the last voided record, so that they are found by time.
--   $1 tenant_id uuid, $2 account_id text
SELECT min(usage_time) AS first_time, max(usage_time) AS last_time
  FROM usage_records WHERE tenant_id = $1 AND account_id = $2 AND state = 'VOIDED';

-- name: find_story
-- What became of a cell, and of the cell of the tokens that it costs, which has it as its source: the grants that
-- paid, the lines, and the corrections of the period since the record arrived. Each list is JSON.
--   $1 tenant_id uuid, $2 account_id text, $3 usage_summary_id uuid, $4 arrived timestamptz
WITH cells AS MATERIALIZED (
    SELECT s.usage_summary_id, s.wallet_id, s.period_start_time, p.end_time, s.ratable_summary_id,
           s.source_summary_id IS NOT NULL AS is_token
      FROM (SELECT o.* FROM usage_summaries AS o
             WHERE o.tenant_id = $1 AND o.account_id = $2 AND o.usage_summary_id = $3
             UNION ALL
            SELECT o.* FROM usage_summaries AS o
             WHERE o.tenant_id = $1 AND o.account_id = $2 AND o.source_summary_id = $3
               AND o.source_summary_id IS NOT NULL) AS s
     CROSS JOIN LATERAL (
           SELECT o.end_time FROM rating_periods AS o
            WHERE o.tenant_id = $1 AND o.account_id = $2 AND o.wallet_id = s.wallet_id
              AND o.start_time = s.period_start_time LIMIT 1) AS p)
SELECT (SELECT json_agg(json_build_array(d.wallet_id, d.grant_id, d.covered::text, d.quantity::text)
                        ORDER BY d.is_token, d.seq)::text
          FROM (SELECT c.is_token, c.wallet_id, e.grant_id, -sum(e.amount) AS quantity,
                       sum(coalesce(e.covered, -e.amount)) AS covered, min(e.seq) AS seq
                  FROM cells AS c
                 CROSS JOIN LATERAL (
                       SELECT o.* FROM wallet_entries AS o
                        WHERE o.tenant_id = $1 AND o.account_id = $2 AND o.cause_kind = 'CELL'
                          AND o.cause_id = c.usage_summary_id::text AND o.wallet_id = c.wallet_id OFFSET 0) AS e
                 GROUP BY c.is_token, c.wallet_id, e.grant_id
                HAVING sum(e.amount) <> 0) AS d) AS drawn,
       (SELECT json_agg(json_build_array(l.ratable_summary_id, l.state, l.correction_id, l.liable_summary_id, b.state,
                                         coalesce(b.invoice, ''))
                        ORDER BY c.is_token, l.corrects_id NULLS FIRST, l.create_time, l.ratable_summary_id)::text
          FROM cells AS c
         CROSS JOIN LATERAL (
               SELECT o.* FROM ratable_summaries AS o
                WHERE o.tenant_id = $1 AND o.account_id = $2 AND o.wallet_id = c.wallet_id
                  AND o.origin_start_time = c.period_start_time AND o.origin_start_time > '-infinity'
                  AND c.ratable_summary_id IN (o.ratable_summary_id, o.corrects_id) OFFSET 0) AS l
          LEFT JOIN LATERAL (
               SELECT o.state, o.invoice FROM liable_summaries AS o
                WHERE o.tenant_id = $1 AND o.account_id = $2 AND o.liable_summary_id = l.liable_summary_id
                LIMIT 1) AS b ON true) AS lines,
       (SELECT json_agg(json_build_array(k.correction_id, k.causes, k.create_time)
                        ORDER BY k.create_time, k.correction_id)::text
          FROM corrections AS k
         WHERE k.tenant_id = $1 AND k.account_id = $2 AND k.create_time > $4 AND EXISTS (
               SELECT FROM cells AS c
                CROSS JOIN LATERAL (
                      SELECT o.after_seq, o.last_seq FROM correction_wallets AS o
                       WHERE o.tenant_id = $1 AND o.account_id = $2 AND o.correction_id = k.correction_id
                         AND o.wallet_id = c.wallet_id LIMIT 1) AS x
                WHERE EXISTS (
                      SELECT FROM wallet_entries AS e
                       WHERE e.tenant_id = $1 AND e.account_id = $2 AND e.wallet_id = c.wallet_id
                         AND e.seq > x.after_seq AND e.seq <= x.last_seq
                         AND e.effective_time >= c.period_start_time AND e.effective_time < c.end_time)
                   OR EXISTS (
                      SELECT FROM ratable_summaries AS r
                       WHERE r.tenant_id = $1 AND r.account_id = $2 AND r.correction_id = k.correction_id
                         AND r.correction_id IS NOT NULL AND r.wallet_id = c.wallet_id
                         AND r.origin_start_time = c.period_start_time)
                   OR EXISTS (
                      SELECT FROM superseded_ratables AS r
                       WHERE r.tenant_id = $1 AND r.account_id = $2 AND r.correction_id = k.correction_id
                         AND r.correction_id IS NOT NULL AND r.wallet_id = c.wallet_id
                         AND r.origin_start_time = c.period_start_time))) AS corrections;

-- name: list_revisions
-- The earlier revisions of a record, oldest first.
--   $1 tenant_id uuid, $2 account_id text, $3 record_id text
SELECT revision, asset_id, usage_resource_id, quantity, unit_of_measure_id, usage_time, labels, create_time, created_by
  FROM usage_record_revisions
 WHERE tenant_id = $1 AND account_id = $2 AND record_id = $3 ORDER BY revision;

-- name: find_cell_bounds
-- The time range of the records of a cell, so that they are found by time.
--   $1 tenant_id uuid, $2 account_id text, $3 usage_summary_id uuid
SELECT start_time, end_time
  FROM usage_summaries
 WHERE tenant_id = $1 AND account_id = $2 AND usage_summary_id = $3;
