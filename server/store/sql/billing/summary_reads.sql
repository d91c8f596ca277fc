-- The reads of summaries.

-- name: list_usage
-- Cells of an account or of one wallet, oldest first; those of FINAL periods are drawn.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid or null, $4 after_time timestamptz or null,
--   $5 after_id uuid, $6 limit bigint, $7 period_state text or null, $8 asset_id uuid or null,
--   $9 product_id text or null, $10 usage_resource_id text or null, $11 start_time timestamptz or null,
--   $12 end_time timestamptz or null
SELECT s.usage_summary_id, s.asset_id, s.usage_resource_id, s.wallet_id, s.start_time, s.end_time,
       s.period_start_time, f.time_zone, f.start_date, p.state AS period_state, EXISTS (
           SELECT FROM pending_corrections AS o
            WHERE o.tenant_id = $1 AND o.account_id = $2 AND o.wallet_id = s.wallet_id
              AND o.start_time = s.period_start_time) AS is_pending,
       s.record_count, s.sum_quantity, s.max_quantity, s.unit_numerator, s.unit_denominator, s.quantity,
       s.drawn_quantity, s.overage_quantity, s.ratable_summary_id,
       s.source_summary_id, s.dimensions
  FROM usage_summaries AS s
  JOIN rating_periods AS p
    ON p.tenant_id = $1 AND p.account_id = $2 AND p.wallet_id = s.wallet_id
   AND p.start_time = s.period_start_time
 CROSS JOIN LATERAL (
       SELECT e.time_zone, e.start_date FROM wallets AS w
         JOIN entitlement_accounts AS e ON e.tenant_id = $1 AND e.account_id = $2
          AND e.entitlement_account_id = w.entitlement_account_id
        WHERE w.tenant_id = $1 AND w.account_id = $2 AND w.wallet_id = s.wallet_id LIMIT 1) AS f
 WHERE s.tenant_id = $1 AND s.account_id = $2 AND ($3::uuid IS NULL OR s.wallet_id = $3)
   AND ($4::timestamptz IS NULL OR (s.start_time, s.usage_summary_id) > ($4, $5::uuid))
   AND ($7::text IS NULL OR p.state = $7) AND ($8::uuid IS NULL OR s.asset_id = $8)
   AND ($9::text IS NULL OR s.asset_id IN (
       SELECT a.asset_id FROM assets AS a WHERE a.tenant_id = $1 AND a.account_id = $2 AND a.product_id = $9))
   AND ($10::text IS NULL OR s.usage_resource_id = $10)
   AND ($11::timestamptz IS NULL OR s.start_time >= $11) AND ($12::timestamptz IS NULL OR s.start_time < $12)
 ORDER BY s.start_time, s.usage_summary_id LIMIT $6;

-- name: usage_of_ratable
-- The cells of some ratable lines; a correction has those of the line that it corrects.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid, $4 ratable_summary_ids uuid[]
SELECT s.usage_summary_id, s.asset_id, s.usage_resource_id, s.wallet_id, s.start_time, s.end_time,
       s.period_start_time, f.time_zone, f.start_date, 'FINAL' AS period_state, EXISTS (
           SELECT FROM pending_corrections AS o
            WHERE o.tenant_id = $1 AND o.account_id = $2 AND o.wallet_id = s.wallet_id
              AND o.start_time = s.period_start_time) AS is_pending,
       s.record_count, s.sum_quantity, s.max_quantity, s.unit_numerator, s.unit_denominator, s.quantity,
       s.drawn_quantity, s.overage_quantity, s.ratable_summary_id,
       s.source_summary_id, s.dimensions
  FROM usage_summaries AS s
 CROSS JOIN LATERAL (
       SELECT e.time_zone, e.start_date FROM wallets AS w
         JOIN entitlement_accounts AS e ON e.tenant_id = $1 AND e.account_id = $2
          AND e.entitlement_account_id = w.entitlement_account_id
        WHERE w.tenant_id = $1 AND w.account_id = $2 AND w.wallet_id = s.wallet_id LIMIT 1) AS f
 WHERE s.tenant_id = $1 AND s.account_id = $2 AND s.wallet_id = $3
   AND s.ratable_summary_id = ANY ($4::uuid[]) AND s.period_start_time > '-infinity'
   AND s.period_start_time = ANY (ARRAY (
       SELECT r.origin_start_time FROM ratable_summaries AS r
        WHERE r.tenant_id = $1 AND r.account_id = $2 AND r.ratable_summary_id = ANY ($4::uuid[])))
 ORDER BY s.start_time, s.usage_summary_id;

