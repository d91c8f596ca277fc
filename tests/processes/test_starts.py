"""Programs that start before Postgres does, or where it refuses them; and where they can listen."""

import asyncio
import errno
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg
import pytest

from clients.health import SERVING, health, serving
from server.config import ConfigError, read_config
from server.local.postgres import Postgres
from server.runtime.listening import address_of, refuse_taken_socket
from server.store.service_login import as_login
from server.store.waiting import StoreUnreachableError, is_temporary, wait_for_store
from tests.processes.conftest import Program, migrated

SERVER, WORKER, MIGRATE = ("server", "serve"), ("workers",), ("server", "migrate")


async def run(environment: dict[str, str], module: tuple[str, ...], *more: str):
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", *module, *more],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


async def said(program: Program, text: str) -> None:
    async with asyncio.timeout(30):
        while program.log is None or text not in program.log.read_text():
            assert program.process is not None
            assert program.process.poll() is None, program.log and program.log.read_text()
            await asyncio.sleep(0.02)


async def test_server_and_worker_wait_for_a_postgres_that_is_not_there_yet(
    tmp_path: Path, settings
):
    """First there is no socket, then a server; in the end both serve and stop in order."""
    store = Postgres.start(tmp_path / "data")
    environment = settings(store.dsn())
    await asyncio.to_thread(migrated, environment)
    store.stop()
    programs = [
        Program(module, environment, log=tmp_path / f"{module[0]}.log")
        for module in (SERVER, WORKER)
    ]
    for program in programs:
        program.start()
    try:
        for program in programs:
            await said(program, "waiting_for_postgres")
            assert str(store.socket_dir.name) in program.log.read_text()
        store = Postgres.start(tmp_path / "data")
        await serving(f"127.0.0.1:{environment['USAGE_PORT']}", 30)
        for program in programs:
            assert await asyncio.to_thread(program.stop) == 0
            assert "Traceback" not in program.log.read_text()
    finally:
        for program in programs:
            program.end()
        store.stop()


async def test_a_postgres_that_is_starting_or_stopping_is_waited_for(tmp_path: Path):
    store = Postgres.start(tmp_path / "data", unsafe=True)
    reasons: list[str] = []
    try:
        held = await asyncpg.connect(store.dsn())
        store.process.send_signal(signal.SIGTERM)  # It lets nobody in, and waits for `held`.
        with pytest.raises(StoreUnreachableError, match=r"did not answer in 0\.5 s"):
            await wait_for_store(store.dsn(), 0.5, lambda _, reason: reasons.append(reason))
        await held.close()
    finally:
        store.stop()

    assert reasons == ["the database system is shutting down"]


@pytest.mark.parametrize("module", [SERVER, WORKER, MIGRATE], ids=["server", "worker", "migrate"])
async def test_a_wrong_password_is_one_sentence_at_once(guarded: str, settings, module):
    dsn = as_login(guarded, "postgres", "s3cret")
    environment = settings(guarded) | {"DATABASE_URL": dsn, "DATABASE_OWNER_URL": dsn}

    done = await run(environment, module)

    assert done.returncode == 3
    assert done.stderr.startswith("Postgres at postgres@/postgres?host=")
    assert "password authentication failed" in done.stderr
    assert done.stderr.count("\n") == 1
    assert "s3cret" not in done.stderr + done.stdout
    assert "waiting" not in done.stdout


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda dsn: dsn.replace("/postgres?", "/nowhere?"), 'database "nowhere" does not exist'),
        (lambda dsn: as_login(dsn, "nobody", "s3cret"), "nobody"),
        (lambda dsn: "postgresql://usage:s3cret/pw@127.0.0.1/usage", "percent-encoded"),
        (lambda dsn: "mysql://usage:s3cret@127.0.0.1/usage", "postgresql"),
    ],
)
async def test_what_waiting_does_not_mend_is_not_waited_for(guarded: str, change, reason: str):
    waited: list[str] = []

    with pytest.raises(StoreUnreachableError) as refused:
        await wait_for_store(change(guarded), 30, lambda _, reason: waited.append(reason))

    assert reason in str(refused.value)
    assert "s3cret" not in str(refused.value)
    assert waited == []


@pytest.mark.parametrize(
    ("error", "waits"),
    [
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), True),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), False),
        (OSError("Multiple exceptions: [Errno 111] Connect call failed ('::1', 5432)"), True),
        (OSError(errno.EHOSTUNREACH, "No route to host"), True),
        (PermissionError(errno.EACCES, "Permission denied"), False),
    ],
)
def test_an_error_that_may_pass_is_told_from_one_that_stays(error: OSError, waits: bool):
    assert is_temporary(error) is waits


