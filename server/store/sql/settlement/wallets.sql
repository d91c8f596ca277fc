-- Wallets with everything that a balance or a settlement is computed from, in one statement and so at one
-- moment.

-- name: wallet_states
-- Numbers are text, because JSON numbers are not exact; the arrays are text too, so that equal ones are decoded
-- once. Usage counts while its period is not final. From the earliest final period on that is not as it was
-- settled, or from a time that is asked for, final usage is included, with the effects of all entries since then.
-- With `until`, neither periods that start later nor effects of later periods are read.
-- For a wallet of tokens, this is its final period around the earliest such period of the usage rated in it.
-- With `with_sources`, the wallets that are rated in the tokens of these wallets are included, and those from which
-- grants move here while the moves are not posted, or can change with what is not taken in.
-- With `with_unbilled`, what is booked in money and in no invoice-ready line yet, less all that was booked for the
-- final usage that is included.
-- For the assets of a shared target, a row tells if their rates are fixed; for those of an asset alone, it is
-- null. Settled and expired data are not read, so a read and a close cost the same however old the wallet is.
-- LATERAL and OFFSET 0 make each part a look-up for one wallet or period. The time is a value, not a function
-- call, so that an index can be used.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid or null for all, $4 after_resource text,
--   $5 after_wallet_id uuid, $6 limit bigint, $7 with_sources boolean, $8 usage_resource_id text or null,
--   $9 asset_id uuid or null, whose usage draws on the wallets, $10 start_create_time timestamptz or null,
--   $11 end_create_time timestamptz or null, $12 with_pending boolean, $13 since_wallet_ids uuid[],
--   $14 since_times timestamptz[], $15 until timestamptz or null, $16 with_unbilled boolean
WITH clock AS MATERIALIZED (SELECT tenant_now($1) AS now),
asked AS (
    SELECT w.wallet_id FROM wallets AS w
     WHERE w.tenant_id = $1 AND w.account_id = $2 AND ($3::uuid IS NULL OR w.wallet_id = $3)
       AND ($4::text IS NULL OR (w.usage_resource_id, w.wallet_id) > ($4, $5::uuid))
       AND ($8::text IS NULL OR w.usage_resource_id = $8)
       AND ($9::uuid IS NULL OR EXISTS (
           SELECT FROM asset_resources AS h
            WHERE h.tenant_id = $1 AND h.account_id = $2 AND h.asset_id = $9
              AND w.wallet_id IN (h.wallet_id, h.token_wallet_id)))
       AND ($10::timestamptz IS NULL OR w.create_time >= $10)
       AND ($11::timestamptz IS NULL OR w.create_time < $11)
     ORDER BY w.usage_resource_id, w.wallet_id LIMIT $6),
wanted AS (
    SELECT wallet_id, NULL::uuid AS token_wallet_id, NULL::uuid AS moved_to_id FROM asked
    UNION
    SELECT h.wallet_id, h.token_wallet_id, NULL
      FROM asked JOIN asset_resources AS h
        ON h.tenant_id = $1 AND h.account_id = $2 AND h.token_wallet_id = asked.wallet_id
     WHERE $7::boolean
    UNION
    SELECT h.former_wallet_id, NULL, h.wallet_id
      FROM asked JOIN asset_resources AS h
        ON h.tenant_id = $1 AND h.account_id = $2 AND h.wallet_id = asked.wallet_id
       AND h.former_wallet_id IS NOT NULL
     WHERE $7::boolean AND (
           NOT EXISTS (SELECT FROM rating_periods AS p
                        WHERE p.tenant_id = $1 AND p.account_id = $2 AND p.wallet_id = h.former_wallet_id
                          AND p.state = 'FINAL' AND p.end_time >= h.moved_time)
           OR EXISTS (SELECT FROM pending_corrections AS p
                       WHERE p.tenant_id = $1 AND p.account_id = $2 AND p.wallet_id = h.former_wallet_id
                         AND p.start_time < h.moved_time)
           OR EXISTS (SELECT FROM unnest($13::uuid[], $14::timestamptz[]) AS k (wallet_id, since)
                       WHERE k.wallet_id = h.former_wallet_id AND k.since < h.moved_time))),
marked AS (
    SELECT n.wallet_id, n.token_wallet_id, n.moved_to_id, least(
           (SELECT min(k.since) FROM unnest($13::uuid[], $14::timestamptz[]) AS k (wallet_id, since)
             WHERE k.wallet_id = n.wallet_id),
           CASE WHEN $12::boolean THEN (
                SELECT p.start_time FROM pending_corrections AS p
                 WHERE p.tenant_id = $1 AND p.account_id = $2 AND p.wallet_id = n.wallet_id
                 ORDER BY p.start_time LIMIT 1) END) AS since
      FROM wanted AS n),
