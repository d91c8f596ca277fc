-- Price books, rate cards and their entries: writing them once, reading them.

-- name: add_card
-- Whoever makes the same id at once waits here, and then finds what is there.
--   $1 tenant_id uuid, $2 rate_card_id text, $3 display_name text, $4 type text, $5 start_date date,
--   $6 end_date date
INSERT INTO rate_cards (tenant_id, rate_card_id, display_name, type, start_date, end_date)
VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT DO NOTHING
RETURNING rate_card_id;

-- name: find_card
-- Ids that differ in case only are one id, as far as making another is concerned.
--   $1 tenant_id uuid, $2 rate_card_id text
SELECT rate_card_id, display_name, type, start_date, end_date, revision, create_time
  FROM rate_cards
 WHERE tenant_id = $1 AND lower(rate_card_id) = lower($2);

-- name: cards
-- Some cards by id.
--   $1 tenant_id uuid, $2 rate_card_ids text[]
SELECT rate_card_id, display_name, type, start_date, end_date, revision, create_time
  FROM rate_cards
 WHERE tenant_id = $1 AND rate_card_id = ANY ($2::text[])
 ORDER BY rate_card_id;

-- name: list_cards
-- All cards by id, after the last one seen.
--   $1 tenant_id uuid, $2 after_id text, $3 limit bigint, $4 type text or null, $5 on_date date or null
SELECT rate_card_id, display_name, type, start_date, end_date, revision, create_time
  FROM rate_cards
 WHERE tenant_id = $1 AND rate_card_id > $2::text AND ($4::text IS NULL OR type = $4)
   AND ($5::date IS NULL OR daterange(start_date, end_date) @> $5::date)
 ORDER BY rate_card_id
 LIMIT $3;

-- name: add_book
-- As with cards.
--   $1 tenant_id uuid, $2 price_book_id text, $3 display_name text
INSERT INTO price_books (tenant_id, price_book_id, display_name)
VALUES ($1, $2, $3)
    ON CONFLICT DO NOTHING
RETURNING price_book_id;

-- name: add_book_cards
-- The cards of a new book, one of each type.
--   $1 tenant_id uuid, $2 price_book_id text, $3 types text[], $4 rate_card_ids text[]
INSERT INTO price_book_rate_cards (tenant_id, price_book_id, type, rate_card_id)
SELECT $1, $2, w.type, w.rate_card_id
  FROM unnest($3::text[], $4::text[]) AS w (type, rate_card_id)
 ORDER BY w.type COLLATE "C";

-- name: find_book
-- As with cards; its cards are a question of their own.
--   $1 tenant_id uuid, $2 price_book_id text
SELECT price_book_id, display_name, revision, create_time
  FROM price_books
 WHERE tenant_id = $1 AND lower(price_book_id) = lower($2);

-- name: list_books
-- All books by id, after the last one seen.
--   $1 tenant_id uuid, $2 after_id text, $3 limit bigint
SELECT price_book_id, display_name, revision, create_time
  FROM price_books
 WHERE tenant_id = $1 AND price_book_id > $2::text
 ORDER BY price_book_id
 LIMIT $3;

-- name: book_cards
-- The cards of some books.
--   $1 tenant_id uuid, $2 price_book_ids text[]
SELECT price_book_id, type, rate_card_id
  FROM price_book_rate_cards
 WHERE tenant_id = $1 AND price_book_id = ANY ($2::text[])
 ORDER BY price_book_id, type COLLATE "C";

-- name: resource_scale
-- How finely a product's resource is counted; no row when it is not a resource of the product.
--   $1 tenant_id uuid, $2 product_id text, $3 usage_resource_id text
SELECT coalesce(u.scale, 0) AS scale
  FROM product_usage_resources AS pr
  JOIN usage_resources AS r
    ON (r.tenant_id, r.usage_resource_id) = (pr.tenant_id, pr.usage_resource_id)
  JOIN unit_classes AS c
    ON (c.tenant_id, c.unit_class_id) = (r.tenant_id, r.unit_class_id)
  LEFT JOIN units_of_measure AS u
    ON (u.tenant_id, u.unit_of_measure_id)
     = (r.tenant_id, coalesce(r.unit_of_measure_id, c.default_unit_id))
 WHERE pr.tenant_id = $1 AND pr.product_id = $2 AND pr.usage_resource_id = $3
 LIMIT 1;

-- name: add_entry
-- As with cards. An entry begins as a draft, which overlaps nothing.
--   $1 tenant_id uuid, $2 rate_card_id text, $3 entry_id text, $4 product_id text,
--   $5 usage_resource_id text, $6 rate_unit_id text, $7 rate_value numeric, $8 rate_per numeric,
--   $9 tier_bounds text, $10 tier_mode text, $11 is_negotiable boolean, $12 start_date date,
--   $13 end_date date, $14 is_package boolean
INSERT INTO rate_card_entries (tenant_id, rate_card_id, entry_id, product_id, usage_resource_id,
                               rate_unit_id, rate_value, rate_per, tier_bounds, tier_mode,
                               is_negotiable, start_date, end_date, is_package)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
    ON CONFLICT DO NOTHING