async def test_waiting_has_a_bound_and_ends_with_a_signal(tmp_path: Path, settings):
    environment = settings(f"postgresql://usage_service@/usage?host={tmp_path}")

    bounded = await run(environment | {"USAGE_STORE_WAIT_SECONDS": "0.3"}, WORKER)
    assert bounded.returncode == 3
    assert f"{tmp_path} did not answer in 0.3 s" in bounded.stderr

    for module in (SERVER, WORKER):
        program = Program(module, environment, log=tmp_path / f"{module[0]}.log")
        program.start()
        try:
            await said(program, "waiting_for_postgres")
            assert await asyncio.to_thread(program.stop) == 0
        finally:
            program.end()


async def test_a_database_without_our_schema_is_named(guarded: str, settings):
    superuser = await asyncpg.connect(guarded)
    await superuser.execute("CREATE DATABASE bare")
    await superuser.execute("CREATE ROLE harmless LOGIN PASSWORD 'harmless'")
    await superuser.close()
    dsn = as_login(guarded, "harmless", "harmless").replace("/postgres?", "/bare?")

    done = await run(settings(guarded) | {"DATABASE_URL": dsn}, SERVER)

    assert done.returncode == 1
    assert "usage migrate" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("operator_key")
async def test_a_server_listens_at_all_addresses_of_both_kinds(durable: str, settings):
    environment = settings(durable) | {"USAGE_HOST": "::", "USAGE_ALLOW_PLAINTEXT": "1"}
    server = Program(SERVER, environment)
    server.start()
    try:
        for host in ("[::1]", "127.0.0.1"):
            await serving(f"{host}:{environment['USAGE_PORT']}", 30)
    finally:
        server.end()


async def test_a_server_listens_at_a_unix_socket(durable: str, operator_key: str, settings):
    with TemporaryDirectory(dir="/tmp") as directory:
        address = f"unix:{directory}/usage.sock"
        environment = settings(durable) | {"USAGE_HOST": address}
        server = Program(SERVER, environment)
        server.start()
        try:
            await serving(address, 30)
            listed = await run(
                environment,
                ("clients",),
                *("--address", address, "--key", operator_key, "status", "--json"),
            )
            assert listed.returncode == 0, listed.stderr
            assert f'"address": "{address}"' in listed.stdout

            second = await run(environment | {"USAGE_METRICS_PORT": "0"}, SERVER)
            assert second.returncode == 2
            assert f"another program listens at {directory}/usage.sock" in second.stderr
            assert await health(address) == SERVING

            server.kill()
            assert "usage.sock" in os.listdir(directory), "a killed server leaves it"
            server.start()
            await serving(address, 30)
        finally:
            server.end()


@pytest.mark.parametrize("host", ["unix:usage.sock", f"unix:/{'x' * 200}", ""])
def test_what_is_no_address_is_refused_by_its_setting(host: str):
    with pytest.raises(ConfigError, match="USAGE_HOST"):
        read_config(database_url="postgresql://", host=host)


@pytest.mark.parametrize("path", ["/nowhere/usage.sock", __file__])
def test_a_socket_is_made_where_there_is_nothing_else(path: str):
    with pytest.raises(ConfigError, match="USAGE_HOST"):
        refuse_taken_socket(read_config(database_url="postgresql://", host=f"unix:{path}"))


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "127.0.0.1:1"),
        ("::", "[::]:1"),
        ("[::1]", "[::1]:1"),
        ("localhost", "localhost:1"),
        ("unix:/run/usage.sock", "unix:/run/usage.sock"),
    ],
)
def test_an_address_has_brackets_where_it_needs_them(host: str, address: str):
    config = read_config(database_url="postgresql://", host=host)

    assert address_of(config.host, 1) == address


@pytest.mark.usefixtures("operator_key")
@pytest.mark.parametrize("setting", ["USAGE_HOST", "USAGE_METRICS_HOST"])
async def test_a_server_names_the_setting_where_it_cannot_listen(
    durable: str, settings, setting: str
):
    environment = settings(durable) | {setting: "192.0.2.1", "USAGE_ALLOW_PLAINTEXT": "1"}

    done = await run(environment, SERVER)

    assert done.returncode == 2
    assert setting in done.stderr
    assert "Traceback" not in done.stderr
