-- Credentials: stored as the SHA-256 of their keys, never as the keys.

-- name: tenant_of_credential
-- The only query across tenants in a call: it finds the tenant of a key.
--   $1 key_hash bytea
SELECT tenant_id, credential_id FROM tenant_of_credential($1);

-- name: find_live
-- The roles of a credential that is neither revoked nor expired.
--   $1 tenant_id uuid, $2 credential_id uuid
SELECT roles FROM credentials
 WHERE tenant_id = $1 AND credential_id = $2 AND revoke_time IS NULL
   AND (expire_time IS NULL OR expire_time > clock_timestamp());

-- name: add_credential
-- A new credential.
--   $1 tenant_id uuid, $2 credential_id uuid, $3 key_hash bytea, $4 display_name text, $5 roles text[],
--   $6 expire_time timestamptz
INSERT INTO credentials (tenant_id, credential_id, key_hash, display_name, roles, expire_time)
VALUES ($1, $2, $3, $4, $5, $6)
RETURNING credential_id, display_name, roles, expire_time,
       create_time, created_by, update_time, updated_by, revoke_time;

-- name: revoke_credential
-- The first revocation sets the time; a second one changes nothing.
--   $1 tenant_id uuid, $2 credential_id uuid
UPDATE credentials SET revoke_time = coalesce(revoke_time, clock_timestamp())
 WHERE tenant_id = $1 AND credential_id = $2
RETURNING credential_id, display_name, roles, expire_time,
       create_time, created_by, update_time, updated_by, revoke_time;

-- name: count_credentials
-- The number of usable credentials of a tenant: if none is left, migrating creates a new one.
--   $1 tenant_id uuid
SELECT count(*) FROM credentials
 WHERE tenant_id = $1 AND revoke_time IS NULL AND (expire_time IS NULL OR expire_time > clock_timestamp());
