-- The writes of recording. Locks are taken in the order periods, records, cells, each by key.

-- name: find_external_assets
-- The assets that records name by the caller's own ids, each looked up by key.
--   $1 tenant_id uuid, $2 account_ids text[], $3 external_ids text[]
SELECT a.account_id, a.external_id, a.asset_id
  FROM unnest($2::text[], $3::text[]) AS k (account_id, external_id)
 CROSS JOIN LATERAL (
       SELECT s.account_id, s.external_id, s.asset_id FROM assets AS s
        WHERE s.tenant_id = $1 AND s.account_id = k.account_id AND s.external_id = k.external_id LIMIT 1) AS a
 ORDER BY a.account_id COLLATE "C", a.external_id COLLATE "C";

-- name: find_meters
-- The wallets and policies for the usage of some resources of some assets. A row has nulls if the asset does
-- not have the resource; only then is the existence of the asset checked. Each LIMIT 1 forces a look-up by key:
-- without statistics of the table, the planner would scan the tenant for every record. The meters of assets that were
-- bound otherwise before are asked for with `former`.
--   $1 tenant_id uuid, $2 account_ids text[], $3 asset_ids uuid[], $4 usage_resource_ids text[], $5 former boolean
SELECT k.account_id, k.asset_id, k.usage_resource_id, r.wallet_id, r.start_time, r.end_time, r.bound_time, r.is_blocking,
       CASE WHEN r.token_wallet_id IS NOT NULL
            THEN (SELECT t.wallet_id FROM asset_resources AS t
                   WHERE t.tenant_id = $1 AND t.account_id = k.account_id AND t.asset_id = k.asset_id
                     AND t.wallet_id = r.token_wallet_id AND t.overage = 'BLOCK') END AS blocking_tokens,
       w.unit_of_measure_id, w.aggregation_method, w.aggregation_period, w.aggregation_label, w.dimensions,
       w.rating_period, w.waiting_days, w.waiting_hours, w.late_policy,
       u.unit_class_id, u.factor, u.divisor, u.scale, e.time_zone, e.anchor_date, e.start_date,
       CASE WHEN r.wallet_id IS NULL
            THEN EXISTS (SELECT FROM assets AS a WHERE a.tenant_id = $1 AND a.account_id = k.account_id
                                                   AND a.asset_id = k.asset_id)
            ELSE true END AS is_asset
  FROM unnest($2::text[], $3::uuid[], $4::text[]) AS k (account_id, asset_id, usage_resource_id)
  LEFT JOIN LATERAL (
       SELECT CASE WHEN $5::boolean THEN a.former_wallet_id ELSE a.wallet_id END AS wallet_id, a.start_time, a.end_time,
              a.bound_time, a.overage = 'BLOCK' AS is_blocking, a.token_wallet_id
         FROM asset_resources AS a
        WHERE a.tenant_id = $1 AND a.account_id = k.account_id AND a.asset_id = k.asset_id
          AND a.usage_resource_id = k.usage_resource_id AND a.role = 'ANCHOR' LIMIT 1) AS r ON true
  LEFT JOIN LATERAL (
       SELECT a.entitlement_account_id, a.unit_of_measure_id, a.aggregation_method, a.aggregation_period, a.aggregation_label,
              a.dimensions, a.rating_period, a.waiting_days, a.waiting_hours, a.late_policy FROM wallets AS a
        WHERE a.tenant_id = $1 AND a.account_id = k.account_id AND a.wallet_id = r.wallet_id
        LIMIT 1) AS w ON true
  LEFT JOIN LATERAL (
       SELECT a.time_zone, a.anchor_date, a.start_date FROM entitlement_accounts AS a
        WHERE a.tenant_id = $1 AND a.account_id = k.account_id
          AND a.entitlement_account_id = w.entitlement_account_id LIMIT 1) AS e ON true
  LEFT JOIN units_of_measure AS u
    ON u.tenant_id = $1 AND u.unit_of_measure_id = w.unit_of_measure_id
 ORDER BY k.account_id COLLATE "C", k.asset_id, k.usage_resource_id COLLATE "C";

-- name: find_units
-- The units that records name, other than those of their wallets. Money is not converted, so currencies are
-- left out.
--   $1 tenant_id uuid, $2 unit_of_measure_ids text[]
SELECT u.unit_of_measure_id, u.unit_class_id, u.factor, u.divisor, u.scale, u.state
  FROM units_of_measure AS u
  JOIN unit_classes AS c
    ON c.tenant_id = $1 AND c.unit_class_id = u.unit_class_id AND c.kind <> 'CURRENCY'
 WHERE u.tenant_id = $1 AND u.unit_of_measure_id = ANY ($2::text[])
 ORDER BY u.unit_of_measure_id;

