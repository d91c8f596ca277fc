-- Overage policies of shared wallets.

-- name: others
-- The policies of anchors that disagree with those of a sale: for each of the sale's policies, one of them. A wallet
-- may have thousands of anchors, which agree.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_ids uuid[], $4 overages text[], $5 start_times timestamptz[],
--   $6 end_times timestamptz[]
SELECT o.wallet_id, o.usage_resource_id, o.policies, o.start_time, o.end_time, o.product_id
  FROM unnest($3::uuid[], $4::text[], $5::timestamptz[], $6::timestamptz[])
       AS s (wallet_id, overage, start_time, end_time)
 CROSS JOIN LATERAL (
       SELECT r.wallet_id, r.usage_resource_id, r.policies, r.start_time, r.end_time, a.product_id
         FROM asset_resources AS r
         JOIN assets AS a ON a.tenant_id = $1 AND a.account_id = $2 AND a.asset_id = r.asset_id
        WHERE r.tenant_id = $1 AND r.account_id = $2 AND r.wallet_id = s.wallet_id AND r.role = 'ANCHOR'
          AND r.overage <> s.overage AND coalesce(r.bound_time, r.start_time) < coalesce(s.end_time, 'infinity')
          AND s.start_time < coalesce(r.end_time, 'infinity')
        ORDER BY a.number LIMIT 1) AS o;
