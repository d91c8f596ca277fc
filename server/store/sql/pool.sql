-- Checks before the service uses a database: its login, and that it is migrated.

-- name: dangerous_roles
-- The service does not start if this returns a row: the login itself, or a role that it can become by SET ROLE,
-- bypasses row-level security, can grant itself this right, or can read and write past it. `MEMBER` is true for
-- every role that the login can become, directly or through others; for a superuser these are all roles, so the
-- login comes first. The owner of a schema may drop and replace its objects; the owner of `public` is the owner
-- of the database. From Postgres 16 on, CREATEROLE covers only roles that it created; before, it could join any
-- role.
SELECT r.rolname::text AS role, session_user::text AS login,
       CASE WHEN r.rolsuper THEN 'is a superuser'
            WHEN r.rolbypassrls THEN 'bypasses row-level security'
            WHEN r.rolreplication THEN 'may copy the whole server by replication'
            WHEN r.rolcreaterole THEN 'may create roles and join others'
            WHEN r.rolname = 'pg_database_owner' THEN 'owns the database'
            WHEN r.rolname LIKE 'pg\_%' THEN 'reads or writes past the tables'' permissions'
            ELSE 'owns the schema or tables of the service' END AS reason
  FROM pg_roles AS r
 WHERE (pg_has_role(session_user, r.oid, 'MEMBER') OR pg_has_role(current_user, r.oid, 'MEMBER'))
   AND (r.rolsuper OR r.rolbypassrls OR r.rolreplication OR r.rolcreaterole
        OR r.rolname IN ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files',
                         'pg_read_all_data', 'pg_write_all_data')
        OR EXISTS (SELECT FROM pg_class AS t
                    WHERE t.oid = to_regclass('public.tenants')
                      AND (EXISTS (SELECT FROM pg_class AS c
                                    WHERE c.relowner = r.oid AND c.relnamespace = t.relnamespace)
                           OR EXISTS (SELECT FROM pg_namespace AS n
                                       WHERE n.nspowner = r.oid AND n.oid = t.relnamespace))))
 ORDER BY r.rolname = session_user DESC, r.rolname
 LIMIT 1;

-- name: is_migrated
-- Without this check, a server on a database without the schema would start, and fail at the first call.
SELECT to_regclass('public.schema_migrations') IS NOT NULL;
