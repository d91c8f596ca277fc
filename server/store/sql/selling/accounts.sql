-- Accounts.

-- name: add_code
-- Two ids may not differ in case alone; an existing id is left unchanged.
--   $1 tenant_id uuid, $2 account_id text
INSERT INTO account_codes (tenant_id, folded, account_id) VALUES ($1, lower($2::text), $2::text)
    ON CONFLICT DO NOTHING
RETURNING account_id;

-- name: find_code
-- The account that has an id, in any case.
--   $1 tenant_id uuid, $2 account_id text
SELECT account_id FROM account_codes WHERE tenant_id = $1 AND folded = lower($2::text);

-- name: add_account
-- Runs after `add_code`, in the same transaction.
--   $1 tenant_id uuid, $2 account_id text, $3 display_name text, $4 time_zone text, $5 currency_code text,
--   $6 billing_unit text, $7 billing_count smallint, $8 billing_anchor_day smallint or null,
--   $9 billing_anchor_date date or null, $10 labels jsonb
INSERT INTO accounts (tenant_id, account_id, display_name, time_zone, currency_code, billing_unit, billing_count,
                      billing_anchor_day, billing_anchor_date, labels)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10);

-- name: find_account
-- One account.
--   $1 tenant_id uuid, $2 account_id text
SELECT account_id, display_name, time_zone, currency_code, billing_unit, billing_count, billing_anchor_day,
       billing_anchor_date, labels, revision, create_time, created_by, update_time, updated_by
  FROM accounts WHERE tenant_id = $1 AND account_id = $2;

-- name: lock_account
-- One account, locked against other changes.
--   $1 tenant_id uuid, $2 account_id text
SELECT account_id, display_name, time_zone, currency_code, billing_unit, billing_count, billing_anchor_day,
       billing_anchor_date, labels, revision, create_time, created_by, update_time, updated_by
  FROM accounts WHERE tenant_id = $1 AND account_id = $2 FOR NO KEY UPDATE;

-- name: list_accounts
-- By id, after the last one seen.
--   $1 tenant_id uuid, $2 after text, $3 limit bigint, $4 start_create_time timestamptz or null,
--   $5 end_create_time timestamptz or null
SELECT account_id, display_name, time_zone, currency_code, billing_unit, billing_count, billing_anchor_day,
       billing_anchor_date, labels, revision, create_time, created_by, update_time, updated_by
  FROM accounts
 WHERE tenant_id = $1 AND account_id > $2
   AND ($4::timestamptz IS NULL OR create_time >= $4) AND ($5::timestamptz IS NULL OR create_time < $5)
 ORDER BY account_id LIMIT $3;

-- name: save_account
-- The fields of an account that may change.
--   $1 tenant_id uuid, $2 account_id text, $3 display_name text, $4 labels jsonb
UPDATE accounts SET display_name = $3, labels = $4, revision = revision + 1
 WHERE tenant_id = $1 AND account_id = $2;
