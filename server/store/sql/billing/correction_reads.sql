-- The reads of corrections: what they changed, and what waits for one.

-- name: list_corrections
-- Corrections of an account, oldest first.
--   $1 tenant_id uuid, $2 account_id text, $3 after_time timestamptz or null, $4 after_id uuid, $5 limit bigint,
--   $6 wallet_id uuid or null, $7 cause text or null, $8 start_create_time timestamptz or null,
--   $9 end_create_time timestamptz or null
SELECT c.correction_id, c.causes, c.start_time, c.create_time, m.wallet_ids, m.time_zones, m.start_dates
  FROM corrections AS c
 CROSS JOIN LATERAL (
       SELECT array_agg(w.wallet_id ORDER BY w.wallet_id) AS wallet_ids,
              array_agg(e.time_zone ORDER BY w.wallet_id) AS time_zones,
              array_agg(e.start_date ORDER BY w.wallet_id) AS start_dates
         FROM correction_wallets AS x
         JOIN wallets AS w ON w.tenant_id = $1 AND w.account_id = $2 AND w.wallet_id = x.wallet_id
         JOIN entitlement_accounts AS e ON e.tenant_id = $1 AND e.account_id = $2
          AND e.entitlement_account_id = w.entitlement_account_id
        WHERE x.tenant_id = $1 AND x.account_id = $2 AND x.correction_id = c.correction_id) AS m
 WHERE c.tenant_id = $1 AND c.account_id = $2
   AND ($3::timestamptz IS NULL OR (c.create_time, c.correction_id) > ($3, $4::uuid))
   AND ($6::uuid IS NULL OR EXISTS (
       SELECT FROM correction_wallets AS x
        WHERE x.tenant_id = $1 AND x.account_id = $2 AND x.correction_id = c.correction_id AND x.wallet_id = $6))
   AND ($7::text IS NULL OR $7 = ANY (c.causes))
   AND ($8::timestamptz IS NULL OR c.create_time >= $8) AND ($9::timestamptz IS NULL OR c.create_time < $9)
 ORDER BY c.create_time, c.correction_id LIMIT $5;

-- name: find_corrections
-- Some corrections of an account.
--   $1 tenant_id uuid, $2 account_id text, $3 correction_ids uuid[]
SELECT c.correction_id, c.causes, c.start_time, c.create_time, m.wallet_ids, m.time_zones, m.start_dates
  FROM corrections AS c
 CROSS JOIN LATERAL (
       SELECT array_agg(w.wallet_id ORDER BY w.wallet_id) AS wallet_ids,
              array_agg(e.time_zone ORDER BY w.wallet_id) AS time_zones,
              array_agg(e.start_date ORDER BY w.wallet_id) AS start_dates
         FROM correction_wallets AS x
         JOIN wallets AS w ON w.tenant_id = $1 AND w.account_id = $2 AND w.wallet_id = x.wallet_id
         JOIN entitlement_accounts AS e ON e.tenant_id = $1 AND e.account_id = $2
          AND e.entitlement_account_id = w.entitlement_account_id
        WHERE x.tenant_id = $1 AND x.account_id = $2 AND x.correction_id = c.correction_id) AS m
 WHERE c.tenant_id = $1 AND c.account_id = $2 AND c.correction_id = ANY ($3::uuid[])
 ORDER BY c.correction_id;

-- name: lines
-- The ratable lines that a correction made, also those that a later one replaced.
--   $1 tenant_id uuid, $2 account_id text, $3 correction_id uuid
SELECT r.ratable_summary_id, r.wallet_id, r.asset_id, r.usage_resource_id,
       greatest(r.start_time, r.service_start_time) AS start_time, r.end_time,
       greatest(r.origin_start_time, r.service_start_time) AS origin_start_time,
       r.state, r.used_quantity, r.drawn_quantity, r.overage_quantity, r.tier_quantity, r.net_unit_rate,
       r.amount, r.currency_code, r.waterfall, r.error_reason, r.liable_summary_id, r.dimensions,
       r.error_message, r.procedure_id, r.procedure_version_id, r.execution_id, r.execution_time,
       r.create_time, r.correction_id, r.corrects_id
  FROM ratable_summaries AS r
 WHERE r.tenant_id = $1 AND r.account_id = $2 AND r.correction_id = $3 AND r.correction_id IS NOT NULL
 UNION ALL
