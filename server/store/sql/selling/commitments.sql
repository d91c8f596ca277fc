-- The anchors of commitments, and commitments that overlap.

-- name: add_links
-- The anchors of commitments.
--   $1 tenant_id uuid, $2 account_id text, $3 asset_ids uuid[], $4 anchor_ids uuid[], $5 start_dates date[]
INSERT INTO commitment_links (tenant_id, account_id, asset_id, anchor_id, start_date)
SELECT $1, $2, k.asset_id, k.anchor_id, k.start_date
  FROM unnest($3::uuid[], $4::uuid[], $5::date[]) AS k (asset_id, anchor_id, start_date)
 ORDER BY k.asset_id;

-- name: overlapping
-- The first commitment that overlaps an older one of the same wallet.
-- Nested ones may, but an amount that is spent counts for one commitment only.
--   $1 tenant_id uuid, $2 account_id text, $3 asset_ids uuid[], $4 sold_ids uuid[], of the whole order,
--   $5 nested_ids uuid[]
SELECT n.asset_id, o.asset_id AS other_id, n.usage_resource_id
  FROM unnest($3::uuid[]) AS k (asset_id)
  JOIN asset_resources AS n ON n.tenant_id = $1 AND n.account_id = $2 AND n.asset_id = k.asset_id
  JOIN asset_resources AS o
    ON o.tenant_id = $1 AND o.account_id = $2 AND o.wallet_id = n.wallet_id AND o.asset_id <> n.asset_id
   AND o.commitment_rate IS NOT NULL
   AND tstzrange(o.start_time, o.end_time) && tstzrange(n.start_time, n.end_time)
  JOIN assets AS a ON a.tenant_id = $1 AND a.account_id = $2 AND a.asset_id = n.asset_id
  JOIN assets AS b ON b.tenant_id = $1 AND b.account_id = $2 AND b.asset_id = o.asset_id
 -- Of two commitments of one order, the second overlaps the first, which a nested one may.
 WHERE (b.number < a.number OR NOT o.asset_id = ANY ($4::uuid[]))
   AND (NOT n.asset_id = ANY ($5::uuid[])
        OR (n.role = 'MONETARY_COMMITMENT' AND o.role = 'MONETARY_COMMITMENT'))
 ORDER BY a.number, b.number LIMIT 1;

-- name: beside_spend
-- What is used in, or adds to, a wallet of spend without being a commitment to spend.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_ids uuid[]
SELECT h.usage_resource_id
  FROM asset_resources AS h
 WHERE h.tenant_id = $1 AND h.account_id = $2 AND h.wallet_id = ANY ($3::uuid[]) AND h.role <> 'MONETARY_COMMITMENT'
   AND EXISTS (SELECT FROM asset_resources AS s
                WHERE s.tenant_id = $1 AND s.account_id = $2 AND s.wallet_id = h.wallet_id
                  AND s.role = 'MONETARY_COMMITMENT' AND s.token_wallet_id IS NULL)
 ORDER BY h.usage_resource_id LIMIT 1;
