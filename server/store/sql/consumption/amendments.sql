-- The writes of amendments and voids. Locks are taken in the order periods, unique values, records, cells, each by
-- key.

-- name: find_known
-- The records that exist, each with its cell and the digests of its earlier revisions. Each is looked up by key.
--   $1 tenant_id uuid, $2 account_ids text[], $3 record_ids text[]
SELECT r.account_id, r.record_id, r.asset_id, r.usage_resource_id, r.quantity, r.unit_of_measure_id,
       r.counted_quantity, r.usage_time, r.labels, r.content_hash, r.revision, r.state, r.void_time,
       r.usage_summary_id, c.wallet_id, c.period_start_time, e.earlier_hashes, e.earlier_revisions
  FROM unnest($2::text[], $3::text[]) AS k (account_id, record_id)
 CROSS JOIN LATERAL (
       SELECT u.* FROM usage_records AS u
        WHERE u.tenant_id = $1 AND u.account_id = k.account_id AND u.record_id = k.record_id LIMIT 1) AS r
 CROSS JOIN LATERAL (
       SELECT s.wallet_id, s.period_start_time FROM usage_summaries AS s
        WHERE s.tenant_id = $1 AND s.account_id = k.account_id AND s.usage_summary_id = r.usage_summary_id
        LIMIT 1) AS c
  LEFT JOIN LATERAL (
       SELECT array_agg(v.content_hash ORDER BY v.revision) AS earlier_hashes,
              array_agg(v.revision ORDER BY v.revision) AS earlier_revisions
         FROM usage_record_revisions AS v
        WHERE v.tenant_id = $1 AND v.account_id = k.account_id AND v.record_id = k.record_id) AS e
    ON r.revision > 1
 ORDER BY r.account_id, r.record_id;

-- name: lock_records
-- Locked one by one in key order.
--   $1 tenant_id uuid, $2 account_ids text[], $3 record_ids text[]
SELECT r.account_id, r.record_id, r.revision, r.state
  FROM (SELECT u.* FROM unnest($2::text[], $3::text[]) AS u (account_id, record_id)
         ORDER BY u.account_id COLLATE "C", u.record_id COLLATE "C") AS k
 CROSS JOIN LATERAL (
       SELECT o.account_id, o.record_id, o.revision, o.state FROM usage_records AS o
        WHERE o.tenant_id = $1 AND o.account_id = k.account_id AND o.record_id = k.record_id
          FOR NO KEY UPDATE) AS r;

-- name: void_records
-- The records are locked. A worker voids in the name of the credential that began the run.
--   $1 tenant_id uuid, $2 account_ids text[], $3 record_ids text[], $4 reason text, $5 credential_id uuid or null
UPDATE usage_records AS r
   SET state = 'VOIDED', void_time = clock_timestamp(), void_reason = nullif($4, ''),
       voided_by = coalesce($5::uuid, calling_credential())
  FROM unnest($2::text[], $3::text[]) AS k (account_id, record_id)
 WHERE r.tenant_id = $1 AND r.account_id = k.account_id AND r.record_id = k.record_id AND r.state = 'ACTIVE';

-- name: keep_revisions
-- The content of records before they are amended. The records are locked.
--   $1 tenant_id uuid, $2 account_ids text[], $3 record_ids text[]
INSERT INTO usage_record_revisions (tenant_id, account_id, record_id, revision, asset_id, usage_resource_id, quantity,
                                    unit_of_measure_id, usage_time, labels, content_hash, create_time, created_by)
SELECT $1, r.account_id, r.record_id, r.revision, r.asset_id, r.usage_resource_id, r.quantity, r.unit_of_measure_id,
       r.usage_time, r.labels, r.content_hash, coalesce(r.amend_time, r.create_time),
       CASE WHEN r.revision > 1 THEN r.amended_by ELSE r.created_by END
  FROM unnest($2::text[], $3::text[]) AS k (account_id, record_id)
 CROSS JOIN LATERAL (
       SELECT u.* FROM usage_records AS u
        WHERE u.tenant_id = $1 AND u.account_id = k.account_id AND u.record_id = k.record_id LIMIT 1) AS r;

-- name: amend_records
-- The records are locked, and their present content is kept. A worker amends in the name of the credential that began
-- the run.
--   $1 tenant_id uuid, $2 account_ids text[], $3 record_ids text[], $4 usage_summary_ids uuid[], $5 asset_ids uuid[],
--   $6 usage_resource_ids text[], $7 quantities numeric[], $8 unit_of_measure_ids text[],
--   $9 counted_quantities numeric[], $10 usage_times timestamptz[], $11 labels jsonb[], $12 content_hashes bytea[],
--   $13 credential_id uuid or null
UPDATE usage_records AS r
   SET usage_summary_id = n.usage_summary_id, asset_id = n.asset_id, usage_resource_id = n.usage_resource_id,
       quantity = n.quantity, unit_of_measure_id = n.unit_of_measure_id, counted_quantity = n.counted_quantity,
       usage_time = n.usage_time, labels = n.labels, content_hash = n.content_hash, revision = r.revision + 1,
       amend_time = clock_timestamp(), amended_by = coalesce($13::uuid, calling_credential())
  FROM unnest($2::text[], $3::text[], $4::uuid[], $5::uuid[], $6::text[], $7::numeric[], $8::text[], $9::numeric[],
              $10::timestamptz[], $11::jsonb[], $12::bytea[])
       AS n (account_id, record_id, usage_summary_id, asset_id, usage_resource_id, quantity, unit_of_measure_id,
             counted_quantity, usage_time, labels, content_hash)
 WHERE r.tenant_id = $1 AND r.account_id = n.account_id AND r.record_id = n.record_id;