-- name: drawn_from
-- The grants that cover some cells, in drawdown order, with what corrections changed.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid, $4 cause_ids text[]
SELECT e.cause_id, e.grant_id, -sum(e.amount) AS quantity, sum(coalesce(e.covered, -e.amount)) AS covered
  FROM wallet_entries AS e
 WHERE e.tenant_id = $1 AND e.account_id = $2 AND e.wallet_id = $3 AND e.cause_kind = 'CELL'
   AND e.cause_id = ANY ($4::text[])
 GROUP BY e.cause_id, e.grant_id
HAVING sum(e.amount) <> 0
 ORDER BY min(e.seq);

-- name: find_ratable
-- One ratable line.
--   $1 tenant_id uuid, $2 account_id text, $3 ratable_summary_id uuid
SELECT ratable_summary_id, wallet_id, asset_id, usage_resource_id,
       greatest(start_time, service_start_time) AS start_time, end_time,
       greatest(origin_start_time, service_start_time) AS origin_start_time,
       state, used_quantity, drawn_quantity, overage_quantity, tier_quantity, net_unit_rate, amount,
       currency_code, waterfall, error_reason, liable_summary_id, dimensions, error_message,
       procedure_id, procedure_version_id, execution_id, execution_time, create_time, correction_id, corrects_id
  FROM ratable_summaries
 WHERE tenant_id = $1 AND account_id = $2 AND ratable_summary_id = $3;

-- name: list_ratable
-- Ratable lines of an account, oldest first. Those of a first period begin with the service.
--   $1 tenant_id uuid, $2 account_id text, $3 after_time timestamptz or null, $4 after_id uuid,
--   $5 limit bigint, $6 state text or null, $7 asset_id uuid or null, $8 usage_resource_id text or null,
--   $9 start_time timestamptz or null, $10 end_time timestamptz or null, $11 product_id text or null,
--   $12 start_create_time timestamptz or null, $13 end_create_time timestamptz or null,
--   $14 correction_id uuid or null
SELECT ratable_summary_id, wallet_id, asset_id, usage_resource_id,
       greatest(start_time, service_start_time) AS start_time, end_time,
       greatest(origin_start_time, service_start_time) AS origin_start_time,
       state, used_quantity, drawn_quantity, overage_quantity, tier_quantity, net_unit_rate, amount,
       currency_code, waterfall, error_reason, liable_summary_id, dimensions, error_message,
       procedure_id, procedure_version_id, execution_id, execution_time, create_time, correction_id, corrects_id
  FROM ratable_summaries
 WHERE tenant_id = $1 AND account_id = $2
   AND ($3::timestamptz IS NULL OR (greatest(start_time, service_start_time), ratable_summary_id) > ($3, $4::uuid))
   AND ($6::text IS NULL OR state = $6) AND ($7::uuid IS NULL OR asset_id = $7)
   AND ($8::text IS NULL OR usage_resource_id = $8)
   AND ($9::timestamptz IS NULL OR greatest(start_time, service_start_time) >= $9)
   AND ($10::timestamptz IS NULL OR greatest(start_time, service_start_time) < $10)
   AND ($11::text IS NULL OR asset_id IN (
       SELECT a.asset_id FROM assets AS a WHERE a.tenant_id = $1 AND a.account_id = $2 AND a.product_id = $11))
   AND ($12::timestamptz IS NULL OR create_time >= $12) AND ($13::timestamptz IS NULL OR create_time < $13)
   AND ($14::uuid IS NULL OR correction_id = $14)
 ORDER BY greatest(start_time, service_start_time), ratable_summary_id LIMIT $5;

