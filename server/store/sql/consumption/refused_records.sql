-- Refused records: insert with a bound, and list.

-- name: add_refusals
-- The ids are in the order of time.
--   $1 tenant_id uuid, $2 refusal_ids uuid[], $3 account_ids text[], $4 record_ids text[], $5 assets text[],
--   $6 usage_resources text[], $7 reasons text[], $8 statuses bytea[], $9 content_hashes bytea[]
INSERT INTO refused_records (tenant_id, refusal_id, account_id, record_id, asset, usage_resource, reason, status,
                             content_hash)
SELECT $1, r.*
  FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bytea[], $9::bytea[]) AS r;

-- name: drop_oldest
-- All but the last ones of the tenant. Rows that another transaction deletes are skipped.
--   $1 tenant_id uuid, $2 most bigint
DELETE FROM refused_records AS r
 USING (SELECT o.refusal_id FROM refused_records AS o
         WHERE o.tenant_id = $1 AND o.refusal_id <= (
               SELECT n.refusal_id FROM refused_records AS n
                WHERE n.tenant_id = $1 ORDER BY n.refusal_id DESC OFFSET $2 LIMIT 1)
           FOR UPDATE SKIP LOCKED) AS old
 WHERE r.tenant_id = $1 AND r.refusal_id = old.refusal_id;

-- name: list_refusals
-- Newest first, after the last one seen.
--   $1 tenant_id uuid, $2 after_id uuid or null, $3 limit bigint, $4 account_id text or null, $5 reason text or null
SELECT refusal_id, account_id, record_id, asset, usage_resource, reason, status, content_hash, create_time, created_by
  FROM refused_records
 WHERE tenant_id = $1 AND ($2::uuid IS NULL OR refusal_id < $2)
   AND ($4::text IS NULL OR account_id = $4) AND ($5::text IS NULL OR reason = $5)
 ORDER BY refusal_id DESC LIMIT $3;