changed AS (
    SELECT m.wallet_id, m.token_wallet_id, m.moved_to_id, least(m.since, (
           SELECT min(r.start_time) FROM marked AS f
            CROSS JOIN LATERAL (
                  SELECT o.start_time, o.state FROM rating_periods AS o
                   WHERE o.tenant_id = $1 AND o.account_id = $2 AND o.wallet_id = m.wallet_id
                     AND o.start_time <= f.since
                   ORDER BY o.start_time DESC LIMIT 1) AS r
            WHERE m.token_wallet_id IS NULL AND f.token_wallet_id = m.wallet_id AND f.since IS NOT NULL
              AND r.state = 'FINAL'), (
           -- What moved here may be less than was posted, so its period before that is settled again too.
           SELECT min(coalesce(r.start_time, t.earliest - interval '1 day')) FROM marked AS f
             JOIN asset_resources AS h
               ON h.tenant_id = $1 AND h.account_id = $2 AND h.former_wallet_id = f.wallet_id
              AND h.wallet_id = m.wallet_id AND h.moved_time > f.since
            CROSS JOIN LATERAL (
                  SELECT greatest(h.bound_time, f.since + interval '1 microsecond') AS earliest) AS t
             LEFT JOIN LATERAL (
                  SELECT o.start_time FROM rating_periods AS o
                   WHERE o.tenant_id = $1 AND o.account_id = $2 AND o.wallet_id = m.wallet_id
                     AND o.start_time < t.earliest
                   ORDER BY o.start_time DESC LIMIT 1) AS r ON true
            WHERE m.token_wallet_id IS NULL AND m.moved_to_id IS NULL AND f.moved_to_id = m.wallet_id)) AS since
      FROM marked AS m)