-- name: ratable_of_liable
-- The ratable lines of a liable line, by period.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid, $4 liable_summary_id uuid
SELECT ratable_summary_id, wallet_id, asset_id, usage_resource_id,
       greatest(start_time, service_start_time) AS start_time, end_time,
       greatest(origin_start_time, service_start_time) AS origin_start_time,
       state, used_quantity, drawn_quantity, overage_quantity, tier_quantity, net_unit_rate, amount,
       currency_code, waterfall, error_reason, liable_summary_id, dimensions, error_message,
       procedure_id, procedure_version_id, execution_id, execution_time, create_time, correction_id, corrects_id
  FROM ratable_summaries
 WHERE tenant_id = $1 AND account_id = $2 AND wallet_id = $3 AND liable_summary_id = $4
   AND start_time > '-infinity'
 ORDER BY start_time, ratable_summary_id;

-- name: superseded_ratables
-- The lines that one ratable line, or those of an invoice-ready line, replaced.
--   $1 tenant_id uuid, $2 account_id text, $3 ratable_summary_id uuid or null, $4 liable_summary_id uuid or null
SELECT ratable_summary_id, wallet_id, asset_id, usage_resource_id,
       greatest(start_time, service_start_time) AS start_time, end_time,
       greatest(origin_start_time, service_start_time) AS origin_start_time,
       state, used_quantity, drawn_quantity, overage_quantity, tier_quantity, net_unit_rate, amount,
       currency_code, waterfall, error_reason, liable_summary_id, dimensions, error_message,
       procedure_id, procedure_version_id, execution_id, execution_time, create_time, correction_id, corrects_id
  FROM superseded_ratables
 WHERE tenant_id = $1 AND account_id = $2 AND (ratable_summary_id = $3 OR liable_summary_id = $4)
 ORDER BY start_time, ratable_summary_id, supersede_time;

-- name: find_liable
-- One invoice-ready line.
--   $1 tenant_id uuid, $2 account_id text, $3 liable_summary_id uuid
SELECT liable_summary_id, account_id, wallet_id, asset_id, product_id, definition_product_id, usage_resource_id,
       unit_of_measure_id, start_time, end_time, origin_start_time, origin_end_time, state, used_quantity,
       overage_quantity, exact_amount, amount, currency_code, invoice, invoice_time,
       create_time, (SELECT json_agg(json_build_array(
                            s.used_quantity::text, s.overage_quantity::text, s.amount::text, s.create_time,
                            s.supersede_time) ORDER BY s.revision)::text
                       FROM superseded_liables AS s
                      WHERE s.tenant_id = $1 AND s.account_id = $2
                        AND s.liable_summary_id = l.liable_summary_id) AS superseded, dimensions
  FROM liable_summaries AS l
 WHERE tenant_id = $1 AND account_id = $2 AND liable_summary_id = $3;

-- name: find_liables
-- Some invoice-ready lines.
--   $1 tenant_id uuid, $2 account_ids text[], $3 liable_summary_ids uuid[]
SELECT l.liable_summary_id, l.account_id, l.wallet_id, l.asset_id, l.product_id, l.definition_product_id,
       l.usage_resource_id, l.unit_of_measure_id, l.start_time, l.end_time, l.origin_start_time, l.origin_end_time,
       l.state, l.used_quantity, l.overage_quantity, l.exact_amount, l.amount, l.currency_code, l.invoice,
       l.invoice_time, l.create_time, (SELECT json_agg(json_build_array(
                            s.used_quantity::text, s.overage_quantity::text, s.amount::text, s.create_time,
                            s.supersede_time) ORDER BY s.revision)::text
                       FROM superseded_liables AS s
                      WHERE s.tenant_id = $1 AND s.account_id = l.account_id
                        AND s.liable_summary_id = l.liable_summary_id) AS superseded, l.dimensions
  FROM unnest($2::text[], $3::uuid[]) AS k (account_id, liable_summary_id)
 CROSS JOIN LATERAL (
       SELECT o.* FROM liable_summaries AS o
        WHERE o.tenant_id = $1 AND o.account_id = k.account_id AND o.liable_summary_id = k.liable_summary_id
        LIMIT 1) AS l
 ORDER BY l.account_id, l.liable_summary_id;

