"""Migrates a database to the schema in `migrations`: in order, each file once, one at a time.

A migration is never edited after it was applied: its SHA-256 is stored and compared. Objects belong
to `usage_owner`, which cannot log in. The service logs in as `usage_service`, a member of
`usage_app`, which has the permissions and owns nothing.
"""

import asyncio
import hashlib
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    from typing import TypeAlias

    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record]

MIGRATIONS = Path(__file__).with_name("migrations")
OWNER = "usage_owner"
APP = "usage_app"
SERVICE = "usage_service"
# The key of the advisory lock; nothing else in this database may lock it.
LOCK = 0x75736167
LOCK_ATTEMPTS = 10
# The function `token_secrets()` uses a new secret after ten seconds, when all processes have it.
YOUNG_SECONDS = 15

_RECORDS = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    name       text COLLATE "C" PRIMARY KEY,
    sha256     bytea NOT NULL CHECK (length(sha256) = 32),
    apply_time timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE schema_migrations IS 'control: the migrations applied, and their texts';
GRANT SELECT ON schema_migrations TO usage_app;
"""


class MigrationError(Exception):
    """The database was migrated by other files than these."""


@dataclass(frozen=True, slots=True)
class Migration:
    """A file of SQL, applied as one transaction."""

    name: str
    sql: str

    @property
    def sha256(self) -> bytes:
        """The SHA-256 of the text, by which an edited file is detected."""
        return hashlib.sha256(self.sql.encode()).digest()


def read(directory: Path = MIGRATIONS) -> list[Migration]:
    """Return the migrations in the order in which they apply."""
    files = sorted(directory.glob("*.sql"))
    return [Migration(file.stem, file.read_text(encoding="utf-8")) for file in files]


def newest(directory: Path = MIGRATIONS) -> str:
    """Return the name of the newest migration."""
    return read(directory)[-1].name


async def migrate(connection: "Connection", directory: Path = MIGRATIONS) -> list[str]:
    """Apply the missing migrations and return their names; none if the database is up to date.

    Concurrent runners wait for each other. The connection must not be in a transaction. Its user
    must be able to create roles and extensions, at least the first time; if the database is up to
    date, the service's own login is enough. Raises MigrationError if an applied file has changed,
    is missing, or would come after a newer one.
    """
    migrations = await asyncio.to_thread(read, directory)
    # Checked first, because `_prepare` needs more rights than the service's own login has.
    if await _is_up_to_date(connection, migrations):
        return []
    await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
    try:
        await _prepare(connection)
        applied = await _apply_missing(connection, migrations)
        if await connection.fetchval("SELECT to_regclass('public.token_secrets') IS NOT NULL"):
            await _keep_token_secrets(connection, least=1)
        return applied
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", LOCK)


async def rotate_token_secrets(connection: "Connection") -> None:
    """Add a new token secret; tokens of the previous secret stay valid, older ones do not.

    Raises MigrationError if the newest secret is so young that processes may not have read it yet,
    or if the database has no schema.
    """
    if not await connection.fetchval("SELECT to_regclass('public.token_secrets') IS NOT NULL"):
        raise MigrationError("this database has no secrets of tokens; run `usage migrate` first")
    async with connection.transaction():
        await _become_owner(connection)
        # Of two rotations at once, each could delete the secret that the other has added.
        await connection.execute("LOCK TABLE token_secrets IN EXCLUSIVE MODE")
        if await connection.fetchval(
            "SELECT max(create_time) > clock_timestamp() - $1::interval FROM token_secrets",
            timedelta(seconds=YOUNG_SECONDS),
        ):
            raise MigrationError(
                f"the newest secret is less than {YOUNG_SECONDS} s old, so that processes may"
                " not have read it yet; wait and run it again"
            )
        await connection.execute(
            "DELETE FROM token_secrets WHERE secret NOT IN"
            " (SELECT secret FROM token_secrets ORDER BY create_time DESC LIMIT 1)"
        )
        await _keep_token_secrets(connection, least=2)


async def _keep_token_secrets(connection: "Connection", *, least: int) -> None:
    """Add a random secret if there are fewer than `least`."""
    async with connection.transaction():
        await _become_owner(connection)
        await connection.execute(
            "INSERT INTO token_secrets (secret)"
            " SELECT $1 WHERE (SELECT count(*) FROM token_secrets) < $2",
            secrets.token_bytes(32),
            least,
        )


async def _is_up_to_date(connection: "Connection", migrations: list[Migration]) -> bool:
    if not await connection.fetchval(
        "SELECT to_regclass('public.schema_migrations') IS NOT NULL"
        " AND to_regclass('public.token_secrets') IS NOT NULL"
        " AND EXISTS (SELECT FROM pg_roles WHERE rolname = $1)",
        SERVICE,
    ):
        return False
    rows = await connection.fetch("SELECT name, sha256 FROM public.schema_migrations")
    applied = {row["name"]: row["sha256"] for row in rows}
    return applied == {migration.name: migration.sha256 for migration in migrations}


async def _apply_missing(connection: "Connection", migrations: list[Migration]) -> list[str]:
    rows = await connection.fetch("SELECT name, sha256 FROM public.schema_migrations")
    applied: dict[str, bytes] = {row["name"]: row["sha256"] for row in rows}
    _check(migrations, applied)
    missing = [migration for migration in migrations if migration.name not in applied]
    for migration in missing:
        await _apply(connection, migration)
    return [migration.name for migration in missing]


def _check(migrations: list[Migration], applied: dict[str, bytes]) -> None:
    known = {migration.name for migration in migrations}
    for name in sorted(applied):
        if name not in known:
            raise MigrationError(f"migration {name} was applied, and is not among these files")
    for migration in migrations:
        before = applied.get(migration.name)
        if before is None and any(migration.name < name for name in applied):
            raise MigrationError(f"migration {migration.name} comes before one that was applied")
        if before is not None and before != migration.sha256:
            raise MigrationError(f"migration {migration.name} has changed since it was applied")


async def _apply(connection: "Connection", migration: Migration) -> None:
    # Other statements queue behind a waiting lock. So it waits for a second, and then tries again.
    for attempt in range(1, LOCK_ATTEMPTS + 1):
        try:
            async with connection.transaction():
                await _become_owner(connection)
                await connection.execute("SET LOCAL lock_timeout = '1s'")
                await connection.execute(migration.sql)
                await connection.execute(
                    "INSERT INTO public.schema_migrations (name, sha256) VALUES ($1, $2)",
                    migration.name,
                    migration.sha256,
                )
                return
        except asyncpg.LockNotAvailableError:
            if attempt == LOCK_ATTEMPTS:
                raise
        await asyncio.sleep(0.1 * attempt)


async def _prepare(connection: "Connection") -> None:
    """Create what only the connecting user can: roles, the extension, the right to create."""
    for role in (OWNER, APP):
        await _make_role(connection, role)
    await _make_service(connection)
    if await connection.fetchval("SELECT to_regclass('public.schema_migrations') IS NOT NULL"):
        return
    async with connection.transaction():
        await connection.execute("CREATE EXTENSION IF NOT EXISTS btree_gist SCHEMA public")
        await connection.execute(f"GRANT USAGE, CREATE ON SCHEMA public TO {OWNER}")
        await connection.execute(f"GRANT USAGE ON SCHEMA public TO {APP}")
        await _become_owner(connection)
        await connection.execute(_RECORDS)


async def _create_role(connection: "Connection", role: str, options: str) -> None:
    # Roles belong to the cluster, the lock to one database: a runner of another database may create
    # the same role at the same time.
    known = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)"
    if not await connection.fetchval(known, role):
        with suppress(asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError):
            await connection.execute(f"CREATE ROLE {role} {options} NOBYPASSRLS")


async def _make_service(connection: "Connection") -> None:
    """Create the service's login, whose only permissions are those of `usage_app`.

    It has no password: a server that requires one rejects it until an operator sets one. An
    embedded server requires none, and only its owner can reach it.
    """
    await _create_role(connection, SERVICE, "LOGIN INHERIT")
    if not await connection.fetchval("SELECT pg_has_role($1::name, $2, 'USAGE')", SERVICE, APP):
        # Two runners may grant the same role at once; one of them then fails harmlessly.
        with suppress(asyncpg.InternalServerError, asyncpg.UniqueViolationError):
            await connection.execute(f"GRANT {APP} TO {SERVICE}")


async def _make_role(connection: "Connection", role: str) -> None:
    await _create_role(connection, role, "NOLOGIN")
    # Before Postgres 16, membership alone allowed SET ROLE.
    right = "SET" if connection.get_server_version().major >= 16 else "MEMBER"
    if not await connection.fetchval("SELECT pg_has_role($1::name, $2)", role, right):
        await connection.execute(f"GRANT {role} TO CURRENT_USER")


async def _become_owner(connection: "Connection") -> None:
    # Functions copy this path by SET search_path FROM CURRENT. With pg_temp last, no temporary
    # object can shadow a table of the schema.
    await connection.execute(f"SET LOCAL ROLE {OWNER}")
    await connection.execute("SET LOCAL search_path = public, pg_temp")
