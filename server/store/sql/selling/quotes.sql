-- Quotes and their lines.

-- name: find_buyer
-- The fields of an account that a sale needs.
--   $1 tenant_id uuid, $2 account_id text
SELECT account_id, time_zone, currency_code, billing_unit, billing_count, billing_anchor_day,
       billing_anchor_date
  FROM accounts
 WHERE tenant_id = $1 AND account_id = $2;

-- name: add_quote
-- A new quote is a draft, or waits for approval.
--   $1 tenant_id uuid, $2 account_id text, $3 quote_id uuid, $4 state text, $5 price_book_id text,
--   $6 currency_code text, $7 expire_time timestamptz or null, $8 exceptions jsonb, $9 cloned_from uuid or null
INSERT INTO quotes (tenant_id, account_id, quote_id, state, price_book_id, currency_code, expire_time, exceptions,
                    cloned_from)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
RETURNING revision, create_time, created_by, update_time, updated_by;

-- name: add_quote_lines
-- All lines in one statement, with the policies and rates they freeze.
--   $1 tenant_id uuid, $2 account_id text, $3 quote_id uuid, $4 positions smallint[],
--   $5 product_ids text[], $6 quantities numeric[], $7 start_dates date[], $8 end_dates date[],
--   $9 bindings text[], $10 resources jsonb[], $11 roles text[], $12 target_ids text[],
--   $13 selling_model_ids text[], $14 external_ids text[], $15 nested boolean[], $16 target_lines smallint[],
--   $17 omitted text[], $18 rate_bases text[]
INSERT INTO quote_lines (tenant_id, account_id, quote_id, position, product_id, quantity, start_date,
                         end_date, role, binding, target_id, target_line, selling_model_id, external_id, nested,
                         omitted, rate_basis, resources)
SELECT $1, $2, $3, l.position, l.product_id, l.quantity, l.start_date, l.end_date, l.role, l.binding,
       l.target_id, l.target_line, l.selling_model_id, l.external_id, l.nested, l.omitted, l.rate_basis, l.resources
  FROM unnest($4::smallint[], $5::text[], $6::numeric[], $7::date[], $8::date[], $9::text[], $10::jsonb[],
              $11::text[], $12::text[], $13::text[], $14::text[], $15::boolean[], $16::smallint[], $17::text[],
              $18::text[])
       AS l (position, product_id, quantity, start_date, end_date, binding, resources, role, target_id,
             selling_model_id, external_id, nested, target_line, omitted, rate_basis)
 ORDER BY l.position;

-- name: find_quote
-- One quote without its lines. A quote has expired once its time has passed; no job does that.
--   $1 tenant_id uuid, $2 account_id text, $3 quote_id uuid
SELECT q.quote_id, q.account_id, CASE WHEN q.state NOT IN ('WITHDRAWN', 'ORDERED') AND q.expire_time <= tenant_now($1) THEN 'EXPIRED'
            ELSE q.state END AS state,
       q.price_book_id, q.currency_code, q.expire_time, q.exceptions, q.decide_reason, q.decided_by,
       q.decide_time, q.cloned_from, q.revision, q.create_time, q.created_by, q.update_time, q.updated_by
  FROM quotes AS q
 WHERE q.tenant_id = $1 AND q.account_id = $2 AND q.quote_id = $3;

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
SELECT q.quote_id, q.account_id, CASE WHEN q.state NOT IN ('WITHDRAWN', 'ORDERED') AND q.expire_time <= tenant_now($1) THEN 'EXPIRED'
            ELSE q.state END AS state,
       q.price_book_id, q.currency_code, q.expire_time, q.exceptions, q.decide_reason, q.decided_by,
       q.decide_time, q.cloned_from, q.revision, q.create_time, q.created_by, q.update_time, q.updated_by
  FROM quotes AS q
 WHERE q.tenant_id = $1 AND q.account_id = $2
   AND ($3::timestamptz IS NULL OR (q.create_time, q.quote_id) < ($3, $4::uuid))
   AND ($6::text IS NULL OR $6 = CASE WHEN q.state NOT IN ('WITHDRAWN', 'ORDERED') AND q.expire_time <= tenant_now($1) THEN 'EXPIRED'
            ELSE q.state END)
   AND ($7::text IS NULL OR EXISTS (
       SELECT FROM quote_lines AS l
        WHERE l.tenant_id = $1 AND l.account_id = $2 AND l.quote_id = q.quote_id AND l.product_id = $7))
   AND ($8::timestamptz IS NULL OR q.create_time >= $8) AND ($9::timestamptz IS NULL OR q.create_time < $9)
 ORDER BY q.create_time DESC, q.quote_id DESC
 LIMIT $5;

-- name: quote_lines
-- The lines of some quotes, in their order.
--   $1 tenant_id uuid, $2 account_id text, $3 quote_ids uuid[]
SELECT quote_id AS sale_id, product_id, quantity, start_date, end_date, role, binding, target_id, target_line,
       selling_model_id, external_id, nested, omitted, rate_basis, resources
  FROM quote_lines
 WHERE tenant_id = $1 AND account_id = $2 AND quote_id = ANY ($3::uuid[])
 ORDER BY quote_id, position;

-- name: mark_ordered
-- A quote is ordered once.
--   $1 tenant_id uuid, $2 account_id text, $3 quote_id uuid
UPDATE quotes SET state = 'ORDERED', revision = revision + 1
 WHERE tenant_id = $1 AND account_id = $2 AND quote_id = $3;

-- name: requote
-- A quote whose lines are quoted again; no decision applies to the new ones.
--   $1 tenant_id uuid, $2 account_id text, $3 quote_id uuid, $4 state text, $5 price_book_id text,
--   $6 exceptions jsonb
UPDATE quotes
   SET state = $4, price_book_id = $5, exceptions = $6, decide_reason = NULL, decided_by = NULL, decide_time = NULL,
       revision = revision + 1
 WHERE tenant_id = $1 AND account_id = $2 AND quote_id = $3;

-- name: delete_quote_lines
-- The lines of a quote that is quoted again; nothing refers to them.
--   $1 tenant_id uuid, $2 account_id text, $3 quote_id uuid
DELETE FROM quote_lines WHERE tenant_id = $1 AND account_id = $2 AND quote_id = $3;

-- name: set_expiry
-- The time from which on a quote cannot be ordered.
--   $1 tenant_id uuid, $2 account_id text, $3 quote_id uuid, $4 expire_time timestamptz or null
UPDATE quotes SET expire_time = $4, revision = revision + 1
 WHERE tenant_id = $1 AND account_id = $2 AND quote_id = $3;

-- name: decide_quote
-- An approval, a rejection or a withdrawal, by the calling credential.
--   $1 tenant_id uuid, $2 account_id text, $3 quote_id uuid, $4 state text, $5 reason text
UPDATE quotes
   SET state = $4, decide_reason = $5, decided_by = calling_credential(), decide_time = tenant_now($1),
       revision = revision + 1
 WHERE tenant_id = $1 AND account_id = $2 AND quote_id = $3;
