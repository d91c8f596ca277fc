-- A tenant with jobs, an account with records, and wallets of one and of 36 rating periods.
INSERT INTO tenants (tenant_id, id) VALUES ('00000000-0000-0000-0000-000000000001', 'acme');
INSERT INTO jobs (tenant_id, job_id, kind, rank, account_id, payload, fire_time)
SELECT '00000000-0000-0000-0000-000000000001', md5('j' || n)::uuid, 'note', 0, 'a' || n, '{}', now() + n * interval '1 second'
       + interval '1 day'
  FROM generate_series(1, 20000) AS n;
INSERT INTO jobs (tenant_id, job_id, kind, rank, account_id, payload, fire_time, state, end_time)
SELECT '00000000-0000-0000-0000-000000000001', md5('d' || n)::uuid, 'note', 0, 'a' || n, '{}', now() - interval '1 hour', 'DONE', now()
  FROM generate_series(1, 20000) AS n;
INSERT INTO usage_records (tenant_id, account_id, record_id, usage_summary_id, asset_id,
                           usage_resource_id, quantity, unit_of_measure_id, counted_quantity,
                           usage_time, content_hash)
SELECT '00000000-0000-0000-0000-000000000001', 'ann', md5('r' || n), md5('c' || n % 99)::uuid, md5('ann')::uuid, 'r', 1, 'u', 1,
       '2024-01-01'::timestamptz + n * interval '1 second', ''
  FROM generate_series(1, 40000) AS n;

CREATE TEMP TABLE history AS
SELECT a.account_id, md5(a.account_id || 'w')::uuid AS wallet_id, md5(a.account_id || 'a')::uuid AS asset_id,
       p.number, '2021-01-01'::timestamptz + p.number * interval '1 month' AS start_time
  FROM (SELECT 'young' AS account_id, 36 AS first
         UNION ALL SELECT 'old' || n, 1 FROM generate_series(1, 20) AS n) AS a,
       LATERAL (SELECT number FROM generate_series(a.first, 36) AS number) AS p;
INSERT INTO entitlement_accounts (tenant_id, account_id, entitlement_account_id, target_kind, target_id,
                                  time_zone, currency_code, start_date, anchor_date)
SELECT DISTINCT '00000000-0000-0000-0000-000000000001'::uuid, account_id, wallet_id, 'ASSET', asset_id::text, 'UTC', 'USD',
       '2021-01-01'::date, '2021-01-01'::date FROM history;
INSERT INTO wallets (tenant_id, account_id, wallet_id, entitlement_account_id, usage_resource_id,
                     unit_of_measure_id, aggregation_method, aggregation_period, aggregation_combine,
                     rating_period, waiting_days, drawdown_order, late_policy)
SELECT DISTINCT '00000000-0000-0000-0000-000000000001'::uuid, account_id, wallet_id, wallet_id, 'r', 'u', 'SUM', 'DAY', 'TOTAL',
       'MONTH', 3, 'EXPIRING_FIRST', 'NEXT_PERIOD' FROM history;
INSERT INTO assets (tenant_id, account_id, asset_id, line_version, number, product_id, quantity,
                    start_date)
SELECT DISTINCT '00000000-0000-0000-0000-000000000001'::uuid, account_id, asset_id, 1, 1, 'p', 1, '2021-01-01'::date FROM history;
INSERT INTO rating_periods (tenant_id, account_id, wallet_id, start_time, end_time, freeze_time, state)
SELECT '00000000-0000-0000-0000-000000000001', account_id, wallet_id, start_time, start_time + interval '1 month', start_time,
       CASE WHEN number = 36 THEN 'OPEN' ELSE 'FINAL' END FROM history;
INSERT INTO usage_summaries (tenant_id, account_id, usage_summary_id, wallet_id, asset_id, usage_resource_id,
                             start_time, end_time, period_start_time, record_count,
                             sum_quantity, max_quantity, min_quantity, last_quantity, last_time, last_record_id,
                             ratable_summary_id)
SELECT '00000000-0000-0000-0000-000000000001', account_id, md5(account_id || number || 'd' || day)::uuid, wallet_id, asset_id, 'r',
       start_time + day * interval '1 day', start_time + (day + 1) * interval '1 day', start_time,
       1, 1, 1, 1, 1, start_time, 'x', md5(account_id || number || 'l')::uuid
  FROM history, generate_series(1, 28) AS day;
INSERT INTO ratable_summaries (tenant_id, account_id, ratable_summary_id, wallet_id, asset_id, usage_resource_id,
                               start_time, end_time, service_start_time, origin_start_time, segment_start_time, state,
                               used_quantity, drawn_quantity, overage_quantity, tier_quantity, amount, currency_code, waterfall,
                               execution_id, liable_summary_id)
SELECT '00000000-0000-0000-0000-000000000001', account_id, md5(account_id || number || 'l')::uuid, wallet_id, asset_id, 'r', start_time,
       start_time + interval '1 month', '2021-01-01', start_time, start_time, 'RATED', 1, 0, 1, 1, 1, 'USD', '[]', asset_id,
       CASE WHEN number < 35 THEN wallet_id END
  FROM history WHERE number < 36;
INSERT INTO grants (tenant_id, account_id, wallet_id, grant_id, entitlement_id, kind, issue_index, quantity,
                    start_time, expire_time, balance)
SELECT '00000000-0000-0000-0000-000000000001', account_id, wallet_id, md5(account_id || number || 'g')::uuid, wallet_id, 'REFRESH', number,
       100, start_time, CASE WHEN number = 36 THEN now() + interval '1 day' ELSE start_time + interval '1 month' END,
       CASE WHEN number = 36 THEN 50 ELSE 0 END FROM history;
