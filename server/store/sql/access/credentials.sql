-- Credentials: keys as SHA-256, never as they are sent.

-- name: tenant_of_credential
-- The one look across tenants that a call begins with: keys only.
--   $1 key_hash bytea
SELECT tenant_id, credential_id FROM tenant_of_credential($1);

-- name: find_live
-- What a credential allows now.
--   $1 tenant_id uuid, $2 credential_id uuid
SELECT roles FROM credentials
 WHERE tenant_id = $1 AND credential_id = $2 AND revoke_time IS NULL
   AND (expire_time IS NULL OR expire_time > clock_timestamp());

-- name: add_credential
-- A new key.
--   $1 tenant_id uuid, $2 credential_id uuid, $3 key_hash bytea, $4 display_name text, $5 roles text[],
--   $6 expire_time timestamptz
INSERT INTO credentials (tenant_id, credential_id, key_hash, display_name, roles, expire_time)
VALUES ($1, $2, $3, $4, $5, $6)
RETURNING credential_id, display_name, roles, expire_time,
       create_time, created_by, update_time, updated_by, revoke_time;

-- name: revoke_credential
-- The first revocation counts.
--   $1 tenant_id uuid, $2 credential_id uuid
UPDATE credentials SET revoke_time = coalesce(revoke_time, clock_timestamp())
 WHERE tenant_id = $1 AND credential_id = $2
RETURNING credential_id, display_name, roles, expire_time,
       create_time, created_by, update_time, updated_by, revoke_time;

-- name: count_credentials
-- Whether a tenant has any that still opens something: with none left, migrating makes a new one.
--   $1 tenant_id uuid
SELECT count(*) FROM credentials
 WHERE tenant_id = $1 AND revoke_time IS NULL AND (expire_time IS NULL OR expire_time > clock_timestamp());
