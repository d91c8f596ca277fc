"""The embedded stores start, keep their data, and come back from being killed."""

import asyncio
import os
import pwd
import signal
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis as Client

from server.local.binaries import LocalStoreError, postgres_major
from server.local.postgres import Postgres
from server.local.processes import NOBODY, UNSHARE, ProcessIdentity, processes_in, unprivileged
from server.local.redis import Redis


async def ask(postgres: Postgres, *statements: str) -> object:
    connection = await asyncpg.connect(postgres.dsn(), timeout=10)
    try:
        for statement in statements[:-1]:
            await connection.execute(statement)
        return await connection.fetchval(statements[-1])
    finally:
        await connection.close(timeout=5)


async def test_postgres_keeps_its_data_over_a_restart(tmp_path: Path) -> None:
    server = Postgres.start(tmp_path / "data")
    try:
        await ask(server, "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (7) RETURNING n")
    finally:
        server.stop()
    assert server.process.returncode == 0

    again = Postgres.start(tmp_path / "data")
    try:
        assert await ask(again, "SELECT n FROM kept") == 7
        assert await ask(again, "SHOW timezone") == "UTC"
        assert await ask(again, "SELECT 'B' < 'a'"), "text compares as bytes"
        assert await ask(again, "SHOW fsync") == "on"
    finally:
        again.stop()


async def test_postgres_comes_back_though_a_busy_backend_outlived_it(tmp_path: Path) -> None:
    server = Postgres.start(tmp_path / "data")
    await ask(server, "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (7) RETURNING n")
    connection = await asyncpg.connect(server.dsn())
    backend = await connection.fetchval("SELECT pg_backend_pid()")
    busy = asyncio.create_task(connection.execute("DO $$ BEGIN LOOP END LOOP; END $$"))
    await asyncio.sleep(0.2)

    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()
    server.stop()
    assert backend in processes_in(tmp_path / "data", "postgres")
    again = Postgres.start(tmp_path / "data")

    try:
        with pytest.raises((OSError, asyncpg.PostgresError)):
            await busy
        assert backend not in processes_in(tmp_path / "data", "postgres")
        assert await ask(again, "SELECT n FROM kept") == 7
    finally:
        again.stop()


@pytest.mark.parametrize("holder", ["what is left of the killed one", "another program"])
async def test_postgres_starts_though_the_number_of_the_killed_one_is_taken(
    tmp_path: Path, holder: str
) -> None:
    server = Postgres.start(tmp_path / "data")
    await ask(server, "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (7) RETURNING n")
    lock = server.socket_dir / ".s.PGSQL.5432.lock"
    named = lock.read_text()
    os.kill(server.process.pid, signal.SIGKILL)
    # It is not waited for, so that its number stays taken; only then is its directory let go.
    server._lock.close()
    other = await asyncio.to_thread(subprocess.Popen, ["sleep", "60"])
    if holder == "another program":
        for file in (tmp_path / "data" / "postmaster.pid", lock):
            taken = named if file == lock else file.read_text()
            file.write_text(taken.replace(str(server.process.pid), str(other.pid), 1))
    try:
        again = Postgres.start(tmp_path / "data")
        assert await ask(again, "SELECT n FROM kept") == 7
        again.stop()
        assert other.poll() is None, "it is not ours to end"
    finally:
        other.kill()
        other.wait()
        server.process.wait()


async def test_logs_of_the_stores_are_the_owners_alone_and_added_to(tmp_path: Path) -> None:
    for store, name in ((Postgres, "postgres"), (Redis, "redis")):
        lines = []
        for _ in range(2):
            store.start(tmp_path / name).stop()
            lines.append(len((tmp_path / f"{name}.log").read_text().splitlines()))
        assert lines[1] >= 2 * lines[0] - 2 > 4
        assert (tmp_path / f"{name}.log").stat().st_mode & 0o777 == 0o600