RETURNING entry_id;

-- name: add_tiers
-- The tiers of a new entry, in their order.
--   $1 tenant_id uuid, $2 rate_card_id text, $3 entry_id text, $4 lower numeric[], $5 upper numeric[],
--   $6 kind text[], $7 value numeric[]
INSERT INTO rate_tiers (tenant_id, rate_card_id, entry_id, position, lower, upper, kind, value)
SELECT $1, $2, $3, w.position, w.lower, w.upper, w.kind, w.value
  FROM unnest($4::numeric[], $5::numeric[], $6::text[], $7::numeric[])
       WITH ORDINALITY AS w (lower, upper, kind, value, position)
 ORDER BY w.position;

-- name: find_entry
-- As with cards.
--   $1 tenant_id uuid, $2 rate_card_id text, $3 entry_id text
SELECT rate_card_id, entry_id, product_id, usage_resource_id, rate_unit_id, rate_value, rate_per,
       is_package, tier_bounds, tier_mode, is_negotiable, start_date, end_date, state, revision, create_time
  FROM rate_card_entries
 WHERE tenant_id = $1 AND rate_card_id = $2 AND lower(entry_id) = lower($3);

-- name: save_entry
-- Other content under the same id, if it still is what was looked at.
--   $1 tenant_id uuid, $2 rate_card_id text, $3 entry_id text, $4 product_id text,
--   $5 usage_resource_id text, $6 rate_unit_id text, $7 rate_value numeric, $8 rate_per numeric,
--   $9 tier_bounds text, $10 tier_mode text, $11 is_negotiable boolean, $12 start_date date,
--   $13 end_date date, $14 is_package boolean, $15 revision bigint, $16 catalogue_revision bigint
UPDATE rate_card_entries
   SET product_id = $4, usage_resource_id = $5, rate_unit_id = $6, rate_value = $7, rate_per = $8,
       tier_bounds = $9, tier_mode = $10, is_negotiable = $11, start_date = $12, end_date = $13,
       is_package = $14, revision = revision + 1, catalogue_revision = $16
 WHERE tenant_id = $1 AND rate_card_id = $2 AND entry_id = $3 AND revision = $15;

-- name: move_entry
-- From one state to another.
--   $1 tenant_id uuid, $2 rate_card_id text, $3 entry_id text, $4 state text, $5 revision bigint,
--   $6 catalogue_revision bigint
UPDATE rate_card_entries SET state = $4, revision = revision + 1, catalogue_revision = $6
 WHERE tenant_id = $1 AND rate_card_id = $2 AND entry_id = $3 AND revision = $5;

-- name: drop_tiers
-- The tiers of an entry that gets others, or goes.
--   $1 tenant_id uuid, $2 rate_card_id text, $3 entry_id text
DELETE FROM rate_tiers WHERE tenant_id = $1 AND rate_card_id = $2 AND entry_id = $3;

-- name: drop_entry
-- What was sold under it keeps its own copy.
--   $1 tenant_id uuid, $2 rate_card_id text, $3 entry_id text, $4 revision bigint
DELETE FROM rate_card_entries
 WHERE tenant_id = $1 AND rate_card_id = $2 AND entry_id = $3 AND revision = $4;

-- name: list_entries
-- The entries of a card by id, after the last one seen.
--   $1 tenant_id uuid, $2 rate_card_id text, $3 after_id text, $4 limit bigint, $5 state text or null,
--   $6 product_id text or null, $7 usage_resource_id text or null, $8 on_date date or null
SELECT rate_card_id, entry_id, product_id, usage_resource_id, rate_unit_id, rate_value, rate_per,
       is_package, tier_bounds, tier_mode, is_negotiable, start_date, end_date, state, revision, create_time
  FROM rate_card_entries
 WHERE tenant_id = $1 AND rate_card_id = $2 AND entry_id > $3::text
   AND ($5::text IS NULL OR state = $5) AND ($6::text IS NULL OR product_id = $6)
   AND ($7::text IS NULL OR usage_resource_id = $7)
   AND ($8::date IS NULL OR daterange(start_date, end_date) @> $8::date)
 ORDER BY entry_id
 LIMIT $4;

-- name: tiers
-- The tiers of some entries, in their order.
--   $1 tenant_id uuid, $2 rate_card_ids text[], $3 entry_ids text[]
SELECT t.rate_card_id, t.entry_id, t.lower, t.upper, t.kind, t.value
  FROM unnest($2::text[], $3::text[]) AS w (rate_card_id, entry_id)
  JOIN rate_tiers AS t
    ON t.tenant_id = $1 AND t.rate_card_id = w.rate_card_id AND t.entry_id = w.entry_id
 ORDER BY t.rate_card_id, t.entry_id, t.position;
