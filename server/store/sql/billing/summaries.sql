-- Summaries: drawn cells, ratable lines with their waterfalls, liable lines.

-- name: save_drawn
-- The quantities of each cell, and its ratable line. The keys are repeated as lists: with the join alone, the
-- planner reads the whole account as long as it estimates it as small.
--   $1 tenant_id uuid, $2 account_id text, $3 usage_summary_ids uuid[], $4 drawn numeric[],
--   $5 overages numeric[], $6 ratable_summary_ids uuid[]
UPDATE usage_summaries AS s
   SET quantity = d.drawn + d.overage, drawn_quantity = d.drawn, overage_quantity = d.overage,
       ratable_summary_id = d.ratable_summary_id
  FROM unnest($3::uuid[], $4::numeric[], $5::numeric[], $6::uuid[])
       AS d (usage_summary_id, drawn, overage, ratable_summary_id)
 WHERE s.tenant_id = $1 AND s.account_id = $2 AND s.usage_summary_id = d.usage_summary_id
   AND s.usage_summary_id = ANY ($3::uuid[])
   AND (s.quantity, s.drawn_quantity, s.overage_quantity, s.ratable_summary_id)
       IS DISTINCT FROM (d.drawn + d.overage, d.drawn, d.overage, d.ratable_summary_id);

-- name: add_token_cells
-- The cells of a token wallet, made of the cells of other wallets. A correction changes them.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid, $4 usage_resource_id text,
--   $5 usage_summary_ids uuid[], $6 source_summary_ids uuid[], $7 asset_ids uuid[], $8 start_times timestamptz[],
--   $9 end_times timestamptz[], $10 period_start_times timestamptz[], $11 tokens numeric[]
INSERT INTO usage_summaries (tenant_id, account_id, usage_summary_id, source_summary_id, wallet_id, asset_id,
                             usage_resource_id, start_time, end_time, period_start_time,
                             record_count, sum_quantity, max_quantity, min_quantity, last_quantity, last_time,
                             last_record_id)
SELECT $1, $2, c.id, c.source_id, $3, c.asset_id, $4, c.start_time, c.end_time,
       c.period_start_time, 1, c.tokens, c.tokens, c.tokens, c.tokens, c.start_time, ''
  FROM unnest($5::uuid[], $6::uuid[], $7::uuid[], $8::timestamptz[], $9::timestamptz[], $10::timestamptz[],
              $11::numeric[])
       AS c (id, source_id, asset_id, start_time, end_time, period_start_time, tokens)
 ORDER BY c.id
    ON CONFLICT (tenant_id, account_id, usage_summary_id) DO UPDATE
   SET record_count = 1, sum_quantity = excluded.sum_quantity, max_quantity = excluded.max_quantity,
       min_quantity = excluded.min_quantity, last_quantity = excluded.last_quantity;

-- name: add_standing
-- The cells without records with which periods begin.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid, $4 usage_resource_id text,
--   $5 usage_summary_ids uuid[], $6 asset_ids uuid[], $7 start_times timestamptz[], $8 end_times timestamptz[],
--   $9 period_start_times timestamptz[], $10 quantities numeric[], $11 dimensions text[]
INSERT INTO usage_summaries
       (tenant_id, account_id, usage_summary_id, wallet_id, asset_id, usage_resource_id, start_time, end_time,
        period_start_time, record_count, sum_quantity, max_quantity, min_quantity,
        last_quantity, last_time, last_record_id, first_time, held_quantity, dimensions)
SELECT $1, $2::code, c.id, $3, c.asset_id, $4, c.start_time, c.end_time, c.period_start_time, 0, 0,
       c.quantity, c.quantity, c.quantity, c.start_time, '', c.start_time, 0, c.dimensions
  FROM unnest($5::uuid[], $6::uuid[], $7::timestamptz[], $8::timestamptz[], $9::timestamptz[],
              $10::numeric[], $11::text[])
       AS c (id, asset_id, start_time, end_time, period_start_time, quantity, dimensions)
 ORDER BY c.id
    ON CONFLICT (tenant_id, account_id, usage_summary_id) DO UPDATE
   SET max_quantity = excluded.max_quantity, min_quantity = excluded.min_quantity,
       last_quantity = excluded.last_quantity;

