-- The reads of a preview beside the wallets. Nothing is locked.

-- name: known_values
-- The values that have been counted in their windows.
--   $1 tenant_id uuid, $2 account_id text, $3 wallet_ids uuid[], $4 asset_ids uuid[],
--   $5 window_keys text[], $6 values text[]
SELECT v.wallet_id, v.asset_id, v.window_key, v.value
  FROM unnest($3::uuid[], $4::uuid[], $5::text[], $6::text[]) AS k (wallet_id, asset_id, window_key, value)
  JOIN unique_values AS v
    ON v.tenant_id = $1 AND v.account_id = $2 AND v.wallet_id = k.wallet_id AND v.asset_id = k.asset_id
   AND v.window_key = k.window_key AND v.value = k.value
 ORDER BY v.wallet_id, v.asset_id, v.window_key, v.value;
