-- Orders, their lines, and the locks and updates of an activation.

-- name: add_order
-- A new order is a draft; a constraint allows one order for a quote.
--   $1 tenant_id uuid, $2 account_id text, $3 order_id uuid, $4 quote_id uuid
INSERT INTO orders (tenant_id, account_id, order_id, quote_id, state, price_book_id, currency_code)
SELECT tenant_id, account_id, $3, quote_id, 'DRAFT', price_book_id, currency_code
  FROM quotes
 WHERE tenant_id = $1 AND account_id = $2 AND quote_id = $4;

-- name: add_order_lines
-- Copies the quote's lines as first versions, each of a new asset.
--   $1 tenant_id uuid, $2 account_id text, $3 order_id uuid, $4 quote_id uuid, $5 asset_ids uuid[], in the order
--   of the lines
INSERT INTO order_lines (tenant_id, account_id, order_id, position, asset_id, product_id, quantity, start_date,
                         end_date, role, binding, target_id, target_line, selling_model_id, external_id, nested,
                         omitted, rate_basis, resources)
SELECT tenant_id, account_id, $3, position, ($5::uuid[])[(row_number() OVER (ORDER BY position))::integer],
       product_id, quantity, start_date, end_date, role, binding, target_id, target_line, selling_model_id, external_id,
       nested, omitted, rate_basis, resources
  FROM quote_lines
 WHERE tenant_id = $1 AND account_id = $2 AND quote_id = $4
 ORDER BY position;

-- name: add_direct_order
-- A new order without a quote is a draft; its lines are first versions, each of a new asset.
--   $1 tenant_id uuid, $2 account_id text, $3 order_id uuid, $4 asset_ids uuid[], $5 positions smallint[],
--   $6 product_ids text[], $7 quantities numeric[], $8 start_dates date[], $9 end_dates date[],
--   $10 bindings text[], $11 resources jsonb[], $12 roles text[], $13 target_ids text[],
--   $14 selling_model_ids text[], $15 external_ids text[], $16 nested boolean[], $17 target_lines smallint[],
--   $18 omitted text[], $19 rate_bases text[], $20 price_book_id text, $21 currency_code text
WITH lines AS (
    INSERT INTO order_lines (tenant_id, account_id, order_id, asset_id, position, product_id, quantity, start_date,
                             end_date, role, binding, target_id, target_line, selling_model_id, external_id, nested,
                             omitted, rate_basis, resources)
    SELECT $1, $2, $3, l.asset_id, l.position, l.product_id, l.quantity, l.start_date, l.end_date, l.role, l.binding,
           l.target_id, l.target_line, l.selling_model_id, l.external_id, l.nested, l.omitted, l.rate_basis, l.resources
      FROM unnest($4::uuid[], $5::smallint[], $6::text[], $7::numeric[], $8::date[], $9::date[], $10::text[],
                  $11::jsonb[], $12::text[], $13::text[], $14::text[], $15::text[], $16::boolean[], $17::smallint[],
                  $18::text[], $19::text[])
           AS l (asset_id, position, product_id, quantity, start_date, end_date, binding, resources, role, target_id,
                 selling_model_id, external_id, nested, target_line, omitted, rate_basis)
     ORDER BY l.position)
INSERT INTO orders (tenant_id, account_id, order_id, state, price_book_id, currency_code)
VALUES ($1, $2, $3, 'DRAFT', $20, $21)
RETURNING revision, create_time, created_by, update_time, updated_by;

-- name: line_of_asset
-- The line in force of an asset.
--   $1 tenant_id uuid, $2 account_id text, $3 asset_id uuid
SELECT l.order_id AS sale_id, l.asset_id, l.product_id, l.quantity, l.start_date, l.end_date, l.role, l.binding,
       l.target_id, l.target_line, l.selling_model_id, l.external_id, l.nested, l.omitted, l.rate_basis, l.resources
  FROM assets AS a
  JOIN order_lines AS l
    ON l.tenant_id = $1 AND l.account_id = $2 AND l.asset_id = a.asset_id AND l.version = a.line_version
 WHERE a.tenant_id = $1 AND a.account_id = $2 AND a.asset_id = $3;

-- name: find_order
-- One order without its lines.
--   $1 tenant_id uuid, $2 account_id text, $3 order_id uuid
SELECT order_id, account_id, quote_id, state, price_book_id, currency_code, activate_time, revision,
       create_time, created_by, update_time, updated_by
  FROM orders
 WHERE tenant_id = $1 AND account_id = $2 AND order_id = $3;