-- name: lock_periods
-- An open period stays open until this transaction ends, because freezing it waits for the lock. The rows are
-- locked one by one in key order.
--   $1 tenant_id uuid, $2 account_ids text[], $3 wallet_ids uuid[], $4 start_times timestamptz[]
SELECT p.account_id, p.wallet_id, p.start_time, p.state, p.has_moved
  FROM (SELECT u.account_id, u.wallet_id, u.start_time
          FROM unnest($2::text[], $3::uuid[], $4::timestamptz[]) AS u (account_id, wallet_id, start_time)
         ORDER BY u.account_id COLLATE "C", u.wallet_id, u.start_time) AS k
 CROSS JOIN LATERAL (
       SELECT r.account_id, r.wallet_id, r.start_time, r.state, r.has_moved FROM rating_periods AS r
        WHERE r.tenant_id = $1 AND r.account_id = k.account_id AND r.wallet_id = k.wallet_id
          AND r.start_time = k.start_time
          FOR SHARE) AS p;

-- name: rebound
-- True if usage of some assets at some times draws on other wallets than these: they were bound otherwise after this
-- was read.
--   $1 tenant_id uuid, $2 account_ids text[], $3 asset_ids uuid[], $4 usage_resource_ids text[],
--   $5 wallet_ids uuid[], $6 times timestamptz[]
SELECT EXISTS (
       SELECT FROM unnest($2::text[], $3::uuid[], $4::text[], $5::uuid[], $6::timestamptz[])
                   AS k (account_id, asset_id, usage_resource_id, wallet_id, at)
        CROSS JOIN LATERAL (
              SELECT CASE WHEN r.bound_time > k.at THEN r.former_wallet_id ELSE r.wallet_id END AS wallet_id
                FROM asset_resources AS r
               WHERE r.tenant_id = $1 AND r.account_id = k.account_id AND r.asset_id = k.asset_id
                 AND r.usage_resource_id = k.usage_resource_id LIMIT 1) AS r
        WHERE r.wallet_id <> k.wallet_id);

-- name: queue_openers
-- Transactions that open periods of one wallet run one after the other. Otherwise an older period could be
-- opened unseen while a newer one, opened a moment later, is already settled. A close never takes this lock.
--   $1 wallet_keys bigint[]
SELECT count(pg_advisory_xact_lock(k.key))
  FROM (SELECT DISTINCT key FROM unnest($1::bigint[]) AS w (key) ORDER BY key) AS k;

-- name: lock_followers
-- The first period of the wallet after each of these, kept open by the lock. Periods are settled in time order,
-- so a period cannot be opened once a later one is closed.
--   $1 tenant_id uuid, $2 account_ids text[], $3 wallet_ids uuid[], $4 start_times timestamptz[]
SELECT k.account_id, k.wallet_id, k.start_time, f.state
  FROM unnest($2::text[], $3::uuid[], $4::timestamptz[]) AS k (account_id, wallet_id, start_time)
 CROSS JOIN LATERAL (
       SELECT p.state FROM rating_periods AS p
        WHERE p.tenant_id = $1 AND p.account_id = k.account_id AND p.wallet_id = k.wallet_id
          AND p.start_time > k.start_time
        ORDER BY p.start_time LIMIT 1 FOR SHARE OF p) AS f;

-- name: first_open
-- The first open period of each wallet: it bills what late usage changes in final ones.
--   $1 tenant_id uuid, $2 account_ids text[], $3 wallet_ids uuid[]
SELECT k.account_id, k.wallet_id, f.start_time, f.end_time, f.freeze_time
  FROM unnest($2::text[], $3::uuid[]) AS k (account_id, wallet_id)
 CROSS JOIN LATERAL (
       SELECT p.start_time, p.end_time, p.freeze_time FROM rating_periods AS p
        WHERE p.tenant_id = $1 AND p.account_id = k.account_id AND p.wallet_id = k.wallet_id
          AND p.state = 'OPEN'
        ORDER BY p.start_time LIMIT 1) AS f;