SELECT w.wallet_id, wanted.token_wallet_id, wanted.moved_to_id, wanted.since, w.usage_resource_id, w.unit_of_measure_id, w.aggregation_method, w.aggregation_period,
       w.aggregation_combine, w.aggregation_label, u.scale, u.rounding, w.rating_period, w.waiting_days, w.waiting_hours, w.late_policy,
       w.drawdown_order, w.head_seq, w.balance, w.head_hash, w.correction_count, w.create_time, e.target_kind, e.target_id, e.time_zone,
       e.currency_code, e.anchor_date, e.billing_unit, e.billing_count, e.start_date, e.end_date, (SELECT now FROM clock) AS now, $15::timestamptz AS until,
       (SELECT rating_versions($1)) AS versions,
       (SELECT p.end_time FROM rating_periods AS p
         WHERE p.tenant_id = $1 AND p.account_id = $2 AND p.wallet_id = w.wallet_id
           AND p.state = 'FINAL'
         ORDER BY p.start_time DESC LIMIT 1) AS closed,
       (SELECT json_agg(json_build_array(
                   g.grant_id, g.entitlement_id, g.kind, g.issue_index, g.rollover_count, g.quantity::text,
                   g.start_time, g.expire_time, g.head_seq, g.balance::text, g.arrive_time,
                   g.source_grant_id) ORDER BY g.start_time, g.grant_id)::text
          FROM (SELECT l.* FROM grants AS l
                 WHERE l.tenant_id = $1 AND l.account_id = $2 AND l.wallet_id = w.wallet_id AND l.balance > 0
                 UNION ALL
                SELECT u.* FROM grants AS u
                 WHERE u.tenant_id = $1 AND u.account_id = $2 AND u.wallet_id = w.wallet_id AND u.balance <= 0
                   AND u.expire_time > least((SELECT now FROM clock), wanted.since)
                 UNION ALL
                SELECT u.* FROM grants AS u
                 WHERE u.tenant_id = $1 AND u.account_id = $2 AND u.wallet_id = w.wallet_id AND u.balance <= 0
                   AND u.expire_time IS NULL) AS g) AS grants,
       (SELECT json_agg(json_build_array(
                   n.entitlement_id, n.asset_id, n.number, n.quantity::text, n.unit_scale, n.start_date,
                   n.end_date, n.anchor_date, n.refresh_unit, n.refresh_count, n.validity_unit,
                   n.validity_count, n.can_roll_over, n.max_rollovers, n.next_index,
                   n.rollover_max_quantity::text, n.rollover_max_percent::text,
                   n.rollover_remainder_percent::text, n.spend_cap::text,
                   CASE WHEN n.wallet_id = w.wallet_id THEN n.moved_index END,
                   CASE WHEN n.wallet_id <> w.wallet_id THEN n.moved_index END,
                   CASE WHEN n.wallet_id <> w.wallet_id THEN n.move_time END,
                   CASE WHEN n.wallet_id <> w.wallet_id THEN n.wallet_id END) ORDER BY n.number)::text
          FROM (SELECT o.* FROM entitlements AS o
                 WHERE o.tenant_id = $1 AND o.account_id = $2 AND o.wallet_id = w.wallet_id
                 UNION ALL
                SELECT o.* FROM entitlements AS o
                 WHERE o.tenant_id = $1 AND o.account_id = $2 AND o.former_wallet_id = w.wallet_id) AS n) AS entitlements,
       unsettled.cells,
       CASE WHEN wanted.since IS NOT NULL THEN (
       SELECT json_agg(json_build_array(
                  e.effective_time, e.cause_kind, e.cause_id, e.leg, e.grant_id, e.amount::text,
                  e.paid::text))::text
         FROM (SELECT o.effective_time, o.cause_kind, o.cause_id, o.grant_id,
                      CASE WHEN o.cause_kind IN ('BOUNDARY', 'MOVE') THEN o.leg::integer % 3 ELSE 0 END AS leg,
                      sum(o.amount) AS amount,
                      sum(CASE WHEN o.cause_kind = 'CELL' THEN coalesce(o.covered, -o.amount) ELSE 0 END) AS paid
                 FROM wallet_entries AS o
                WHERE o.tenant_id = $1 AND o.account_id = $2 AND o.wallet_id = w.wallet_id
                  AND o.effective_time >= wanted.since AND o.effective_time > '-infinity'
                  AND o.effective_time <= coalesce($15::timestamptz, 'infinity')
                  -- A boundary at the start of a period belongs to the period before it.
                  AND (o.effective_time < coalesce($15::timestamptz, 'infinity') OR o.cause_kind <> 'CELL')
                GROUP BY o.effective_time, o.cause_kind, o.cause_id, o.grant_id, 5) AS e
        WHERE e.amount <> 0 OR e.paid <> 0) END AS effects,
       (SELECT json_agg(json_build_array(
                   h.asset_id, h.overage, greatest(coalesce(r.start_time, h.start_time), h.from_time),
                   least(r.end_time, h.until_time), r.terms, r.asset_rate_id, h.end_time, a.number,
                   a.product_id, h.token_wallet_id, h.definition_product_id, h.role, h.commitment_rate,
                   CASE WHEN e.target_kind <> 'ASSET' THEN h.is_fixed END, h.until_time)
                   ORDER BY a.number, r.start_time)::text
          FROM (SELECT o.*, o.bound_time AS from_time, NULL::timestamptz AS until_time FROM asset_resources AS o
                 WHERE o.tenant_id = $1 AND o.account_id = $2 AND o.wallet_id = w.wallet_id
                 UNION ALL
                SELECT o.*, NULL, o.bound_time FROM asset_resources AS o
                 WHERE o.tenant_id = $1 AND o.account_id = $2 AND o.former_wallet_id = w.wallet_id) AS h
         CROSS JOIN LATERAL (
               SELECT t.number, t.product_id FROM assets AS t
                WHERE t.tenant_id = $1 AND t.account_id = $2 AND t.asset_id = h.asset_id LIMIT 1) AS a
          LEFT JOIN LATERAL (
               SELECT t.* FROM asset_rates AS t
                WHERE t.tenant_id = $1 AND t.account_id = $2 AND t.asset_id = h.asset_id
                  AND t.usage_resource_id = h.usage_resource_id
                  AND t.start_time < coalesce(h.until_time, 'infinity')
                  AND coalesce(t.end_time, 'infinity') > coalesce(h.from_time, '-infinity') OFFSET 0) AS r ON true) AS assets,
       CASE WHEN $16::boolean THEN (
       SELECT coalesce(sum(r.amount), 0) FROM ratable_summaries AS r
        WHERE r.tenant_id = $1 AND r.account_id = $2 AND r.wallet_id = w.wallet_id
          AND r.currency_code = e.currency_code AND r.liable_summary_id IS NULL AND r.amount <> 0)
       - CASE WHEN wanted.since IS NULL THEN 0 ELSE (
       SELECT coalesce(sum(r.amount), 0) FROM ratable_summaries AS r
        WHERE r.tenant_id = $1 AND r.account_id = $2 AND r.wallet_id = w.wallet_id
          AND r.origin_start_time >= wanted.since AND r.origin_start_time > '-infinity'
          AND r.currency_code = e.currency_code) END END AS unbilled
  FROM changed AS wanted
 CROSS JOIN LATERAL (
       SELECT o.* FROM wallets AS o
        WHERE o.tenant_id = $1 AND o.account_id = $2 AND o.wallet_id = wanted.wallet_id LIMIT 1) AS w
 CROSS JOIN LATERAL (
       SELECT o.scale, o.rounding FROM units_of_measure AS o
        WHERE o.tenant_id = $1 AND o.unit_of_measure_id = w.unit_of_measure_id LIMIT 1) AS u
 CROSS JOIN LATERAL (
       SELECT o.* FROM entitlement_accounts AS o
        WHERE o.tenant_id = $1 AND o.account_id = $2
          AND o.entitlement_account_id = w.entitlement_account_id LIMIT 1) AS e
  LEFT JOIN LATERAL (
       SELECT array_agg(json_build_array(
                  s.usage_summary_id, s.asset_id, a.number, s.start_time, s.end_time,
                  s.period_start_time, p.end_time, s.record_count, s.sum_quantity::text,
                  s.max_quantity::text, s.min_quantity::text, s.last_quantity::text, s.last_time,
                  s.last_record_id, s.dimensions, s.unit_numerator::text,
                  s.unit_denominator::text, s.first_time, s.held_quantity::text)::text ORDER BY s.usage_summary_id) AS cells
         FROM ((SELECT o.start_time, o.end_time FROM rating_periods AS o
                 WHERE o.tenant_id = $1 AND o.account_id = $2 AND o.wallet_id = w.wallet_id
                   AND o.state <> 'FINAL' AND o.start_time <= coalesce($15::timestamptz, 'infinity')
                 ORDER BY o.start_time OFFSET 0)
                UNION ALL
               (SELECT o.start_time, o.end_time FROM rating_periods AS o
                 WHERE o.tenant_id = $1 AND o.account_id = $2 AND o.wallet_id = w.wallet_id
                   AND o.start_time >= wanted.since AND o.state = 'FINAL'
                   AND o.start_time <= coalesce($15::timestamptz, 'infinity')
                 ORDER BY o.start_time OFFSET 0)) AS p
        CROSS JOIN LATERAL (
              SELECT c.* FROM usage_summaries AS c
               WHERE c.tenant_id = $1 AND c.account_id = $2 AND c.wallet_id = w.wallet_id
                 AND c.period_start_time = p.start_time AND c.period_start_time > '-infinity'
               ORDER BY c.start_time, c.usage_summary_id OFFSET 0) AS s
        CROSS JOIN LATERAL (
              SELECT t.number FROM assets AS t
               WHERE t.tenant_id = $1 AND t.account_id = $2 AND t.asset_id = s.asset_id LIMIT 1) AS a
       ) AS unsettled ON true
 ORDER BY w.usage_resource_id, w.wallet_id, wanted.token_wallet_id NULLS FIRST, wanted.moved_to_id NULLS FIRST;

