-- Price books and rate cards: the cards of books.

-- name: cards
-- Some cards by id.
--   $1 tenant_id uuid, $2 rate_card_ids text[]
SELECT rate_card_id, display_name, type, start_date, end_date
  FROM rate_cards
 WHERE tenant_id = $1 AND rate_card_id = ANY ($2::text[])
 ORDER BY rate_card_id;

-- name: add_book_cards
-- The cards of a new book, one of each type.
--   $1 tenant_id uuid, $2 price_book_id text, $3 rate_card_ids text[]
INSERT INTO price_book_rate_cards (tenant_id, price_book_id, type, rate_card_id)
SELECT $1, $2, c.type, c.rate_card_id
  FROM rate_cards AS c
 WHERE c.tenant_id = $1 AND c.rate_card_id = ANY ($3::text[])
 ORDER BY c.type COLLATE "C";

-- name: book_cards
-- The cards of some books, by type.
--   $1 tenant_id uuid, $2 price_book_ids text[]
SELECT price_book_id, rate_card_id
  FROM price_book_rate_cards
 WHERE tenant_id = $1 AND price_book_id = ANY ($2::text[])
 ORDER BY price_book_id, type COLLATE "C";

-- name: drop_book_cards
-- The cards of a book that gets others, or is deleted.
--   $1 tenant_id uuid, $2 price_book_id text
DELETE FROM price_book_rate_cards WHERE tenant_id = $1 AND price_book_id = $2;