-- name: find_invoiced
-- The final periods whose billing period has a line in an invoice.
--   $1 tenant_id uuid, $2 account_ids text[], $3 wallet_ids uuid[], $4 start_times timestamptz[],
--   $5 end_times timestamptz[]
SELECT k.account_id, k.wallet_id, k.start_time
  FROM unnest($2::text[], $3::uuid[], $4::timestamptz[], $5::timestamptz[])
       AS k (account_id, wallet_id, start_time, end_time)
 WHERE EXISTS (
       SELECT FROM liable_summaries AS l
        WHERE l.tenant_id = $1 AND l.account_id = k.account_id AND l.wallet_id = k.wallet_id
          AND l.start_time < k.end_time AND l.end_time > k.start_time AND l.start_time > '-infinity'
          AND l.state = 'INVOICED');

-- name: add_records
-- An existing id is left unchanged and not returned. Sorted, so that concurrent batches cannot deadlock. Texts
-- and numbers are joined by the character 31, which none of them may contain: the driver encodes arrays item by
-- item, which costs a fifth of the whole statement. The credential is read once; the default of the column
-- would read it for each row.
--   $1 tenant_id uuid, $2 account_ids text, $3 record_ids text, $4 usage_summary_ids uuid[],
--   $5 asset_ids uuid[], $6 usage_resource_ids text, $7 quantities text, $8 unit_of_measure_ids text,
--   $9 counted_quantities text, $10 usage_times timestamptz[], $11 labels jsonb[], $12 content_hashes bytea[]
INSERT INTO usage_records (tenant_id, account_id, record_id, usage_summary_id, asset_id, usage_resource_id,
                           quantity, unit_of_measure_id, counted_quantity, usage_time, labels, content_hash,
                           created_by)
SELECT $1, r.account_id, r.record_id, r.usage_summary_id, r.asset_id, r.usage_resource_id,
       r.quantity::numeric, r.unit_of_measure_id, r.counted_quantity::numeric, r.usage_time, r.labels,
       r.content_hash, (SELECT calling_credential())
  FROM unnest(string_to_array($2, chr(31)), string_to_array($3, chr(31)), $4::uuid[], $5::uuid[],
              string_to_array($6, chr(31)), string_to_array($7, chr(31)), string_to_array($8, chr(31)),
              string_to_array($9, chr(31)), $10::timestamptz[], $11::jsonb[], $12::bytea[])
       AS r (account_id, record_id, usage_summary_id, asset_id, usage_resource_id, quantity,
             unit_of_measure_id, counted_quantity, usage_time, labels, content_hash)
 ORDER BY r.account_id COLLATE "C", r.record_id COLLATE "C"
    ON CONFLICT (tenant_id, account_id, record_id) DO NOTHING
RETURNING account_id, record_id;

-- name: find_records
-- The records that existed before. This statement runs after the insert, so that it sees the records that the
-- insert met. Each is looked up by key: before the table is analyzed, other plans look as cheap, but read whole
-- accounts.
--   $1 tenant_id uuid, $2 account_ids text[], $3 record_ids text[]
SELECT r.account_id, r.record_id, r.asset_id, r.usage_resource_id, r.quantity, r.unit_of_measure_id,
       r.usage_time, r.labels, r.content_hash, r.revision, r.state, e.earlier_hashes, e.earlier_revisions
  FROM unnest($2::text[], $3::text[]) AS k (account_id, record_id)
 CROSS JOIN LATERAL (
       SELECT u.* FROM usage_records AS u
        WHERE u.tenant_id = $1 AND u.account_id = k.account_id AND u.record_id = k.record_id LIMIT 1) AS r
  LEFT JOIN LATERAL (
       SELECT array_agg(v.content_hash ORDER BY v.revision) AS earlier_hashes,
              array_agg(v.revision ORDER BY v.revision) AS earlier_revisions
         FROM usage_record_revisions AS v
        WHERE v.tenant_id = $1 AND v.account_id = k.account_id AND v.record_id = k.record_id) AS e
    ON r.revision > 1
 ORDER BY r.account_id, r.record_id;

