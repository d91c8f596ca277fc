"""`python -m server serve | migrate | rotate-token-secrets | verify`: what `usage` starts."""

import argparse
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import uvloop

from server.app import open_env, serve
from server.config import Config, read_config
from server.log import configure
from server.runtime.server_processes import of_member, serve_together
from server.runtime.startup import exit_code, store_answers
from server.runtime.verification import verify_all
from server.store import service_login
from server.store.migrate import MigrationError, migrate, newest, rotate_token_secrets
from server.store.pool import dangerous_role, open_owner_pool
from server.usecases.access.tenants import create_first_tenant

if TYPE_CHECKING:
    from typing import TypeAlias

    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record]

MOST_PROCESSES = 64


def main() -> int:
    """Run the command and return its exit code."""
    arguments = _arguments()

    def run() -> int:
        config = read_config()
        configure(config.log_format, config.log_level)
        if arguments.command == "serve" and arguments.processes > 1:
            return serve_together(config, arguments.processes)
        return uvloop.run(_run(arguments, config))

    return exit_code(run)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m server", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    serving = commands.add_parser("serve", help="answer calls until SIGTERM")
    serving.add_argument(
        "--processes",
        type=int,
        choices=range(1, MOST_PROCESSES + 1),
        default=1,
        metavar="N",
        help="how many share the port, at most 64; the metrics of each are on a port of its own,"
        " from USAGE_METRICS_PORT on",
    )
    serving.add_argument("--member", type=int, help=argparse.SUPPRESS)
    migrating = commands.add_parser("migrate", help="bring the database to this schema")
    migrating.add_argument(
        "--credentials", type=Path, help="write the operator's key here instead of printing it"
    )
    commands.add_parser(
        "rotate-token-secrets",
        help="make a new secret of page tokens and revision tokens; those of the one before stay"
        " valid until the next rotation",
    )
    commands.add_parser("verify", help="recompute everything and name the first difference")
    return parser.parse_args()


async def _run(arguments: argparse.Namespace, config: Config) -> int:
    if arguments.command == "serve":
        member = arguments.member
        await serve(config if member is None else of_member(config, member))
        return 0
    if arguments.command == "migrate":
        return await _migrate(config, arguments.credentials)
    if arguments.command == "rotate-token-secrets":
        return await _rotate_token_secrets(config)
    return await _verify(config)


@asynccontextmanager
async def _owner(config: Config) -> "AsyncIterator[Connection]":
    """Connect as the login that may migrate. Raises MigrationError if it may not."""
    owner_url = config.database_owner_url or config.database_url
    await store_answers(config, dsn=owner_url)
    connection = await asyncpg.connect(owner_url, timeout=10)
    try:
        yield connection
    except asyncpg.InsufficientPrivilegeError as error:
        raise MigrationError(
            f"the login may not migrate ({error}); name one in DATABASE_OWNER_URL that may create"
            " roles, extensions and tables"
        ) from error
    finally:
        await connection.close()


async def _rotate_token_secrets(config: Config) -> int:
    async with _owner(config) as connection:
        await rotate_token_secrets(connection)
    print(
        "there is a new secret of tokens; tokens of the one before stay valid until the next"
        " rotation, older ones are refused from now on"
    )
    return 0


async def _migrate(config: Config, credentials: Path | None) -> int:
    owner_url = config.database_owner_url or config.database_url
    async with _owner(config) as connection:
        for name in await migrate(connection):
            print(f"applied {name}")
        print(f"the schema is {newest()}")
        if owner_url == config.database_url and (dangerous := await dangerous_role(connection)):
            print(service_login.advice(config.database_url, dangerous))
    pool = await open_owner_pool(owner_url)
    try:
        key = await create_first_tenant(pool)
    finally:
        await pool.close()
    if key is None:
        return 0
    if credentials is None:
        print(f"operator key (it is shown once): {key}")
        return 0
    _keep(credentials, key)
    return 0


def _keep(credentials: Path, key: str) -> None:
    """Write the key to a file that only its owner can read; completely, or not at all."""
    making = credentials.with_name(f"{credentials.name}.making")
    making.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with os.fdopen(os.open(making, flags, 0o600), "w") as file:
        json.dump({"operator_key": key}, file)
    making.replace(credentials)


async def _verify(config: Config) -> int:
    await store_answers(config)
    async with open_env(config) as env:
        return 1 if await verify_all(env.pool) else 0


if __name__ == "__main__":
    sys.exit(main())