-- name: lock_order
-- Two activations of one order wait here for each other; the second finds it active.
--   $1 tenant_id uuid, $2 account_id text, $3 order_id uuid
SELECT order_id
  FROM orders
 WHERE tenant_id = $1 AND account_id = $2 AND order_id = $3
   FOR NO KEY UPDATE;

-- name: list_orders
-- An account's orders, newest first, after the last one seen.
--   $1 tenant_id uuid, $2 account_id text, $3 after_time timestamptz, $4 after_id uuid, $5 limit bigint,
--   $6 state text or null, $7 product_id text or null, of any line,
--   $8 start_create_time timestamptz or null, $9 end_create_time timestamptz or null
SELECT order_id, account_id, quote_id, state, price_book_id, currency_code, activate_time, revision,
       create_time, created_by, update_time, updated_by
  FROM orders
 WHERE tenant_id = $1 AND account_id = $2
   AND ($3::timestamptz IS NULL OR (create_time, order_id) < ($3, $4::uuid))
   AND ($6::text IS NULL OR state = $6)
   AND ($7::text IS NULL OR EXISTS (
       SELECT FROM order_lines AS l
        WHERE l.tenant_id = $1 AND l.account_id = $2 AND l.order_id = orders.order_id AND l.product_id = $7))
   AND ($8::timestamptz IS NULL OR create_time >= $8) AND ($9::timestamptz IS NULL OR create_time < $9)
 ORDER BY create_time DESC, order_id DESC
 LIMIT $5;

-- name: order_lines
-- The lines of some orders, in their order.
--   $1 tenant_id uuid, $2 account_id text, $3 order_ids uuid[]
SELECT order_id AS sale_id, asset_id, product_id, quantity, start_date, end_date, role, binding, target_id, target_line,
       selling_model_id, external_id, nested, omitted, rate_basis, resources
  FROM order_lines
 WHERE tenant_id = $1 AND account_id = $2 AND order_id = ANY ($3::uuid[])
 ORDER BY order_id, position;

-- name: lock_buyer
-- Activations of one account run one after the other, so that its numbers have no gap and each shared wallet is
-- created once. Foreign keys to the account do not wait for this lock.
--   $1 tenant_id uuid, $2 account_id text
SELECT account_id, time_zone, currency_code, billing_unit, billing_count, billing_anchor_day,
       billing_anchor_date
  FROM accounts
 WHERE tenant_id = $1 AND account_id = $2
   FOR NO KEY UPDATE;

-- name: bump_rates
-- The rates of an account have changed; a copy of them is outdated if this number is another.
--   $1 tenant_id uuid, $2 account_id text
UPDATE accounts SET rate_revision = rate_revision + 1
 WHERE tenant_id = $1 AND account_id = $2;

-- name: inactive
-- The first product or resource of an order that is no longer sold.
--   $1 tenant_id uuid, $2 product_ids text[], $3 usage_resource_ids text[]
SELECT w.product_id, w.usage_resource_id
  FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS w (product_id, usage_resource_id, position)
 WHERE NOT EXISTS (
       SELECT FROM product_usage_resources AS pr
         JOIN products AS p
           ON (p.tenant_id, p.product_id) = (pr.tenant_id, pr.product_id)
         JOIN usage_resources AS r
           ON (r.tenant_id, r.usage_resource_id) = (pr.tenant_id, pr.usage_resource_id)
        WHERE pr.tenant_id = $1 AND pr.product_id = w.product_id
          AND pr.usage_resource_id = w.usage_resource_id
          AND pr.state = 'ACTIVE' AND p.state = 'ACTIVE' AND r.state = 'ACTIVE')
 ORDER BY w.position
 LIMIT 1;

-- name: mark_active
-- An order takes effect once; the time is the tenant's. The rates of the account change with it.
--   $1 tenant_id uuid, $2 account_id text, $3 order_id uuid, $4 activate_time timestamptz
WITH done AS (
    UPDATE orders SET state = 'ACTIVE', activate_time = $4, revision = revision + 1
     WHERE tenant_id = $1 AND account_id = $2 AND order_id = $3 AND state = 'DRAFT'
    RETURNING revision, create_time, created_by, update_time, updated_by),
changed AS (
    UPDATE accounts SET rate_revision = rate_revision + 1
     WHERE tenant_id = $1 AND account_id = $2 AND EXISTS (SELECT FROM done))
SELECT revision, create_time, created_by, update_time, updated_by FROM done;