-- name: add_to_cells
-- Adds the measures of new records. A lock keeps open periods open; those that are final wait for a correction.
-- Texts and numbers are joined by the character 31, as in `add_records`.
--   $1 tenant_id uuid, $2 account_ids text, $3 usage_summary_ids uuid[], $4 wallet_ids uuid[],
--   $5 asset_ids uuid[], $6 usage_resource_ids text, $7 start_times timestamptz[],
--   $8 end_times timestamptz[], $9 period_start_times timestamptz[],
--   $10 record_counts bigint[], $11 sums text, $12 maxima text, $13 minima text,
--   $14 lasts text, $15 last_times timestamptz[], $16 last_record_ids text, $17 dimensions text,
--   $18 unit_numerators numeric[], $19 unit_denominators numeric[]
INSERT INTO usage_summaries AS s
       (tenant_id, account_id, usage_summary_id, wallet_id, asset_id, usage_resource_id, start_time, end_time,
        period_start_time, record_count, sum_quantity, max_quantity, min_quantity,
        last_quantity, last_time, last_record_id, dimensions, unit_numerator, unit_denominator)
SELECT $1, c.account_id, c.usage_summary_id, c.wallet_id, c.asset_id, c.usage_resource_id, c.start_time,
       c.end_time, c.period_start_time, c.record_count, c.sum_quantity::numeric,
       c.max_quantity::numeric, c.min_quantity::numeric, c.last_quantity::numeric, c.last_time, c.last_record_id,
       coalesce(c.dimensions, ''),  -- string_to_array splits an empty text into no items
       c.unit_numerator, c.unit_denominator
  FROM unnest(string_to_array($2, chr(31)), $3::uuid[], $4::uuid[], $5::uuid[],
              string_to_array($6, chr(31)), $7::timestamptz[], $8::timestamptz[], $9::timestamptz[],
              $10::bigint[], string_to_array($11, chr(31)),
              string_to_array($12, chr(31)), string_to_array($13, chr(31)),
              string_to_array($14, chr(31)), $15::timestamptz[], string_to_array($16, chr(31)),
              string_to_array($17, chr(31)), $18::numeric[], $19::numeric[])
       AS c (account_id, usage_summary_id, wallet_id, asset_id, usage_resource_id, start_time, end_time,
             period_start_time, record_count, sum_quantity, max_quantity, min_quantity,
             last_quantity, last_time, last_record_id, dimensions, unit_numerator, unit_denominator)
 ORDER BY c.account_id COLLATE "C", c.usage_summary_id
    ON CONFLICT (tenant_id, account_id, usage_summary_id) DO UPDATE
   SET record_count = s.record_count + excluded.record_count,
       sum_quantity = s.sum_quantity + excluded.sum_quantity,
       max_quantity = greatest(s.max_quantity, excluded.max_quantity),
       -- A cell whose records are all voided has zeros.
       min_quantity = CASE WHEN s.record_count = 0 THEN excluded.min_quantity
                           ELSE least(s.min_quantity, excluded.min_quantity) END,
       last_quantity = CASE WHEN (excluded.last_time, excluded.last_record_id) > (s.last_time, s.last_record_id)
                            THEN excluded.last_quantity ELSE s.last_quantity END,
       last_record_id = CASE WHEN (excluded.last_time, excluded.last_record_id) > (s.last_time, s.last_record_id)
                             THEN excluded.last_record_id ELSE s.last_record_id END,
       last_time = greatest(s.last_time, excluded.last_time);

-- name: measure_gauges
-- What the cells of gauges held, from all of their records, after new ones were added. The cells are locked. The
-- keys of a cell bound the search for its records.
--   $1 tenant_id uuid, $2 account_ids text[], $3 usage_summary_ids uuid[]
UPDATE usage_summaries AS s
   SET first_time = m.first_time, held_quantity = m.held
  FROM unnest($2::text[], $3::uuid[]) AS k (account_id, usage_summary_id)
 CROSS JOIN LATERAL (
       SELECT min(h.usage_time) AS first_time,
              coalesce(sum(h.counted_quantity * extract(epoch FROM h.next_time - h.usage_time)), 0) AS held
         FROM (SELECT r.counted_quantity, r.usage_time,
                      lead(r.usage_time) OVER (ORDER BY r.usage_time, r.record_id) AS next_time
                 FROM usage_records AS r
                 JOIN usage_summaries AS c
                   ON c.tenant_id = $1 AND c.account_id = k.account_id AND c.usage_summary_id = k.usage_summary_id
                WHERE r.tenant_id = $1 AND r.account_id = k.account_id
                  AND r.usage_summary_id = k.usage_summary_id AND r.usage_time >= c.start_time
                  AND r.usage_time < c.end_time AND r.usage_time > '-infinity' AND r.state = 'ACTIVE') AS h) AS m
 WHERE s.tenant_id = $1 AND s.account_id = k.account_id AND s.usage_summary_id = k.usage_summary_id;
