"""A newcomer's way: one powerful login, and then the service with a login of its own."""

import asyncio
import re
import subprocess
import sys

import asyncpg

from clients.health import serving
from server.store.service_login import as_login
from tests.processes.conftest import Program


async def run(environment: dict[str, str], *module: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *module]
    return await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, text=True, check=False
    )


async def test_one_powerful_login_becomes_two_by_following_the_message(guarded: str, settings):
    environment = settings(guarded) | {"DATABASE_URL": guarded, "DATABASE_OWNER_URL": guarded}
    del environment["DATABASE_OWNER_URL"]

    migrated = await run(environment, "server", "migrate")
    refused = await run(environment, "server", "serve")

    assert migrated.returncode == 0, migrated.stderr
    assert refused.returncode == 1
    assert "the database login postgres is a superuser" in refused.stderr
    assert "Traceback" not in refused.stderr
    [statement] = re.findall(r"ALTER ROLE .*;", migrated.stdout)
    [url] = re.findall(r"DATABASE_URL=(.*)", migrated.stdout)
    superuser = await asyncpg.connect(guarded)
    await superuser.execute(statement)
    await superuser.close()
    environment |= {"DATABASE_URL": url, "DATABASE_OWNER_URL": guarded}
    server = Program(("server", "serve"), environment)
    server.start()
    try:
        await serving(f"127.0.0.1:{environment['USAGE_PORT']}", 30)
    finally:
        server.end()

    again = await run(environment, "server", "migrate")
    assert again.returncode == 0
    assert "ALTER ROLE" not in again.stdout
    del environment["DATABASE_OWNER_URL"]
    as_itself = await run(environment, "server", "migrate")
    assert as_itself.returncode == 0, "a database that is up to date needs no owner"


async def test_a_migration_by_a_login_that_may_not_says_which_setting_to_use(
    guarded: str, settings
):
    superuser = await asyncpg.connect(guarded)
    await superuser.execute("CREATE ROLE weak LOGIN PASSWORD 'weak'")
    await superuser.execute("CREATE DATABASE other")
    await superuser.close()
    url = as_login(guarded, "weak", "weak").replace("/postgres?", "/other?")

    done = await run(settings(guarded) | {"DATABASE_OWNER_URL": url}, "server", "migrate")

    assert done.returncode == 1
    assert "DATABASE_OWNER_URL" in done.stderr
    assert "Traceback" not in done.stderr
