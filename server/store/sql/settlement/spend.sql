-- The spend of final periods under commitments to spend.

-- name: spent
-- The amounts spent in a wallet of money during some spans of time, in its periods before one.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid, $4 grant_ids uuid[], $5 start_times timestamptz[],
--   $6 end_times timestamptz[], 'infinity' without an end, $7 before timestamptz
SELECT k.grant_id, sum(c.sum_quantity) AS amount
  FROM unnest($4::uuid[], $5::timestamptz[], $6::timestamptz[]) AS k (grant_id, start_time, end_time)
 CROSS JOIN LATERAL (
       SELECT s.sum_quantity FROM usage_summaries AS s
        WHERE s.tenant_id = $1 AND s.account_id = $2 AND s.wallet_id = $3 AND s.period_start_time < $7
          AND s.period_start_time > '-infinity' AND s.start_time >= k.start_time AND s.start_time < k.end_time
        OFFSET 0) AS c
 GROUP BY k.grant_id ORDER BY k.grant_id;
