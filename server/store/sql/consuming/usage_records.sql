-- Usage records, the side that reads: each with its cell, the period that handles it and its line.

-- name: get_record
-- One record and what became of it, followed by the cell it went to and never by its time.
--   $1 tenant_id uuid, $2 account_id text, $3 record_id text
SELECT r.account_id, r.record_id, r.asset_id, r.usage_resource_id, r.quantity, r.unit_of_measure_id,
       r.counted_quantity, r.usage_time, r.labels, r.create_time, r.created_by, r.usage_summary_id, s.origin_start_time,
       s.period_start_time, p.end_time AS period_end_time, p.freeze_time AS period_freeze_time, s.drawn_quantity,
       s.overage_quantity, p.state AS period_state, q.liable_summary_id
  FROM usage_records AS r
  JOIN usage_summaries AS s
    ON s.tenant_id = $1 AND s.account_id = $2 AND s.usage_summary_id = r.usage_summary_id
  JOIN rating_periods AS p
    ON p.tenant_id = $1 AND p.account_id = $2 AND p.wallet_id = s.wallet_id
   AND p.start_time = s.period_start_time
  LEFT JOIN ratable_summaries AS q
    ON q.tenant_id = $1 AND q.account_id = $2 AND q.ratable_summary_id = s.ratable_summary_id
 WHERE r.tenant_id = $1 AND r.account_id = $2 AND r.record_id = $3;

-- name: list_records
-- Newest first, from just before a time and id; the end of what is wanted is such a place too. The page
-- is cut before anything is looked up for it.
--   $1 tenant_id uuid, $2 account_id text, $3 start_time timestamptz, $4 before_time timestamptz,
--   $5 before_record_id text, $6 asset_id uuid or null, $7 usage_resource_id text or null,
--   $8 usage_summary_id uuid or null, $9 maximum integer
SELECT r.account_id, r.record_id, r.asset_id, r.usage_resource_id, r.quantity, r.unit_of_measure_id,
       r.counted_quantity, r.usage_time, r.labels, r.create_time, r.created_by, r.usage_summary_id, s.origin_start_time,
       s.period_start_time, p.end_time AS period_end_time, p.freeze_time AS period_freeze_time, s.drawn_quantity,
       s.overage_quantity, p.state AS period_state, q.liable_summary_id
  FROM (SELECT u.account_id, u.record_id, u.asset_id, u.usage_resource_id, u.quantity, u.unit_of_measure_id,
               u.counted_quantity, u.usage_time, u.labels, u.create_time, u.created_by, u.usage_summary_id
          FROM usage_records AS u
         WHERE u.tenant_id = $1 AND u.account_id = $2 AND u.usage_time > '-infinity' AND u.usage_time >= $3
           AND (u.usage_time, u.record_id) < ($4, $5)
           AND ($6::uuid IS NULL OR u.asset_id = $6)
           AND ($7::text IS NULL OR u.usage_resource_id = $7)
           AND ($8::uuid IS NULL OR u.usage_summary_id = $8)
         ORDER BY u.usage_time DESC, u.record_id DESC LIMIT $9) AS r
  JOIN usage_summaries AS s
    ON s.tenant_id = $1 AND s.account_id = $2 AND s.usage_summary_id = r.usage_summary_id
  JOIN rating_periods AS p
    ON p.tenant_id = $1 AND p.account_id = $2 AND p.wallet_id = s.wallet_id
   AND p.start_time = s.period_start_time
  LEFT JOIN ratable_summaries AS q
    ON q.tenant_id = $1 AND q.account_id = $2 AND q.ratable_summary_id = s.ratable_summary_id
 ORDER BY r.usage_time DESC, r.record_id DESC;

-- name: find_cell_bounds
-- Between which times the records of a cell lie, so that they are found by time.
--   $1 tenant_id uuid, $2 account_id text, $3 usage_summary_id uuid
SELECT start_time, end_time
  FROM usage_summaries
 WHERE tenant_id = $1 AND account_id = $2 AND usage_summary_id = $3;
