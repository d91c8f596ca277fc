-- Unique values: which record counts each value of a label in a window.

-- name: add_values
-- The earliest record of a batch counts a new value; a value that exists is locked, so that nobody deletes it until
-- this transaction ends. Sorted, so that concurrent batches cannot deadlock; a transaction that waited sees the value.
--   $1 tenant_id uuid, $2 account_ids text[], $3 wallet_ids uuid[], $4 asset_ids uuid[],
--   $5 window_keys text[], $6 values text[], $7 record_ids text[], $8 usage_times timestamptz[]
INSERT INTO unique_values (tenant_id, account_id, wallet_id, asset_id, window_key, value, record_id)
SELECT DISTINCT ON (v.account_id COLLATE "C", v.wallet_id, v.asset_id, v.window_key COLLATE "C", v.value COLLATE "C")
       $1, v.account_id, v.wallet_id, v.asset_id, v.window_key, v.value, v.record_id
  FROM unnest($2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::timestamptz[])
       AS v (account_id, wallet_id, asset_id, window_key, value, record_id, usage_time)
 ORDER BY v.account_id COLLATE "C", v.wallet_id, v.asset_id, v.window_key COLLATE "C", v.value COLLATE "C",
          v.usage_time, v.record_id COLLATE "C"
    ON CONFLICT (tenant_id, account_id, wallet_id, asset_id, window_key, value)
    DO UPDATE SET record_id = unique_values.record_id WHERE false
RETURNING account_id, record_id;

-- name: forget_values
-- The values that were counted by records that are then refused.
--   $1 tenant_id uuid, $2 account_ids text[], $3 wallet_ids uuid[], $4 asset_ids uuid[], $5 record_ids text[]
DELETE FROM unique_values AS v
 USING unnest($2::text[], $3::uuid[], $4::uuid[], $5::text[]) AS k (account_id, wallet_id, asset_id, record_id)
 WHERE v.tenant_id = $1 AND v.account_id = k.account_id AND v.wallet_id = k.wallet_id
   AND v.asset_id = k.asset_id AND v.record_id = k.record_id;

-- name: lock_values
-- The stored records that count some values; a value of this transaction has no stored record yet. Locked one by
-- one in key order, so that concurrent batches cannot deadlock.
--   $1 tenant_id uuid, $2 account_ids text[], $3 wallet_ids uuid[], $4 asset_ids uuid[],
--   $5 window_keys text[], $6 values text[]
SELECT k.account_id, k.wallet_id, k.asset_id, k.window_key, k.value, r.record_id, r.usage_time, r.usage_summary_id
  FROM (SELECT u.* FROM unnest($2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::text[])
               AS u (account_id, wallet_id, asset_id, window_key, value)
         ORDER BY u.account_id COLLATE "C", u.wallet_id, u.asset_id, u.window_key COLLATE "C",
                  u.value COLLATE "C") AS k
 CROSS JOIN LATERAL (
       SELECT v.record_id FROM unique_values AS v
        WHERE v.tenant_id = $1 AND v.account_id = k.account_id AND v.wallet_id = k.wallet_id
          AND v.asset_id = k.asset_id AND v.window_key = k.window_key AND v.value = k.value
          FOR UPDATE) AS c
 CROSS JOIN LATERAL (
       SELECT u.record_id, u.usage_time, u.usage_summary_id FROM usage_records AS u
        WHERE u.tenant_id = $1 AND u.account_id = k.account_id AND u.record_id = c.record_id LIMIT 1) AS r;

-- name: give_values
-- The values are locked.
--   $1 tenant_id uuid, $2 account_ids text[], $3 wallet_ids uuid[], $4 asset_ids uuid[],
--   $5 window_keys text[], $6 values text[], $7 record_ids text[]
UPDATE unique_values AS v SET record_id = k.record_id
  FROM unnest($2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[])
       AS k (account_id, wallet_id, asset_id, window_key, value, record_id)
 WHERE v.tenant_id = $1 AND v.account_id = k.account_id AND v.wallet_id = k.wallet_id
   AND v.asset_id = k.asset_id AND v.window_key = k.window_key AND v.value = k.value;

-- name: count_nothing
-- The records whose values others count now. What they sent is unchanged.
--   $1 tenant_id uuid, $2 account_ids text[], $3 record_ids text[]
UPDATE usage_records AS r SET counted_quantity = 0
  FROM unnest($2::text[], $3::text[]) AS k (account_id, record_id)
 WHERE r.tenant_id = $1 AND r.account_id = k.account_id AND r.record_id = k.record_id;

