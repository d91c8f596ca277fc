-- In each wallet, usage of the last final period that came late, and entries of that period.
INSERT INTO usage_summaries (tenant_id, account_id, usage_summary_id, wallet_id, asset_id, usage_resource_id,
                             start_time, end_time, period_start_time, record_count,
                             sum_quantity, max_quantity, min_quantity, last_quantity, last_time, last_record_id)
SELECT '00000000-0000-0000-0000-000000000001', account_id, md5(account_id || 'late')::uuid, wallet_id, asset_id, 'r', start_time,
       start_time + interval '1 day', start_time, 1, 1, 1, 1, 1, start_time, 'x'
  FROM history WHERE number = 35;
INSERT INTO pending_corrections (tenant_id, account_id, wallet_id, start_time, cause)
SELECT '00000000-0000-0000-0000-000000000001', account_id, wallet_id, start_time, 'LATE' FROM history WHERE number = 35;
