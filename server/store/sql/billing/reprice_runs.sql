-- Reprice runs: created, their accounts found, each account done, read.

-- name: add_run
-- A run begins without progress, before the first account.
--   $1 tenant_id uuid, $2 reprice_run_id uuid, $3 is_dry boolean, $4 repeats_id uuid or null,
--   $5 account_ids text[] or null for all, $6 product_id text or null, $7 price_book_id text or null,
--   $8 new_price_book_id text or null, $9 start_date date, $10 reason text
INSERT INTO reprice_runs (tenant_id, reprice_run_id, is_dry, repeats_id, account_ids, product_id, price_book_id,
                          new_price_book_id, start_date, reason)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10);

-- name: lock_run
-- The lock prevents two workers from finding the same accounts.
--   $1 tenant_id uuid, $2 reprice_run_id uuid
SELECT reprice_run_id FROM reprice_runs
 WHERE tenant_id = $1 AND reprice_run_id = $2 AND state = 'RUNNING'
   FOR NO KEY UPDATE;

-- name: get_run
-- One run.
--   $1 tenant_id uuid, $2 reprice_run_id uuid
SELECT reprice_run_id, state, is_dry, repeats_id, account_ids, product_id, price_book_id, new_price_book_id, start_date,
       reason, after_account_id, is_listed, account_count, done_count, refused_count, no_money_count, asset_count,
       repriced_count, error, create_time, created_by, update_time, updated_by, finish_time
  FROM reprice_runs
 WHERE tenant_id = $1 AND reprice_run_id = $2;

-- name: list_runs
-- Newest first, after the last one seen.
--   $1 tenant_id uuid, $2 after_time timestamptz, $3 after_id uuid, $4 limit bigint
SELECT reprice_run_id, state, is_dry, repeats_id, account_ids, product_id, price_book_id, new_price_book_id, start_date,
       reason, after_account_id, is_listed, account_count, done_count, refused_count, no_money_count, asset_count,
       repriced_count, error, create_time, created_by, update_time, updated_by, finish_time
  FROM reprice_runs
 WHERE tenant_id = $1 AND ($2::timestamptz IS NULL OR (create_time, reprice_run_id) < ($2, $3::uuid))
 ORDER BY create_time DESC, reprice_run_id DESC
 LIMIT $4;

-- name: totals
-- The sums of a dry run, by unit.
--   $1 tenant_id uuid, $2 reprice_run_id uuid
SELECT currency_code, is_final, period_count AS line_count, amount
  FROM reprice_run_totals
 WHERE tenant_id = $1 AND reprice_run_id = $2
 ORDER BY currency_code, is_final DESC;

-- name: add_totals
-- Adds an account to the sums. Sorted, so that accounts that end at once cannot deadlock.
--   $1 tenant_id uuid, $2 reprice_run_id uuid, $3 currency_codes text[], $4 is_final boolean[], $5 period_counts bigint[],
--   $6 amounts numeric[]
INSERT INTO reprice_run_totals AS t (tenant_id, reprice_run_id, currency_code, is_final, period_count, amount)
SELECT $1, $2, u.* FROM unnest($3::text[], $4::boolean[], $5::bigint[], $6::numeric[])
       AS u (currency_code, is_final, period_count, amount)
 ORDER BY u.currency_code, u.is_final
    ON CONFLICT (tenant_id, reprice_run_id, currency_code, is_final) DO UPDATE
   SET period_count = t.period_count + excluded.period_count, amount = t.amount + excluded.amount;

-- name: next_accounts
-- The accounts after the last one looked at, each with true if an asset matches on the day. A slice looks at a bounded
-- number of accounts, however few match.
--   $1 tenant_id uuid, $2 after_account_id text, $3 limit bigint, $4 account_ids text[] or null,
--   $5 product_id text or null, $6 price_book_id text or null, $7 on_date date
SELECT a.account_id, EXISTS (
       SELECT FROM assets AS s
         JOIN order_lines AS l ON l.tenant_id = $1 AND l.account_id = s.account_id AND l.asset_id = s.asset_id
          AND l.version = s.line_version
         JOIN orders AS o ON o.tenant_id = $1 AND o.account_id = s.account_id AND o.order_id = l.order_id
        WHERE s.tenant_id = $1 AND s.account_id = a.account_id AND daterange(s.start_date, s.end_date) @> $7::date
          AND ($5::text IS NULL OR s.product_id = $5) AND ($6::text IS NULL OR o.price_book_id = $6)) AS is_match
  FROM accounts AS a
 WHERE a.tenant_id = $1 AND a.account_id > $2 AND ($4::text[] IS NULL OR a.account_id = ANY ($4))
 ORDER BY a.account_id
 LIMIT $3;

-- name: add_accounts
-- The next accounts of a run. Those that are there already are left as they are.
--   $1 tenant_id uuid, $2 reprice_run_id uuid, $3 account_ids text[]
INSERT INTO reprice_run_accounts (tenant_id, account_id, reprice_run_id)
SELECT $1, u.account_id, $2 FROM unnest($3::text[]) AS u (account_id) ORDER BY u.account_id
    ON CONFLICT (tenant_id, account_id, reprice_run_id) DO NOTHING;

