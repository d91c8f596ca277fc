-- Price books and rate cards: insert, read, update and delete.

-- name: add_card
-- Concurrent inserts of the same id wait here, and then find the existing row.
--   $1 tenant_id uuid, $2 rate_card_id text, $3 display_name text, $4 type text, $5 start_date date,
--   $6 end_date date
INSERT INTO rate_cards (tenant_id, rate_card_id, display_name, type, start_date, end_date)
VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT DO NOTHING
RETURNING rate_card_id;

-- name: find_card
-- Ids are compared without case, because two ids may not differ in case alone.
--   $1 tenant_id uuid, $2 rate_card_id text
SELECT rate_card_id, display_name, type, start_date, end_date, revision,
       create_time, created_by, update_time, updated_by
  FROM rate_cards
 WHERE tenant_id = $1 AND lower(rate_card_id) = lower($2);

-- name: cards
-- Some cards by id.
--   $1 tenant_id uuid, $2 rate_card_ids text[]
SELECT rate_card_id, display_name, type, start_date, end_date, revision,
       create_time, created_by, update_time, updated_by
  FROM rate_cards
 WHERE tenant_id = $1 AND rate_card_id = ANY ($2::text[])
 ORDER BY rate_card_id;

-- name: list_cards
-- All cards by id, after the last one seen.
--   $1 tenant_id uuid, $2 after_id text, $3 limit bigint, $4 type text or null, $5 on_date date or null
SELECT rate_card_id, display_name, type, start_date, end_date, revision,
       create_time, created_by, update_time, updated_by
  FROM rate_cards
 WHERE tenant_id = $1 AND rate_card_id > $2::text AND ($4::text IS NULL OR type = $4)
   AND ($5::date IS NULL OR daterange(start_date, end_date) @> $5::date)
 ORDER BY rate_card_id
 LIMIT $3;

-- name: add_book
-- Concurrent inserts of the same id wait here, and then find the existing row.
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
-- Ids are compared without case. Its cards are read by `book_cards`.
--   $1 tenant_id uuid, $2 price_book_id text
SELECT price_book_id, display_name, revision, create_time, created_by, update_time, updated_by
  FROM price_books
 WHERE tenant_id = $1 AND lower(price_book_id) = lower($2);

-- name: list_books
-- All books by id, after the last one seen.
--   $1 tenant_id uuid, $2 after_id text, $3 limit bigint
SELECT price_book_id, display_name, revision, create_time, created_by, update_time, updated_by
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

-- name: save_book
-- No row is changed if the revision is another.
--   $1 tenant_id uuid, $2 price_book_id text, $3 display_name text, $4 revision bigint
UPDATE price_books SET display_name = $3, revision = revision + 1
 WHERE tenant_id = $1 AND price_book_id = $2 AND revision = $4;

-- name: drop_book_cards
-- The cards of a book that gets others, or is deleted.
--   $1 tenant_id uuid, $2 price_book_id text
DELETE FROM price_book_rate_cards WHERE tenant_id = $1 AND price_book_id = $2;

-- name: drop_book
-- A foreign key refuses this if something was quoted by the book.
--   $1 tenant_id uuid, $2 price_book_id text, $3 revision bigint
DELETE FROM price_books WHERE tenant_id = $1 AND price_book_id = $2 AND revision = $3;

-- name: save_card
-- No row is changed if the revision is another.
--   $1 tenant_id uuid, $2 rate_card_id text, $3 display_name text, $4 start_date date, $5 end_date date,
--   $6 revision bigint
UPDATE rate_cards SET display_name = $3, start_date = $4, end_date = $5, revision = revision + 1
 WHERE tenant_id = $1 AND rate_card_id = $2 AND revision = $6;

-- name: drop_card
-- Runs after its entries are deleted.
--   $1 tenant_id uuid, $2 rate_card_id text, $3 revision bigint
DELETE FROM rate_cards WHERE tenant_id = $1 AND rate_card_id = $2 AND revision = $3;

-- name: card_referrers
-- The books that contain a card, and its entries, active or all; at most 21.
--   $1 tenant_id uuid, $2 rate_card_id text, $3 all_entries boolean
SELECT r.name, r.state
  FROM (SELECT 'priceBooks/' || b.price_book_id AS name, 'ACTIVE' AS state
          FROM price_book_rate_cards AS b
         WHERE b.tenant_id = $1 AND b.rate_card_id = $2
        UNION ALL
        SELECT 'rateCards/' || e.rate_card_id || '/entries/' || e.entry_id, e.state
          FROM rate_card_entries AS e
         WHERE e.tenant_id = $1 AND e.rate_card_id = $2 AND (e.state = 'ACTIVE' OR $3::boolean)) AS r
 ORDER BY r.name COLLATE "C" LIMIT 21;