-- name: add_empty_cells
-- The cells that amended records enter; they are measured afterwards.
--   $1 tenant_id uuid, $2 account_ids text[], $3 usage_summary_ids uuid[], $4 wallet_ids uuid[], $5 asset_ids uuid[],
--   $6 usage_resource_ids text[], $7 start_times timestamptz[], $8 end_times timestamptz[],
--   $9 period_start_times timestamptz[], $10 dimensions text[], $11 unit_numerators numeric[],
--   $12 unit_denominators numeric[]
INSERT INTO usage_summaries
       (tenant_id, account_id, usage_summary_id, wallet_id, asset_id, usage_resource_id, start_time, end_time,
        period_start_time, record_count, sum_quantity, max_quantity, min_quantity, last_quantity, last_time,
        last_record_id, dimensions, unit_numerator, unit_denominator)
SELECT $1, c.account_id, c.usage_summary_id, c.wallet_id, c.asset_id, c.usage_resource_id, c.start_time, c.end_time,
       c.period_start_time, 0, 0, 0, 0, 0, c.start_time, '', c.dimensions, c.unit_numerator,
       c.unit_denominator
  FROM unnest($2::text[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::timestamptz[], $8::timestamptz[],
              $9::timestamptz[], $10::text[], $11::numeric[], $12::numeric[])
       AS c (account_id, usage_summary_id, wallet_id, asset_id, usage_resource_id, start_time, end_time,
             period_start_time, dimensions, unit_numerator, unit_denominator)
 ORDER BY c.account_id COLLATE "C", c.usage_summary_id
    ON CONFLICT DO NOTHING;

-- name: measure_cells
-- Everything that is known of cells, from the records in them that count. The cells are locked. A cell without such
-- records has zeros, its start as its last time, and for a gauge no time at all: it is no standing cell.
--   $1 tenant_id uuid, $2 account_ids text[], $3 usage_summary_ids uuid[]
UPDATE usage_summaries AS s
   SET record_count = m.n, sum_quantity = m.total, max_quantity = m.largest, min_quantity = m.smallest,
       last_quantity = m.latest, last_time = m.last_time, last_record_id = m.last_record_id,
       first_time = m.first_time, held_quantity = m.held
  FROM unnest($2::text[], $3::uuid[]) AS k (account_id, usage_summary_id)
 CROSS JOIN LATERAL (
       SELECT c.start_time, c.end_time, c.unit_numerator = c.unit_denominator AS is_counted,
              w.aggregation_method = 'TIME_WEIGHTED' AS is_gauge
         FROM usage_summaries AS c
         JOIN wallets AS w ON w.tenant_id = $1 AND w.account_id = k.account_id AND w.wallet_id = c.wallet_id
        WHERE c.tenant_id = $1 AND c.account_id = k.account_id AND c.usage_summary_id = k.usage_summary_id
        LIMIT 1) AS c
 CROSS JOIN LATERAL (
       SELECT count(*) AS n, coalesce(sum(q.quantity), 0) AS total, coalesce(max(q.quantity), 0) AS largest,
              coalesce(min(q.quantity), 0) AS smallest,
              coalesce((array_agg(q.quantity ORDER BY q.usage_time DESC, q.record_id DESC))[1], 0) AS latest,
              coalesce(max(q.usage_time), c.start_time) AS last_time,
              coalesce((array_agg(q.record_id ORDER BY q.usage_time DESC, q.record_id DESC))[1], '')
              AS last_record_id,
              CASE WHEN c.is_gauge THEN min(q.usage_time) END AS first_time,
              CASE WHEN c.is_gauge AND count(*) > 0
                   THEN coalesce(sum(q.quantity * extract(epoch FROM q.next_time - q.usage_time)), 0) END AS held
         FROM (SELECT r.record_id, r.usage_time,
                      CASE WHEN c.is_counted THEN r.counted_quantity ELSE r.quantity END AS quantity,
                      lead(r.usage_time) OVER (ORDER BY r.usage_time, r.record_id) AS next_time
                 FROM usage_records AS r
                WHERE r.tenant_id = $1 AND r.account_id = k.account_id AND r.usage_summary_id = k.usage_summary_id
                  AND r.usage_time >= c.start_time AND r.usage_time < c.end_time AND r.usage_time > '-infinity'
                  AND r.state = 'ACTIVE') AS q) AS m
 WHERE s.tenant_id = $1 AND s.account_id = k.account_id AND s.usage_summary_id = k.usage_summary_id;