-- name: note_accounts
-- Moves on to the last account that was looked at. Without accounts that are not done, a run that has found all is
-- done.
--   $1 tenant_id uuid, $2 reprice_run_id uuid, $3 account_count bigint, $4 after_account_id text, $5 is_listed boolean
UPDATE reprice_runs
   SET account_count = account_count + $3, after_account_id = $4, is_listed = $5,
       state = CASE WHEN $5 AND done_count = account_count + $3 THEN 'DONE' ELSE state END,
       finish_time = CASE WHEN $5 AND done_count = account_count + $3 THEN clock_timestamp() END
 WHERE tenant_id = $1 AND reprice_run_id = $2 AND state = 'RUNNING';

-- name: lock_account
-- The lock prevents two workers from doing one account; no row if it is done, or its run has ended.
--   $1 tenant_id uuid, $2 account_id text, $3 reprice_run_id uuid
SELECT a.account_id FROM reprice_run_accounts AS a
  JOIN reprice_runs AS r ON r.tenant_id = $1 AND r.reprice_run_id = $3 AND r.state = 'RUNNING'
 WHERE a.tenant_id = $1 AND a.account_id = $2 AND a.reprice_run_id = $3 AND NOT a.is_done
   FOR UPDATE OF a;

-- name: end_account
-- The account is done.
--   $1 tenant_id uuid, $2 account_id text, $3 reprice_run_id uuid
UPDATE reprice_run_accounts SET is_done = true
 WHERE tenant_id = $1 AND account_id = $2 AND reprice_run_id = $3;

-- name: count_account
-- Adds an account to the counts; the last one ends the run. It comes last in the transaction, because other accounts of
-- the run wait for it.
--   $1 tenant_id uuid, $2 reprice_run_id uuid, $3 refused_count bigint, $4 no_money_count bigint, $5 asset_count bigint,
--   $6 repriced_count bigint
UPDATE reprice_runs
   SET done_count = done_count + 1, refused_count = refused_count + $3, no_money_count = no_money_count + $4,
       asset_count = asset_count + $5, repriced_count = repriced_count + $6,
       state = CASE WHEN is_listed AND done_count + 1 = account_count THEN 'DONE' ELSE state END,
       finish_time = CASE WHEN is_listed AND done_count + 1 = account_count THEN clock_timestamp() END
 WHERE tenant_id = $1 AND reprice_run_id = $2 AND state = 'RUNNING';

-- name: fail_run
-- Its accounts could not be found.
--   $1 tenant_id uuid, $2 reprice_run_id uuid, $3 error text
UPDATE reprice_runs SET state = 'FAILED', error = $3, finish_time = clock_timestamp()
 WHERE tenant_id = $1 AND reprice_run_id = $2 AND state = 'RUNNING';

-- name: add_items
-- The outcomes of an account.
--   $1 tenant_id uuid, $2 account_id text, $3 reprice_run_id uuid, $4 positions integer[], $5 asset_ids uuid[],
--   $6 resources jsonb[], $7 refusals text[], $8 no_moneys text[]
INSERT INTO reprice_run_items
       (tenant_id, account_id, reprice_run_id, position, asset_id, resources, refusal, no_money)
SELECT $1, $2, $3, u.* FROM unnest($4::integer[], $5::uuid[], $6::jsonb[], $7::text[], $8::text[]) AS u;

-- name: add_amounts
-- What a dry run would change in money.
--   $1 tenant_id uuid, $2 account_id text, $3 reprice_run_id uuid, $4 asset_ids uuid[], $5 usage_resource_ids text[],
--   $6 is_final boolean[], $7 currency_codes text[], $8 period_counts bigint[], $9 amounts_before numeric[],
--   $10 amounts_after numeric[]
INSERT INTO reprice_run_amounts
       (tenant_id, account_id, reprice_run_id, asset_id, usage_resource_id, is_final, currency_code, period_count,
        amount_before, amount_after)
SELECT $1, $2, $3, u.*
  FROM unnest($4::uuid[], $5::text[], $6::boolean[], $7::text[], $8::bigint[], $9::numeric[], $10::numeric[]) AS u;

-- name: list_items
-- The items of a run, by account and position, after the last one seen.
--   $1 tenant_id uuid, $2 reprice_run_id uuid, $3 after_account_id text, $4 after_position integer, $5 limit bigint,
--   $6 account_id text or null, $7 refused boolean
SELECT account_id, position, asset_id, resources, refusal, no_money
  FROM reprice_run_items
 WHERE tenant_id = $1 AND reprice_run_id = $2 AND (account_id, position) > ($3, $4::integer)
   AND ($6::text IS NULL OR account_id = $6) AND (NOT $7::boolean OR refusal <> '')
 ORDER BY account_id, position
 LIMIT $5;

-- name: items_of_account
-- The items of one account.
--   $1 tenant_id uuid, $2 account_id text, $3 reprice_run_id uuid
SELECT account_id, position, asset_id, resources, refusal, no_money
  FROM reprice_run_items
 WHERE tenant_id = $1 AND account_id = $2 AND reprice_run_id = $3
 ORDER BY position;

-- name: amounts_of_assets
-- The amounts of some assets.
--   $1 tenant_id uuid, $2 reprice_run_id uuid, $3 account_ids text[], $4 asset_ids uuid[]
SELECT a.account_id, a.asset_id, a.usage_resource_id, a.is_final, a.currency_code, a.period_count, a.amount_before,
       a.amount_after
  FROM unnest($3::text[], $4::uuid[]) AS k (account_id, asset_id)
  JOIN reprice_run_amounts AS a
    ON a.tenant_id = $1 AND a.account_id = k.account_id AND a.reprice_run_id = $2 AND a.asset_id = k.asset_id
 ORDER BY a.account_id, a.asset_id, a.usage_resource_id, a.is_final DESC, a.currency_code;
