-- The issues of a wallet, and the product grants that they come from.

-- name: list_grants
-- The issues of a wallet, oldest first, including used ones.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid
SELECT grant_id, entitlement_id, kind, issue_index, rollover_count, quantity, start_time, expire_time,
       arrive_time, source_grant_id, head_seq, balance, create_time
  FROM grants
 WHERE tenant_id = $1 AND account_id = $2 AND wallet_id = $3
 ORDER BY start_time, grant_id;

-- name: list_arrivals
-- What moved to a wallet from others, with the quantity by the entries of all its moves and their corrections.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid
SELECT g.grant_id, g.entitlement_id, g.kind, g.issue_index, g.rollover_count, g.quantity, g.start_time, g.expire_time,
       g.arrive_time, g.source_grant_id, g.head_seq, g.balance, e.arrived
  FROM grants AS g
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(o.amount), 0) AS arrived FROM wallet_entries AS o
        WHERE o.tenant_id = $1 AND o.account_id = $2 AND o.wallet_id = $3 AND o.grant_id = g.grant_id
          AND o.cause_kind = 'MOVE' AND o.leg::integer % 3 = 1) AS e
 WHERE g.tenant_id = $1 AND g.account_id = $2 AND g.wallet_id = $3 AND g.arrive_time IS NOT NULL
 ORDER BY g.arrive_time, g.grant_id;

-- name: grant_sources
-- The product and the product grant of each entitlement of a wallet: all, or those of an asset, a promise or
-- both.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_id uuid, $4 asset_id uuid or null,
--   $5 product_id text or null, $6 product_grant_id text or null
SELECT entitlement_id, product_id, product_grant_id FROM entitlements
 WHERE tenant_id = $1 AND account_id = $2 AND (wallet_id = $3 OR former_wallet_id = $3)
   AND ($4::uuid IS NULL OR asset_id = $4) AND ($5::text IS NULL OR product_id = $5)
   AND ($6::text IS NULL OR product_grant_id = $6)
 ORDER BY number;
