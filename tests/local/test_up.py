"""`usage up` when things are killed: what runs comes back, and the next start needs one try."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from usage_management.v1 import access_service_pb2 as access

from clients import Tls, UsageClient, UsageError
from tests.certificates import Authority

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")

COMMAND = [sys.executable, "-m", "clients"]
# What is promised is five seconds, of a machine that does nothing else.
BACK_SECONDS = 20
KEY = r"usage_[A-Za-z0-9_-]{40,}"


class Up:
    """`usage up` on a directory, with settings of its own."""

    def __init__(self, home: Path, **settings: str) -> None:
        self.home = home
        others = {k: v for k, v in os.environ.items() if not k.startswith(("DATABASE_", "REDIS_"))}
        ports = {"USAGE_PORT": "0", "USAGE_METRICS_PORT": "0"}
        self.environment = {**others, **ports, "USAGE_HOME": str(home), **settings}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, output: Path) -> None:
        """Start it, and wait until it serves."""
        with output.open("ab") as out:
            self.process = subprocess.Popen(
                [*COMMAND, "up"], env=self.environment, stdout=out, stderr=out
            )
        limit = time.monotonic() + 60
        while self.state.get("pid") != self.process.pid:
            assert self.process.poll() is None, output.is_file() and output.read_text()
            assert time.monotonic() < limit
            time.sleep(0.02)

    @property
    def state(self) -> dict[str, object]:
        """The supervisor's own account."""
        try:
            return json.loads((self.home / "state.json").read_text())
        except FileNotFoundError:
            return {}

    async def answers(self) -> None:
        """Return when a call that needs the store is answered."""
        kept = json.loads((self.home / "credentials").read_text())
        address, key, tls = str(self.state["address"]), kept["operator_key"], Tls.of(kept)
        async with (
            asyncio.timeout(BACK_SECONDS),
            UsageClient(address, key, timeout=0.3, tls=tls) as client,
        ):
            while True:
                with suppress(UsageError):
                    await client.access.ListTenants(access.ListTenantsRequest())
                    return
                await asyncio.sleep(0.05)

    def programs(self) -> dict[str, int]:
        """The numbers of server and worker."""
        assert self.process is not None
        found = [(one.pid, one.cmdline()) for one in psutil.Process(self.process.pid).children()]
        return {line[2]: pid for pid, line in found if line[1:2] == ["-m"]}

    def postmaster(self) -> int:
        """The number of the main process of Postgres."""
        return int((self.home / "data/postgres/postmaster.pid").read_text().splitlines()[0])

    def everything(self) -> list[int]:
        """The numbers of all processes that belong to it, the supervisor's first."""
        assert self.process is not None
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [self.process.pid, *(one.pid for one in children)]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "home"
    for process in psutil.process_iter(["environ"]):
        if (process.info["environ"] or {}).get("USAGE_HOME") == str(tmp_path / "home"):
            process.kill()


def keys_in_logs(home: Path) -> list[str]:
    """The logs in which a key of the credentials file stands, or what begins like a key."""
    kept = json.loads((home / "credentials").read_text())
    keys = [kept["operator_key"], kept["demo_key"]]
    assert all(re.match(KEY, key) for key in keys), "every key begins like this"
    logs = [path for path in (home / "log").rglob("*") if path.is_file()]
    assert {"bootstrap.log", "migrate.log", "server.log"} <= {path.name for path in logs}
    texts = {path: path.read_text(errors="replace") for path in logs}
    return [
        path.name
        for path, text in texts.items()
        if any(key in text for key in keys) or re.search(KEY, text)
    ]


@pytest.mark.timeout(120)
async def test_all_goes_on_when_postgres_is_killed_though_the_disk_is_full(
    home: Path, tmp_path: Path
):
    """It says so to a file on a disk without space, and serves at a unix socket."""
    up = Up(home, USAGE_HOST=f"unix:{tmp_path}/usage.sock")
    await asyncio.to_thread(up.start, Path("/dev/full"))
    assert up.process is not None
    assert up.state["address"] == f"unix:{tmp_path}/usage.sock"
    await up.answers()
    before, postmaster = up.programs(), up.postmaster()

    os.kill(postmaster, signal.SIGKILL)
    began = time.monotonic()
    await asyncio.sleep(0.1)
    await up.answers()

    print(f"a call is answered {time.monotonic() - began:.1f} s after Postgres was killed")
    assert up.postmaster() != postmaster
    assert up.programs() == before, "server and worker have gone on"
    os.kill(before["server"], signal.SIGKILL)
    await asyncio.sleep(0.1)
    await up.answers()
    assert up.programs()["server"] != before["server"]
    up.process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(up.process.wait, 40) == 0


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"USAGE_HOST": "0.0.0.0"}, "USAGE_ALLOW_PLAINTEXT=1"),
        ({"USAGE_TLS_KEY": "/nowhere/key.pem"}, "USAGE_TLS_KEY"),
        ({"USAGE_TLS_CLIENT_CA": "authority"}, "USAGE_CLIENT_CERTIFICATE"),
    ],
)
def test_tls_that_cannot_be_used_is_refused_before_anything_starts(
    home: Path, tmp_path: Path, settings: dict[str, str], told: str
):
    authority = Authority(tmp_path / "tls")
    if "USAGE_TLS_CLIENT_CA" in settings:
        settings = authority.issue("server").variables | {
            "USAGE_TLS_CLIENT_CA": str(authority.file)
        }
    up = Up(home, **settings)
    done = subprocess.run(
        [*COMMAND, "up"], env=up.environment, capture_output=True, text=True, check=False
    )

    assert done.returncode in (1, 2)
    assert told in " ".join((done.stdout + done.stderr).split())
    assert "Traceback" not in done.stderr
    assert not (home / "data" / "postgres").exists()


@pytest.mark.timeout(180)
async def test_after_all_was_killed_at_once_the_next_start_needs_one_try(
    home: Path, tmp_path: Path
):
    """It serves all addresses, so over TLS, and its own callers show a certificate too."""
    authority = Authority(tmp_path / "tls")
    server, caller = authority.issue("server"), authority.issue("caller")
    up = Up(
        home,
        USAGE_HOST="::",
        USAGE_TLS_CLIENT_CA=str(authority.file),
        USAGE_CLIENT_CERTIFICATE=str(caller.certificate),
        USAGE_CLIENT_KEY=str(caller.key),
        **server.variables,
    )
    for order in (1, -1):
        await asyncio.to_thread(up.start, tmp_path / "output")
        await up.answers()
        assert str(up.state["address"]).startswith("[::1]:")
        for pid in up.everything()[::order]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert up.process is not None
        up.process.wait()

    await asyncio.to_thread(up.start, tmp_path / "output")
    await up.answers()
    assert up.process is not None
    status = await asyncio.to_thread(
        subprocess.run,
        [*COMMAND, "status", "--json"],
        env={key: value for key, value in up.environment.items() if "TLS" not in key},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(status.stdout)
    assert (found["health"], found["tls"], len(found["tenants"])) == ("SERVING", True, 2)
    up.process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(up.process.wait, 40) == 0
    assert keys_in_logs(home) == []