-- name: moved_after
-- The sum of the entries of each grant that belong to the periods from a time on. The boundaries at this time belong
-- to the period before.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid, $4 at timestamptz
SELECT e.grant_id, sum(e.amount) AS amount FROM wallet_entries AS e
 WHERE e.tenant_id = $1 AND e.account_id = $2 AND e.wallet_id = $3
   AND e.effective_time >= $4 AND e.effective_time > '-infinity'
   AND (e.effective_time > $4 OR e.cause_kind = 'CELL')
 GROUP BY e.grant_id ORDER BY e.grant_id;

-- name: lock_wallet
-- Every writer of a wallet waits here, before it reads.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid
SELECT wallet_id FROM wallets
 WHERE tenant_id = $1 AND account_id = $2 AND wallet_id = $3
   FOR NO KEY UPDATE;

-- name: asset_numbers
-- The numbers of some assets within their account.
--   $1 tenant_id uuid, $2 account_id text, $3 asset_ids uuid[]
SELECT asset_id, number FROM assets
 WHERE tenant_id = $1 AND account_id = $2 AND asset_id = ANY ($3::uuid[]) ORDER BY number;

-- name: lock_with_targets
-- A wallet whose period is closed, and those to which grants move from it, in the order of their keys.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid
SELECT wallet_id, head_seq, balance, head_hash
  FROM wallets
 WHERE tenant_id = $1 AND account_id = $2 AND wallet_id = ANY (ARRAY(
       SELECT $3::uuid
        UNION
       SELECT h.wallet_id FROM asset_resources AS h
        WHERE h.tenant_id = $1 AND h.account_id = $2 AND h.former_wallet_id = $3))
 ORDER BY wallet_id
   FOR NO KEY UPDATE;

-- name: wallet_exists
-- An empty list is an answer only if the wallet exists.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid
SELECT EXISTS (SELECT FROM wallets WHERE tenant_id = $1 AND account_id = $2 AND wallet_id = $3);

-- name: save_next_indices
-- The index of the next issue of each entitlement.
--   $1 tenant_id uuid, $2 account_id text, $3 entitlement_ids uuid[], $4 next_indices integer[]
UPDATE entitlements AS e SET next_index = greatest(e.next_index, n.next_index)
  FROM unnest($3::uuid[], $4::integer[]) AS n (entitlement_id, next_index)
 WHERE e.tenant_id = $1 AND e.account_id = $2 AND e.entitlement_id = n.entitlement_id
   AND e.entitlement_id = ANY ($3::uuid[]);
