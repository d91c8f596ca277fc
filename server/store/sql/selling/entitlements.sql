-- The entitlements of assets.

-- name: add_entitlements
-- The entitlements of the new assets; their action is always NEW here.
--   $1 tenant_id uuid, $2 account_id text, $3 entitlement_ids uuid[], $4 numbers bigint[],
--   $5 wallet_ids uuid[], $6 asset_ids uuid[], $7 usage_resource_ids text[], $8 product_ids text[],
--   $9 product_grant_ids text[], $10 quantities numeric[], $11 unit_scales smallint[],
--   $12 start_dates date[], $13 end_dates date[], $14 anchor_dates date[], $15 refresh_units text[],
--   $16 refresh_counts integer[], $17 refresh_policy_ids text[], $18 validity_units text[],
--   $19 validity_counts integer[], $20 can_roll_over boolean[], $21 max_rollovers integer[],
--   $22 rollover_max_quantities numeric[], $23 rollover_max_percents numeric[],
--   $24 rollover_policy_ids text[], $25 next_indices integer[], $26 refresh_policy_versions integer[],
--   $27 rollover_policy_versions integer[], $28 rollover_remainder_percents numeric[],
--   $29 spend_caps numeric[]
INSERT INTO entitlements (tenant_id, account_id, entitlement_id, number, wallet_id, asset_id,
                          usage_resource_id, action, product_id, product_grant_id, quantity, unit_scale,
                          start_date, end_date, anchor_date, refresh_unit, refresh_count,
                          refresh_policy_id, validity_unit, validity_count, can_roll_over, max_rollovers,
                          rollover_max_quantity, rollover_max_percent, rollover_policy_id, next_index,
                          refresh_policy_version, rollover_policy_version, rollover_remainder_percent,
                          spend_cap)
SELECT $1, $2, e.entitlement_id, e.number, e.wallet_id, e.asset_id, e.usage_resource_id, 'NEW',
       e.product_id, e.product_grant_id, e.quantity, e.unit_scale, e.start_date, e.end_date,
       e.anchor_date, e.refresh_unit, e.refresh_count, e.refresh_policy_id, e.validity_unit,
       e.validity_count, e.can_roll_over, e.max_rollovers, e.rollover_max_quantity,
       e.rollover_max_percent, e.rollover_policy_id, e.next_index, e.refresh_policy_version,
       e.rollover_policy_version, e.rollover_remainder_percent, e.spend_cap
  FROM unnest($3::uuid[], $4::bigint[], $5::uuid[], $6::uuid[], $7::text[], $8::text[], $9::text[],
              $10::numeric[], $11::smallint[], $12::date[], $13::date[], $14::date[], $15::text[],
              $16::integer[], $17::text[], $18::text[], $19::integer[], $20::boolean[], $21::integer[],
              $22::numeric[], $23::numeric[], $24::text[], $25::integer[], $26::integer[],
              $27::integer[], $28::numeric[], $29::numeric[])
       AS e (entitlement_id, number, wallet_id, asset_id, usage_resource_id, product_id,
             product_grant_id, quantity, unit_scale, start_date, end_date, anchor_date, refresh_unit,
             refresh_count, refresh_policy_id, validity_unit, validity_count, can_roll_over,
             max_rollovers, rollover_max_quantity, rollover_max_percent, rollover_policy_id, next_index,
             refresh_policy_version, rollover_policy_version, rollover_remainder_percent, spend_cap)
 ORDER BY e.entitlement_id;

-- name: held_entitlements
-- The entitlements of some assets, by number.
--   $1 tenant_id uuid, $2 account_id text, $3 asset_ids uuid[]
SELECT entitlement_id, number, wallet_id, asset_id, usage_resource_id, product_id, product_grant_id,
       quantity, unit_scale, start_date, end_date, anchor_date, refresh_unit, refresh_count,
       refresh_policy_id, validity_unit, validity_count, can_roll_over, max_rollovers,
       rollover_max_quantity, rollover_max_percent, rollover_policy_id, next_index, refresh_policy_version,
       rollover_policy_version, rollover_remainder_percent, spend_cap
  FROM entitlements
 WHERE tenant_id = $1 AND account_id = $2 AND asset_id = ANY ($3::uuid[])
 ORDER BY number;
