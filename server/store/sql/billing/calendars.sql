-- Calendars: the dates that periods of an account and of an asset are counted from.

-- name: asset_calendars
-- The calendar of each resource of an asset, with the last rating period of its wallet at a time that was opened
-- before it.
--   $1 tenant_id uuid, $2 account_id text, $3 asset_id uuid, $4 time timestamptz
SELECT h.usage_resource_id, w.wallet_id, w.rating_period, w.waiting_days, w.waiting_hours, e.time_zone,
       e.anchor_date, e.start_date, e.billing_unit, e.billing_count, p.start_time AS period_start_time,
       p.end_time AS period_end_time, p.freeze_time
  FROM asset_resources AS h
 CROSS JOIN LATERAL (
       SELECT CASE WHEN h.bound_time > $4 THEN h.former_wallet_id ELSE h.wallet_id END AS wallet_id) AS d
  JOIN wallets AS w
    ON w.tenant_id = $1 AND w.account_id = $2 AND w.wallet_id = d.wallet_id
  JOIN entitlement_accounts AS e
    ON e.tenant_id = $1 AND e.account_id = $2 AND e.entitlement_account_id = w.entitlement_account_id
  LEFT JOIN LATERAL (
       SELECT o.start_time, o.end_time, o.freeze_time FROM rating_periods AS o
        WHERE o.tenant_id = $1 AND o.account_id = $2 AND o.wallet_id = d.wallet_id AND o.start_time <= $4
        ORDER BY o.start_time DESC LIMIT 1) AS p ON true
 WHERE h.tenant_id = $1 AND h.account_id = $2 AND h.asset_id = $3
 ORDER BY h.usage_resource_id;

-- name: first_start
-- The first day of the first asset of an account, unless some asset starts on or before `until`: that one ends the
-- search, which would otherwise read all targets.
--   $1 tenant_id uuid, $2 account_id text, $3 until date
SELECT min(start_date) FROM entitlement_accounts
 WHERE tenant_id = $1 AND account_id = $2 AND NOT EXISTS (
       SELECT FROM entitlement_accounts AS e
        WHERE e.tenant_id = $1 AND e.account_id = $2 AND e.start_date <= $3);

-- name: anchors
-- The dates from which the periods of an account's targets are counted.
--   $1 tenant_id uuid, $2 account_id text
SELECT DISTINCT anchor_date FROM entitlement_accounts
 WHERE tenant_id = $1 AND account_id = $2
 ORDER BY anchor_date;