async def test_a_directory_serves_one_process_at_a_time(tmp_path: Path) -> None:
    server = Postgres.start(tmp_path / "data", unsafe=True)
    try:
        with pytest.raises(LocalStoreError, match="in use"):
            Postgres.start(tmp_path / "data")
        assert await ask(server, "SELECT 1") == 1
    finally:
        server.stop()


def test_another_major_version_is_refused_with_the_two_commands(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "PG_VERSION").write_text("9\n")

    with pytest.raises(LocalStoreError, match="of Postgres 9") as refusal:
        Postgres.start(data)

    assert "initdb" in str(refusal.value)
    assert "pg_upgrade" in str(refusal.value)


def test_what_is_not_a_data_directory_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "letter.txt").write_text("dear")

    with pytest.raises(LocalStoreError, match="neither empty nor"):
        Postgres.start(tmp_path / "data")

    assert (tmp_path / "data" / "letter.txt").read_text() == "dear"


def test_a_first_start_that_was_killed_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "data.making").mkdir()
    (tmp_path / "data.making" / "half").write_text("made")

    Postgres.start(tmp_path / "data", unsafe=True).stop()

    assert (tmp_path / "data" / "PG_VERSION").exists()
    assert not (tmp_path / "data.making").exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux's prctl")
@pytest.mark.parametrize(
    ("store", "program"), [("postgres.Postgres", "postgres"), ("redis.Redis", "valkey-server")]
)
def test_the_stores_end_with_a_process_that_was_killed(
    tmp_path: Path, store: str, program: str
) -> None:
    module, name = store.split(".")
    code = (
        f"import pathlib, sys, time; from server.local.{module} import {name} as Store\n"
        "print(Store.start(pathlib.Path(sys.argv[1])).process.pid, flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "data")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert int(parent.stdout.readline()) in processes_in(tmp_path / "data", program)
        parent.kill()

    limit = time.monotonic() + 15
    while left := processes_in(tmp_path / "data", program):
        assert time.monotonic() < limit, left
        time.sleep(0.01)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to be somebody else")
def test_root_becomes_nobody() -> None:
    assert unprivileged() in {ProcessIdentity(prefix=UNSHARE), ProcessIdentity(user=NOBODY)}


def test_a_user_without_a_name_becomes_somebody_who_has_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in a container that was started with a number for a user: initdb refuses such a one."""
    used = set(range(100_000)) & {entry.pw_uid for entry in pwd.getpwall()}
    nameless = min(set(range(1000, 100_000)) - used)
    monkeypatch.setattr(os, "geteuid", lambda: nameless)
    allowed = subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode == 0

    found = unprivileged.__wrapped__()

    assert found == (ProcessIdentity(prefix=UNSHARE) if allowed else ProcessIdentity())


def test_the_version_is_what_the_programs_say(postgres: Postgres) -> None:
    written = (postgres.data_dir / "PG_VERSION").read_text().strip()
    command = (postgres.data_dir / "postmaster.opts").read_text().split()[0]

    assert postgres_major(Path(command).parent) == int(written)


async def test_redis_keeps_its_data_over_a_restart_and_a_kill(tmp_path: Path) -> None:
    server = Redis.start(tmp_path / "data")
    async with Client.from_url(server.url) as client:
        assert await client.ping()
        await client.set("kept", "7")
    server.stop()
    assert server.process.returncode == 0

    server = Redis.start(tmp_path / "data")
    async with Client.from_url(server.url) as client:
        assert await client.get("kept") == b"7"
        await client.set("kept", "8")
    server.process.kill()
    server.process.wait()
    server.stop()

    server = Redis.start(tmp_path / "data")
    async with Client.from_url(server.url) as client:
        assert await client.get("kept") == b"8"
    server.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to be somebody else")
def test_a_directory_that_nobody_can_enter_is_refused_with_the_remedy(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)

    ProcessIdentity(prefix=UNSHARE).reach(tmp_path)
    with pytest.raises(LocalStoreError, match="chmod o\\+x"):
        ProcessIdentity(user=NOBODY).reach(tmp_path)
