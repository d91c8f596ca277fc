-- Quotes and their lines.

-- name: find_buyer
-- The fields of an account that a sale needs.
--   $1 tenant_id uuid, $2 account_id text
SELECT account_id, time_zone, currency_code, billing_unit, billing_count, billing_anchor_day,
       billing_anchor_date
  FROM accounts
 WHERE tenant_id = $1 AND account_id = $2;

-- name: has_price_book
-- Checked first, so that the refusal names the price book instead of a foreign key.
--   $1 tenant_id uuid, $2 price_book_id text
SELECT EXISTS (SELECT FROM price_books WHERE tenant_id = $1 AND price_book_id = $2);

-- name: add_quote
-- A new quote is a draft.
--   $1 tenant_id uuid, $2 account_id text, $3 quote_id uuid, $4 state text, $5 price_book_id text,
--   $6 currency_code text
INSERT INTO quotes (tenant_id, account_id, quote_id, state, price_book_id, currency_code)
VALUES ($1, $2, $3, $4, $5, $6)
RETURNING revision, create_time, created_by, update_time, updated_by;

-- name: add_quote_lines
-- All lines in one statement, with the policies and rates they freeze.
--   $1 tenant_id uuid, $2 account_id text, $3 quote_id uuid, $4 positions smallint[],
--   $5 product_ids text[], $6 quantities numeric[], $7 start_dates date[], $8 end_dates date[],
--   $9 bindings text[], $10 resources jsonb[], $11 roles text[], $12 target_ids text[],
--   $13 selling_model_ids text[], $14 external_ids text[]
INSERT INTO quote_lines (tenant_id, account_id, quote_id, position, product_id, quantity, start_date,
                         end_date, role, binding, target_id, selling_model_id, external_id, resources)
SELECT $1, $2, $3, l.position, l.product_id, l.quantity, l.start_date, l.end_date, l.role, l.binding,
       l.target_id, l.selling_model_id, l.external_id, l.resources
  FROM unnest($4::smallint[], $5::text[], $6::numeric[], $7::date[], $8::date[], $9::text[], $10::jsonb[],
              $11::text[], $12::text[], $13::text[], $14::text[])
       AS l (position, product_id, quantity, start_date, end_date, binding, resources, role, target_id,
             selling_model_id, external_id)
 ORDER BY l.position;

-- name: find_quote
-- One quote without its lines.
--   $1 tenant_id uuid, $2 account_id text, $3 quote_id uuid
SELECT quote_id, account_id, state, price_book_id, currency_code, revision,
       create_time, created_by, update_time, updated_by
  FROM quotes
 WHERE tenant_id = $1 AND account_id = $2 AND quote_id = $3;

-- name: lock_quote
-- Two orders of one quote wait here for each other; the second finds it ordered.
--   $1 tenant_id uuid, $2 account_id text, $3 quote_id uuid
SELECT quote_id
  FROM quotes
 WHERE tenant_id = $1 AND account_id = $2 AND quote_id = $3
   FOR NO KEY UPDATE;

-- name: list_quotes
-- An account's quotes, newest first, after the last one seen.
--   $1 tenant_id uuid, $2 account_id text, $3 after_time timestamptz, $4 after_id uuid, $5 limit bigint,
--   $6 state text or null, $7 product_id text or null, of any line,
--   $8 start_create_time timestamptz or null, $9 end_create_time timestamptz or null
SELECT quote_id, account_id, state, price_book_id, currency_code, revision,
       create_time, created_by, update_time, updated_by
  FROM quotes
 WHERE tenant_id = $1 AND account_id = $2
   AND ($3::timestamptz IS NULL OR (create_time, quote_id) < ($3, $4::uuid))
   AND ($6::text IS NULL OR state = $6)
   AND ($7::text IS NULL OR EXISTS (
       SELECT FROM quote_lines AS l
        WHERE l.tenant_id = $1 AND l.account_id = $2 AND l.quote_id = quotes.quote_id AND l.product_id = $7))
   AND ($8::timestamptz IS NULL OR create_time >= $8) AND ($9::timestamptz IS NULL OR create_time < $9)
 ORDER BY create_time DESC, quote_id DESC
 LIMIT $5;

-- name: quote_lines
-- The lines of some quotes, in their order.
--   $1 tenant_id uuid, $2 account_id text, $3 quote_ids uuid[]
SELECT quote_id AS sale_id, product_id, quantity, start_date, end_date, role, binding, target_id,
       selling_model_id, external_id, resources
  FROM quote_lines
 WHERE tenant_id = $1 AND account_id = $2 AND quote_id = ANY ($3::uuid[])
 ORDER BY quote_id, position;

-- name: mark_ordered
-- A quote is ordered once.
--   $1 tenant_id uuid, $2 account_id text, $3 quote_id uuid
UPDATE quotes SET state = 'ORDERED', revision = revision + 1
 WHERE tenant_id = $1 AND account_id = $2 AND quote_id = $3 AND state = 'DRAFT';