-- name: add_ratable
-- Lines of rating periods: of one that is closed, or of usage that a correction changes.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid, $4 usage_resource_id text,
--   $5 start_times timestamptz[], $6 correction_id uuid or null, $7 ratable_summary_ids uuid[], $8 asset_ids uuid[],
--   $9 asset_rate_ids uuid[], $10 origin_start_times timestamptz[], $11 used numeric[], $12 drawn numeric[],
--   $13 overages numeric[], $14 tier_quantities numeric[], $15 net_unit_rates numeric[], $16 amounts numeric[],
--   $17 currency_codes text[], $18 waterfalls text[], $19 error_reasons text[],
--   $20 segment_start_times timestamptz[], $21 dimensions text[], $22 error_messages text[],
--   $23 procedure_ids text[], $24 procedure_version_ids text[], $25 execution_id uuid, $26 corrects_ids uuid[],
--   $27 service_start_times timestamptz[]
INSERT INTO ratable_summaries (tenant_id, account_id, ratable_summary_id, wallet_id, asset_id,
                               usage_resource_id, asset_rate_id, start_time, end_time, service_start_time,
                               origin_start_time, segment_start_time, state, used_quantity, drawn_quantity, overage_quantity,
                               tier_quantity, net_unit_rate, amount, currency_code, waterfall, error_reason,
                               dimensions, error_message, procedure_id, procedure_version_id, execution_id,
                               correction_id, corrects_id)
SELECT $1, $2, r.ratable_summary_id, $3, r.asset_id, $4, r.asset_rate_id, r.start_time, p.end_time,
       r.service_start_time, r.origin_start_time,
       r.segment_start_time, CASE WHEN r.amount IS NULL THEN 'RATING_FAILED' ELSE 'RATED' END, r.used, r.drawn,
       r.overage, r.tier_quantity, r.net_unit_rate, r.amount, r.currency_code, r.waterfall::jsonb, r.error_reason,
       r.dimensions, r.error_message, r.procedure_id, r.procedure_version_id, $25, $6,
       r.corrects_id
  FROM unnest($5::timestamptz[], $7::uuid[], $8::uuid[], $9::uuid[], $10::timestamptz[], $11::numeric[], $12::numeric[],
              $13::numeric[], $14::numeric[], $15::numeric[], $16::numeric[], $17::text[], $18::text[],
              $19::text[], $20::timestamptz[], $21::text[], $22::text[], $23::text[], $24::text[],
              $26::uuid[], $27::timestamptz[])
       AS r (start_time, ratable_summary_id, asset_id, asset_rate_id, origin_start_time, used, drawn, overage,
             tier_quantity, net_unit_rate, amount, currency_code, waterfall, error_reason, segment_start_time,
             dimensions, error_message, procedure_id, procedure_version_id, corrects_id, service_start_time)
 CROSS JOIN LATERAL (
       SELECT o.end_time FROM rating_periods AS o
        WHERE o.tenant_id = $1 AND o.account_id = $2 AND o.wallet_id = $3 AND o.start_time = r.start_time
        LIMIT 1) AS p
 ORDER BY r.ratable_summary_id;

-- name: ratable_of_wallet
-- The ratable lines that a billing period sums up. Of these, only the first can begin before the billing period
-- does; the lower bound of the key is for the index.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid, $4 start_time timestamptz,
--   $5 end_time timestamptz, $6 from_start_time timestamptz
SELECT r.ratable_summary_id, r.asset_id, a.number, a.product_id, r.start_time, r.origin_start_time,
       r.segment_start_time, r.used_quantity, r.drawn_quantity, r.overage_quantity, r.tier_quantity,
       r.net_unit_rate, r.amount, r.currency_code, r.error_reason, r.dimensions,
       greatest(r.origin_start_time, r.service_start_time) AS billed_from
  FROM ratable_summaries AS r
 CROSS JOIN LATERAL (
       SELECT t.number, t.product_id FROM assets AS t
        WHERE t.tenant_id = $1 AND t.account_id = $2 AND t.asset_id = r.asset_id LIMIT 1) AS a
 WHERE r.tenant_id = $1 AND r.account_id = $2 AND r.wallet_id = $3 AND r.start_time > '-infinity'
   AND r.start_time >= $6 AND r.start_time < $5
   AND greatest(r.start_time, r.service_start_time) >= $4 AND greatest(r.start_time, r.service_start_time) < $5
 ORDER BY r.start_time, r.ratable_summary_id;

-- name: billed_before
-- The sums of what was billed for some assets of a wallet in some earlier billing periods, which are known by their
-- ends: the first one begins earlier once an earlier asset is sold.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid, $4 asset_ids uuid[], $5 origin_end_times timestamptz[]
SELECT o.asset_id, o.origin_end_time, b.exact_amount, b.amount
  FROM unnest($4::uuid[], $5::timestamptz[]) AS o (asset_id, origin_end_time)
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(l.exact_amount), 0) AS exact_amount, coalesce(sum(l.amount), 0) AS amount
         FROM liable_summaries AS l
        WHERE l.tenant_id = $1 AND l.account_id = $2 AND l.wallet_id = $3 AND l.asset_id = o.asset_id
          AND l.origin_end_time = o.origin_end_time) AS b;

