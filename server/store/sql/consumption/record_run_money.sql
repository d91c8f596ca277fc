-- The effect of dry runs in money.

-- name: add_lines
-- What a dry run would change in money.
--   $1 tenant_id uuid, $2 account_id text, $3 record_run_id uuid, $4 wallet_ids uuid[],
--   $5 origin_start_times timestamptz[], $6 origin_end_times timestamptz[], $7 asset_ids uuid[], $8 is_final boolean[],
--   $9 currency_codes text[], $10 usage_resource_ids text[], $11 used_quantities numeric[],
--   $12 overage_quantities numeric[], $13 amounts_before numeric[], $14 amounts_after numeric[], $15 failures text[]
INSERT INTO record_run_lines
       (tenant_id, account_id, record_run_id, wallet_id, origin_start_time, origin_end_time, asset_id, is_final,
        currency_code, usage_resource_id, used_quantity, overage_quantity, amount_before, amount_after, failure)
SELECT $1, $2, $3, u.*
  FROM unnest($4::uuid[], $5::timestamptz[], $6::timestamptz[], $7::uuid[], $8::boolean[], $9::text[], $10::text[],
              $11::numeric[], $12::numeric[], $13::numeric[], $14::numeric[], $15::text[]) AS u;

-- name: add_balances
-- The balances that a dry run would change.
--   $1 tenant_id uuid, $2 account_id text, $3 record_run_id uuid, $4 wallet_ids uuid[], $5 usage_resource_ids text[],
--   $6 balances_before numeric[], $7 balances_after numeric[]
INSERT INTO record_run_balances
       (tenant_id, account_id, record_run_id, wallet_id, usage_resource_id, balance_before, balance_after)
SELECT $1, $2, $3, u.* FROM unnest($4::uuid[], $5::text[], $6::numeric[], $7::numeric[]) AS u;

-- name: note_money
-- A dry run tells the money, or the reason why it does not.
--   $1 tenant_id uuid, $2 account_id text, $3 record_run_id uuid, $4 has_money boolean, $5 no_money text
UPDATE record_runs SET has_money = $4, no_money = $5
 WHERE tenant_id = $1 AND account_id = $2 AND record_run_id = $3;

-- name: sum_lines
-- The sums of all lines of a dry run, by unit.
--   $1 tenant_id uuid, $2 account_id text, $3 record_run_id uuid
SELECT currency_code, is_final, count(*) AS line_count, sum(amount_after - amount_before) AS amount
  FROM record_run_lines
 WHERE tenant_id = $1 AND account_id = $2 AND record_run_id = $3
 GROUP BY currency_code, is_final
 ORDER BY currency_code, is_final DESC;

-- name: list_lines
-- The lines of a dry run, by wallet and period.
--   $1 tenant_id uuid, $2 account_id text, $3 record_run_id uuid, $4 limit bigint
SELECT wallet_id, origin_start_time, origin_end_time, asset_id, is_final, currency_code, usage_resource_id,
       used_quantity, overage_quantity, amount_before, amount_after, failure
  FROM record_run_lines
 WHERE tenant_id = $1 AND account_id = $2 AND record_run_id = $3
 ORDER BY wallet_id, origin_start_time, asset_id, is_final, currency_code LIMIT $4;

-- name: list_balances
-- The balances of a dry run, by wallet.
--   $1 tenant_id uuid, $2 account_id text, $3 record_run_id uuid, $4 limit bigint
SELECT wallet_id, usage_resource_id, balance_before, balance_after
  FROM record_run_balances
 WHERE tenant_id = $1 AND account_id = $2 AND record_run_id = $3
 ORDER BY wallet_id LIMIT $4;
