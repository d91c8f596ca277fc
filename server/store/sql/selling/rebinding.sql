-- Assets that are bound to another target from a day on.

-- name: chained
-- A wallet that other assets have left or entered by a move, in the direction that cannot be continued.
--   $1 tenant_id uuid, $2 account_id text, $3 former_wallet_ids uuid[], $4 wallet_ids uuid[]
SELECT CASE WHEN h.wallet_id = ANY ($3::uuid[]) THEN h.wallet_id ELSE h.former_wallet_id END AS wallet_id
  FROM asset_resources AS h
 WHERE h.tenant_id = $1 AND h.account_id = $2 AND h.former_wallet_id IS NOT NULL
   AND (h.wallet_id = ANY ($3::uuid[]) OR h.former_wallet_id = ANY ($4::uuid[]))
 ORDER BY h.bound_time, h.asset_id, h.usage_resource_id LIMIT 1;

-- name: move_resources
-- The wallets of the resources of an asset from a time on.
--   $1 tenant_id uuid, $2 account_id text, $3 asset_id uuid, $4 usage_resource_ids text[], $5 wallet_ids uuid[],
--   $6 bound_time timestamptz, $7 moved_times timestamptz[]
UPDATE asset_resources AS h
   SET former_wallet_id = h.wallet_id, wallet_id = m.wallet_id, bound_time = $6, moved_time = m.moved_time
  FROM unnest($4::text[], $5::uuid[], $7::timestamptz[]) AS m (usage_resource_id, wallet_id, moved_time)
 WHERE h.tenant_id = $1 AND h.account_id = $2 AND h.asset_id = $3 AND h.usage_resource_id = m.usage_resource_id;

-- name: move_entitlements
-- The wallets of entitlements, and the first issue that goes there.
--   $1 tenant_id uuid, $2 account_id text, $3 entitlement_ids uuid[], $4 wallet_ids uuid[],
--   $5 first_indices integer[], $6 move_time timestamptz
UPDATE entitlements AS e
   SET former_wallet_id = e.wallet_id, wallet_id = m.wallet_id, moved_index = m.first_index, move_time = $6
  FROM unnest($3::uuid[], $4::uuid[], $5::integer[]) AS m (entitlement_id, wallet_id, first_index)
 WHERE e.tenant_id = $1 AND e.account_id = $2 AND e.entitlement_id = m.entitlement_id
   AND e.entitlement_id = ANY ($3::uuid[]);

-- name: move_cells
-- Usage of an asset since a time, which is not final: its periods are the same in the other wallet.
--   $1 tenant_id uuid, $2 account_id text, $3 asset_id uuid, $4 former_wallet_ids uuid[], $5 wallet_ids uuid[],
--   $6 since timestamptz
UPDATE usage_summaries AS s SET wallet_id = m.wallet_id
  FROM unnest($4::uuid[], $5::uuid[]) AS m (former_wallet_id, wallet_id)
 WHERE s.tenant_id = $1 AND s.account_id = $2 AND s.wallet_id = m.former_wallet_id AND s.asset_id = $3
   AND s.start_time >= $6 AND s.period_start_time > '-infinity'
   AND s.period_start_time IN (
       SELECT p.start_time FROM rating_periods AS p
        WHERE p.tenant_id = $1 AND p.account_id = $2 AND p.wallet_id = m.former_wallet_id AND p.state = 'OPEN'
          AND p.end_time > $6);