SELECT r.ratable_summary_id, r.wallet_id, r.asset_id, r.usage_resource_id,
       greatest(r.start_time, r.service_start_time) AS start_time, r.end_time,
       greatest(r.origin_start_time, r.service_start_time) AS origin_start_time,
       r.state, r.used_quantity, r.drawn_quantity, r.overage_quantity, r.tier_quantity, r.net_unit_rate,
       r.amount, r.currency_code, r.waterfall, r.error_reason, r.liable_summary_id, r.dimensions,
       r.error_message, r.procedure_id, r.procedure_version_id, r.execution_id, r.execution_time,
       r.create_time, r.correction_id, r.corrects_id
  FROM superseded_ratables AS r
 WHERE r.tenant_id = $1 AND r.account_id = $2 AND r.correction_id = $3 AND r.correction_id IS NOT NULL
 ORDER BY wallet_id, origin_start_time, ratable_summary_id;

-- name: lines_before
-- The lines that those of a correction replaced. Both have the same id; the last one that was made before is meant.
--   $1 tenant_id uuid, $2 account_id text, $3 correction_id uuid
SELECT b.ratable_summary_id, b.wallet_id, b.asset_id, b.usage_resource_id,
       greatest(b.start_time, b.service_start_time) AS start_time, b.end_time,
       greatest(b.origin_start_time, b.service_start_time) AS origin_start_time,
       b.state, b.used_quantity, b.drawn_quantity, b.overage_quantity, b.tier_quantity, b.net_unit_rate,
       b.amount, b.currency_code, b.waterfall, b.error_reason, b.liable_summary_id, b.dimensions,
       b.error_message, b.procedure_id, b.procedure_version_id, b.execution_id, b.execution_time,
       b.create_time, b.correction_id, b.corrects_id
  FROM (SELECT r.ratable_summary_id, r.create_time FROM ratable_summaries AS r
         WHERE r.tenant_id = $1 AND r.account_id = $2 AND r.correction_id = $3 AND r.correction_id IS NOT NULL
         UNION ALL
        SELECT r.ratable_summary_id, r.create_time FROM superseded_ratables AS r
         WHERE r.tenant_id = $1 AND r.account_id = $2 AND r.correction_id = $3 AND r.correction_id IS NOT NULL) AS a
 CROSS JOIN LATERAL (
       SELECT o.* FROM superseded_ratables AS o
        WHERE o.tenant_id = $1 AND o.account_id = $2 AND o.ratable_summary_id = a.ratable_summary_id
          AND o.create_time < a.create_time
        ORDER BY o.create_time DESC LIMIT 1) AS b
 ORDER BY b.ratable_summary_id;

-- name: entries
-- The entries that a correction posted, by wallet and position.
--   $1 tenant_id uuid, $2 account_id text, $3 correction_id uuid
SELECT e.wallet_id, e.seq, e.grant_id, e.grant_seq, e.kind, e.amount, e.wallet_before, e.wallet_after,
       e.grant_before, e.grant_after, e.effective_time, e.cause_kind, e.cause_id, e.cause_revision, e.leg, e.hash,
       e.covered, e.create_time
  FROM correction_wallets AS x
 CROSS JOIN LATERAL (
       SELECT o.* FROM wallet_entries AS o
        WHERE o.tenant_id = $1 AND o.account_id = $2 AND o.wallet_id = x.wallet_id
          AND o.seq > x.after_seq AND o.seq <= x.last_seq OFFSET 0) AS e
 WHERE x.tenant_id = $1 AND x.account_id = $2 AND x.correction_id = $3
 ORDER BY e.wallet_id, e.seq;

-- name: list_pending
-- The wallets of an account that wait for a correction, by the time of the first change.
--   $1 tenant_id uuid, $2 account_id text, $3 after_time timestamptz or null, $4 after_id uuid, $5 limit bigint,
--   $6 wallet_id uuid or null, $7 cause text or null
SELECT p.wallet_id, p.causes, p.start_time, p.create_time, w.correction_count, e.time_zone, e.start_date
  FROM (SELECT o.wallet_id, array_agg(DISTINCT o.cause) AS causes, min(o.start_time) AS start_time,
               min(o.create_time) AS create_time
          FROM pending_corrections AS o
         WHERE o.tenant_id = $1 AND o.account_id = $2 AND ($6::uuid IS NULL OR o.wallet_id = $6)
         GROUP BY o.wallet_id) AS p
 CROSS JOIN LATERAL (
       SELECT o.* FROM wallets AS o
        WHERE o.tenant_id = $1 AND o.account_id = $2 AND o.wallet_id = p.wallet_id LIMIT 1) AS w
 CROSS JOIN LATERAL (
       SELECT o.* FROM entitlement_accounts AS o
        WHERE o.tenant_id = $1 AND o.account_id = $2
          AND o.entitlement_account_id = w.entitlement_account_id LIMIT 1) AS e
 WHERE ($3::timestamptz IS NULL OR (p.create_time, p.wallet_id) > ($3, $4::uuid))
   AND ($7::text IS NULL OR $7 = ANY (p.causes))
 ORDER BY p.create_time, p.wallet_id LIMIT $5;