-- name: list_liable
-- Invoice-ready lines of an account, oldest first.
--   $1 tenant_id uuid, $2 account_id text, $3 after_time timestamptz or null, $4 after_id uuid,
--   $5 limit bigint, $6 state text or null, $7 asset_id uuid or null, $8 product_id text or null,
--   $9 usage_resource_id text or null, $10 start_time timestamptz or null, $11 end_time timestamptz or null,
--   $12 start_create_time timestamptz or null, $13 end_create_time timestamptz or null
SELECT liable_summary_id, account_id, wallet_id, asset_id, product_id, definition_product_id, usage_resource_id,
       unit_of_measure_id, start_time, end_time, origin_start_time, origin_end_time, state, used_quantity,
       overage_quantity, exact_amount, amount, currency_code, invoice, invoice_time,
       create_time, (SELECT json_agg(json_build_array(
                            s.used_quantity::text, s.overage_quantity::text, s.amount::text, s.create_time,
                            s.supersede_time) ORDER BY s.revision)::text
                       FROM superseded_liables AS s
                      WHERE s.tenant_id = $1 AND s.account_id = $2
                        AND s.liable_summary_id = l.liable_summary_id) AS superseded, dimensions
  FROM liable_summaries AS l
 WHERE tenant_id = $1 AND account_id = $2
   AND start_time > '-infinity' AND ($3::timestamptz IS NULL OR (start_time, liable_summary_id) > ($3, $4::uuid))
   AND ($6::text IS NULL OR state = $6) AND ($7::uuid IS NULL OR asset_id = $7)
   AND ($8::text IS NULL OR product_id = $8) AND ($9::text IS NULL OR usage_resource_id = $9)
   AND ($10::timestamptz IS NULL OR start_time >= $10) AND ($11::timestamptz IS NULL OR start_time < $11)
   AND ($12::timestamptz IS NULL OR create_time >= $12) AND ($13::timestamptz IS NULL OR create_time < $13)
 ORDER BY start_time, liable_summary_id LIMIT $5;

-- name: plan_by_order
-- Runs before `list_liable_of_all`, so that its rows are read in order from the index made for it. Outdated
-- statistics of a table that was small make a sort look cheaper, which reads all lines of the tenant for each
-- page.
SELECT set_config('enable_sort', 'off', true);

-- name: list_liable_of_all
-- Invoice-ready lines of all accounts, by create time. The begin of a page is one bound, either the last line
-- seen or a create time: with two bounds, the index is not always entered at the later one. Both times are
-- parameters, because an index under row-level security is not used for the result of COALESCE.
--   $1 tenant_id uuid, $2 account_id text or null, $3 after_create_time timestamptz,
--   $4 after_account_id text, $5 after_id uuid, $6 limit bigint, $7 state text or null,
--   $8 asset_id uuid or null, $9 product_id text or null, $10 usage_resource_id text or null,
--   $11 start_time timestamptz or null, $12 end_time timestamptz or null,
--   $13 end_create_time timestamptz
SELECT liable_summary_id, account_id, wallet_id, asset_id, product_id, definition_product_id, usage_resource_id,
       unit_of_measure_id, start_time, end_time, origin_start_time, origin_end_time, state, used_quantity,
       overage_quantity, exact_amount, amount, currency_code, invoice, invoice_time,
       create_time, (SELECT json_agg(json_build_array(
                            s.used_quantity::text, s.overage_quantity::text, s.amount::text, s.create_time,
                            s.supersede_time) ORDER BY s.revision)::text
                       FROM superseded_liables AS s
                      WHERE s.tenant_id = $1 AND s.account_id = l.account_id
                        AND s.liable_summary_id = l.liable_summary_id) AS superseded, dimensions
  FROM liable_summaries AS l
 WHERE tenant_id = $1 AND create_time > '-infinity'
   AND (create_time, account_id, liable_summary_id)
       > ($3::timestamptz, $4::text, $5::uuid)
   AND create_time < $13
   AND ($2::text IS NULL OR account_id = $2)
   AND ($7::text IS NULL OR state = $7) AND ($8::uuid IS NULL OR asset_id = $8)
   AND ($9::text IS NULL OR product_id = $9) AND ($10::text IS NULL OR usage_resource_id = $10)
   AND ($11::timestamptz IS NULL OR start_time >= $11) AND ($12::timestamptz IS NULL OR start_time < $12)
 ORDER BY create_time, account_id, liable_summary_id LIMIT $6;