-- name: lock_cells
-- Locked in key order, before records are added: a transaction that adds to one of these cells has committed before,
-- and is seen by `measure_again`, or adds to the new measure after it.
--   $1 tenant_id uuid, $2 account_ids text[], $3 usage_summary_ids uuid[]
SELECT s.usage_summary_id
  FROM (SELECT u.* FROM unnest($2::text[], $3::uuid[]) AS u (account_id, usage_summary_id)
         ORDER BY u.account_id COLLATE "C", u.usage_summary_id) AS k
 CROSS JOIN LATERAL (
       SELECT c.usage_summary_id FROM usage_summaries AS c
        WHERE c.tenant_id = $1 AND c.account_id = k.account_id AND c.usage_summary_id = k.usage_summary_id
          FOR UPDATE) AS s;

-- name: measure_again
-- The cells of records that count no longer, after the new records were added. They are locked, and their periods
-- are kept open by a lock. The count and the latest record of a cell stay; only what the latest one counts can be another.
--   $1 tenant_id uuid, $2 account_ids text[], $3 usage_summary_ids uuid[]
UPDATE usage_summaries AS s
   SET sum_quantity = m.total, max_quantity = m.largest, min_quantity = m.smallest, last_quantity = m.latest
  FROM unnest($2::text[], $3::uuid[]) AS k (account_id, usage_summary_id)
 CROSS JOIN LATERAL (
       SELECT sum(r.counted_quantity) AS total, max(r.counted_quantity) AS largest,
              min(r.counted_quantity) AS smallest,
              (array_agg(r.counted_quantity ORDER BY r.usage_time DESC, r.record_id DESC))[1] AS latest
         FROM usage_records AS r
         JOIN usage_summaries AS c
           ON c.tenant_id = $1 AND c.account_id = k.account_id AND c.usage_summary_id = k.usage_summary_id
        WHERE r.tenant_id = $1 AND r.account_id = k.account_id AND r.usage_summary_id = k.usage_summary_id
          AND r.usage_time >= c.start_time AND r.usage_time < c.end_time AND r.usage_time > '-infinity'
          AND r.state = 'ACTIVE') AS m
 WHERE s.tenant_id = $1 AND s.account_id = k.account_id AND s.usage_summary_id = k.usage_summary_id;

-- name: find_first
-- The earliest record of each value in its window, if there is one. The records of a window are read once for all
-- of its values.
--   $1 tenant_id uuid, $2 window_numbers integer[], $3 account_ids text[], $4 asset_ids uuid[],
--   $5 usage_resource_ids text[], $6 labels text[], $7 start_times timestamptz[], $8 end_times timestamptz[],
--   $9 value_numbers integer[], $10 windows_of_values integer[], $11 dimensions text[], $12 values text[]
SELECT DISTINCT ON (v.number) v.number, r.record_id, r.usage_time, r.usage_summary_id
  FROM unnest($2::integer[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::timestamptz[], $8::timestamptz[])
       AS w (number, account_id, asset_id, usage_resource_id, label, start_time, end_time)
 CROSS JOIN LATERAL (
       SELECT u.record_id, u.usage_time, u.usage_summary_id, u.labels ->> w.label AS value, c.dimensions
         FROM usage_records AS u
         JOIN usage_summaries AS c
           ON c.tenant_id = $1 AND c.account_id = w.account_id AND c.usage_summary_id = u.usage_summary_id
        WHERE u.tenant_id = $1 AND u.account_id = w.account_id AND u.usage_time > '-infinity'
          AND u.usage_time >= w.start_time AND u.usage_time < w.end_time AND u.asset_id = w.asset_id
          AND u.usage_resource_id = w.usage_resource_id AND u.state = 'ACTIVE' OFFSET 0) AS r
  JOIN unnest($9::integer[], $10::integer[], $11::text[], $12::text[]) AS v (number, window_number, dimensions, value)
    ON v.window_number = w.number AND v.dimensions = r.dimensions AND v.value = r.value
 ORDER BY v.number, r.usage_time, r.record_id COLLATE "C";

-- name: count_one
-- The records that count values now.
--   $1 tenant_id uuid, $2 account_ids text[], $3 record_ids text[]
UPDATE usage_records AS r SET counted_quantity = 1
  FROM unnest($2::text[], $3::text[]) AS k (account_id, record_id)
 WHERE r.tenant_id = $1 AND r.account_id = k.account_id AND r.record_id = k.record_id;

-- name: drop_values
-- The values that no record has any more. They are locked.
--   $1 tenant_id uuid, $2 account_ids text[], $3 wallet_ids uuid[], $4 asset_ids uuid[],
--   $5 window_keys text[], $6 values text[]
DELETE FROM unique_values AS v
 USING unnest($2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::text[])
       AS k (account_id, wallet_id, asset_id, window_key, value)
 WHERE v.tenant_id = $1 AND v.account_id = k.account_id AND v.wallet_id = k.wallet_id
   AND v.asset_id = k.asset_id AND v.window_key = k.window_key AND v.value = k.value;
