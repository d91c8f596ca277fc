-- The names of catalog records that a quote or a sale refers to.

-- name: add_used
-- Most names are there already, so nothing is written for them. Sorted, so that two quotes cannot deadlock.
--   $1 tenant_id uuid, $2 names text[]
INSERT INTO used_records (tenant_id, name)
SELECT $1, w.name
  FROM unnest($2::text[]) AS w (name)
 WHERE NOT EXISTS (SELECT 1 FROM used_records AS u WHERE u.tenant_id = $1 AND u.name = w.name)
 ORDER BY w.name COLLATE "C"
    ON CONFLICT DO NOTHING;

-- name: used
-- Which of some names, in lower case, are used.
--   $1 tenant_id uuid, $2 names text[]
SELECT name FROM used_records WHERE tenant_id = $1 AND name = ANY ($2::text[]);