-- name: add_liable
-- The invoice-ready lines of one billing period of a wallet.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid, $4 usage_resource_id text,
--   $5 unit_of_measure_id text, $6 start_time timestamptz, $7 end_time timestamptz,
--   $8 liable_summary_ids uuid[], $9 asset_ids uuid[], $10 product_ids text[],
--   $11 segment_start_times timestamptz[], $12 are_corrections boolean[], $13 states text[],
--   $14 used numeric[], $15 overages numeric[], $16 exact_amounts numeric[], $17 amounts numeric[],
--   $18 currency_codes text[], $19 definition_product_ids text[],
--   $20 dimensions text[], $21 origin_start_times timestamptz[], $22 origin_end_times timestamptz[]
INSERT INTO liable_summaries (tenant_id, account_id, liable_summary_id, entitlement_account_id, wallet_id,
                              asset_id, product_id, definition_product_id, usage_resource_id, unit_of_measure_id, start_time,
                              end_time, segment_start_time, is_correction, state, used_quantity,
                              overage_quantity, exact_amount, amount, currency_code, dimensions,
                              origin_start_time, origin_end_time)
SELECT $1, $2, l.liable_summary_id, w.entitlement_account_id, $3, l.asset_id, l.product_id,
       l.definition_product_id, $4, $5, $6, $7, l.segment_start_time, l.is_correction, l.state, l.used, l.overage, l.exact_amount, l.amount,
       l.currency_code, l.dimensions, l.origin_start_time, l.origin_end_time
  FROM unnest($8::uuid[], $9::uuid[], $10::text[], $11::timestamptz[], $12::boolean[], $13::text[],
              $14::numeric[], $15::numeric[], $16::numeric[], $17::numeric[], $18::text[], $19::text[],
              $20::text[], $21::timestamptz[], $22::timestamptz[])
       AS l (liable_summary_id, asset_id, product_id, segment_start_time, is_correction, state, used,
             overage, exact_amount, amount, currency_code, definition_product_id, dimensions, origin_start_time,
             origin_end_time)
  JOIN wallets AS w ON w.tenant_id = $1 AND w.account_id = $2 AND w.wallet_id = $3
 ORDER BY l.liable_summary_id;

-- name: link_liable
-- The liable line of each ratable line.
--   $1 tenant_id uuid, $2 account_id text, $3 ratable_summary_ids uuid[], $4 liable_summary_ids uuid[]
UPDATE ratable_summaries AS r SET liable_summary_id = l.liable_summary_id
  FROM unnest($3::uuid[], $4::uuid[]) AS l (ratable_summary_id, liable_summary_id)
 WHERE r.tenant_id = $1 AND r.account_id = $2 AND r.ratable_summary_id = l.ratable_summary_id
   AND r.ratable_summary_id = ANY ($3::uuid[]);

-- name: lock_liables
-- The state and the invoice of some lines, which are locked in the order of their keys.
--   $1 tenant_id uuid, $2 account_ids text[], $3 liable_summary_ids uuid[]
SELECT l.account_id, l.liable_summary_id, l.state, l.invoice
  FROM (SELECT u.account_id, u.liable_summary_id
          FROM unnest($2::text[], $3::uuid[]) AS u (account_id, liable_summary_id)
         ORDER BY u.account_id COLLATE "C", u.liable_summary_id) AS k
 CROSS JOIN LATERAL (
       SELECT o.account_id, o.liable_summary_id, o.state, o.invoice FROM liable_summaries AS o
        WHERE o.tenant_id = $1 AND o.account_id = k.account_id AND o.liable_summary_id = k.liable_summary_id
          FOR UPDATE) AS l;

-- name: mark_invoiced
-- Lines that are locked, and ready for invoicing.
--   $1 tenant_id uuid, $2 account_ids text[], $3 liable_summary_ids uuid[], $4 invoice text, $5 time timestamptz
UPDATE liable_summaries AS l SET state = 'INVOICED', invoice = $4, invoice_time = $5
  FROM unnest($2::text[], $3::uuid[]) AS k (account_id, liable_summary_id)
 WHERE l.tenant_id = $1 AND l.account_id = k.account_id AND l.liable_summary_id = k.liable_summary_id;
