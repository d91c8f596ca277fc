-- Changes of assets, which are only added.

-- name: add_changes
-- Acts on assets, numbered after those before. The account is locked, so no other transaction takes a number. All
-- acts of one order have one time.
--   $1 tenant_id uuid, $2 account_id text, $3 asset_ids uuid[], $4 acts text[], $5 order_ids uuid[],
--   $6 effective_dates date[], $7 reasons text[], $8 act_times timestamptz[], $9 fields jsonb[],
--   $10 reprice_run_ids uuid[]
INSERT INTO asset_changes (tenant_id, account_id, asset_id, number, act, order_id, effective_date, reason, act_time,
                           fields, reprice_run_id, create_time)
SELECT $1::uuid, $2::text, c.asset_id,
       coalesce((SELECT max(b.number) FROM asset_changes AS b
                  WHERE b.tenant_id = $1 AND b.account_id = $2::text AND b.asset_id = c.asset_id), 0)
       + row_number() OVER (PARTITION BY c.asset_id ORDER BY c.turn),
       c.act, c.order_id, c.effective_date, c.reason, c.act_time, c.fields, c.reprice_run_id,
       statement_timestamp()
  FROM unnest($3::uuid[], $4::text[], $5::uuid[], $6::date[], $7::text[], $8::timestamptz[], $9::jsonb[],
              $10::uuid[])
       WITH ORDINALITY AS c (asset_id, act, order_id, effective_date, reason, act_time, fields, reprice_run_id, turn)
 ORDER BY c.asset_id, c.turn;

-- name: list_changes
-- The changes of some assets by number, with the quotes of their orders. A quote does not change once it is ordered,
-- so its decision is the approval.
--   $1 tenant_id uuid, $2 account_id text, $3 asset_ids uuid[]
SELECT c.asset_id, c.number, c.act, c.order_id, c.effective_date, c.reason, c.act_time, c.fields, c.create_time,
       c.created_by, c.reprice_run_id, o.quote_id, q.decide_reason, q.decided_by, q.decide_time
  FROM asset_changes AS c
  LEFT JOIN orders AS o ON o.tenant_id = $1 AND o.account_id = $2 AND o.order_id = c.order_id
  LEFT JOIN quotes AS q ON q.tenant_id = $1 AND q.account_id = $2 AND q.quote_id = o.quote_id
 WHERE c.tenant_id = $1 AND c.account_id = $2 AND c.asset_id = ANY ($3::uuid[])
 ORDER BY c.asset_id, c.number;

-- name: list_acts
-- The acts on some assets without what they changed, with the numbers of the assets.
--   $1 tenant_id uuid, $2 account_id text, $3 asset_ids uuid[]
SELECT c.asset_id, a.number AS asset_number, c.number, c.act, c.create_time
  FROM asset_changes AS c
  JOIN assets AS a ON a.tenant_id = $1 AND a.account_id = $2 AND a.asset_id = c.asset_id
 WHERE c.tenant_id = $1 AND c.account_id = $2 AND c.asset_id = ANY ($3::uuid[])
 ORDER BY c.asset_id, c.number;
