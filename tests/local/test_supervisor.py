"""The supervisor's parts: ports, the directory, keeping things running; and all of it as one."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.local import children, ports, supervisor
from server.local.binaries import LocalStoreError
from server.local.children import ChildProgram, Keeper
from server.local.state import Home, last_lines


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def wait_for(condition: object, seconds: float = 10) -> None:
    limit = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < limit
        time.sleep(0.01)


def test_a_port_in_use_is_named_with_the_way_to_another(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setenv("USAGE_PORT", str(port))

        with pytest.raises(LocalStoreError, match=rf"port {port} .* USAGE_PORT=\d+ usage up"):
            ports.chosen("USAGE_PORT", 50051)


def test_port_zero_is_any_free_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USAGE_PORT", "0")

    assert ports.is_free("127.0.0.1", ports.chosen("USAGE_PORT", 50051))


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_a_host_that_is_not_of_this_machine_is_named(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("USAGE_PORT", "0")

    with pytest.raises(LocalStoreError, match=rf"{host}.* USAGE_HOST"):
        ports.chosen("USAGE_PORT", 50051, host)


@pytest.mark.parametrize("text", ["-1", "65536", "http", "²"])
def test_what_is_no_port_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("USAGE_PORT", text)

    with pytest.raises(LocalStoreError, match="is not a port"):
        ports.chosen("USAGE_PORT", 50051)


def test_a_directory_is_taken_once_and_says_by_whom(home: Home) -> None:
    lock = home.take()

    with pytest.raises(LocalStoreError, match=f"as process {os.getpid()}"):
        home.take()
    lock.close()
    home.take().close()


def test_what_is_kept_is_the_owners_alone_and_added_to(home: Home) -> None:
    home.take().close()
    home.write(home.credentials, operator_key="o", address="a")
    home.write(home.credentials, demo_key="d", address=None)

    assert home.read(home.credentials) == {"operator_key": "o", "demo_key": "d"}
    assert home.credentials.stat().st_mode & 0o777 == 0o600


def test_reset_takes_what_is_ours_and_nothing_else(home: Home) -> None:
    home.take().close()
    home.write(home.state, pid=1)
    (home.data / "postgres").mkdir(parents=True)
    (home.path / "letter.txt").write_text("dear")

    assert home.throw_away() == [home.data, home.logs, home.state]
    assert [path.name for path in home.path.iterdir()] == ["letter.txt"]


def test_reset_refuses_while_it_runs(home: Home) -> None:
    lock = home.take()
    with pytest.raises(LocalStoreError, match="already runs"):
        home.throw_away()
    lock.close()
    home.throw_away()
    assert not home.path.exists()


def test_reset_wants_to_be_sure(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USAGE_HOME", str(home.path))
    home.take().close()

    assert supervisor.reset(sure=False) == supervisor.MISUSED
    assert home.path.exists()
    assert supervisor.reset(sure=True) == 0
    assert not home.path.exists()


def test_logs_of_the_last_time_are_kept_beside(home: Home) -> None:
    home.take().close()
    home.fresh_log("server").write_text("one\ntwo\n")
    log = home.fresh_log("server")

    assert log.read_text() == ""
    assert last_lines(home.logs / "server.log.1", 1) == "  two"
    assert last_lines(home.logs / "none.log") == "  (nothing)"
    for number in range(10):
        home.fresh_log("server").write_text(f"start {number}")
    kept = sorted(path.name for path in home.logs.iterdir())
    assert kept == ["server.log", "server.log.1", "server.log.2", "server.log.3"]
    assert (home.logs / "server.log.3").read_text() == "start 6"


def test_what_ends_is_started_again_after_growing_pauses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "FIRST_PAUSE_SECONDS", 0.02)
    said: list[str] = []
    program = ChildProgram(
        "server", [sys.executable, "-c", "raise SystemExit(3)"], tmp_path / "log"
    )
    program.start()
    keeper = Keeper(program, said.append)

    def tended() -> bool:
        keeper.tend()
        return len(said) >= 5

    wait_for(tended)
    program.stop()
    assert said[0] == "server ended with 3; starting it again in 0.02 s"
    assert said[1] == "server is started again"
    assert said[2] == "server ended with 3; starting it again in 0.04 s"


def test_a_store_that_does_not_start_again_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "FIRST_PAUSE_SECONDS", 0.0)
    said: list[str] = []

    class Broken:
        name = "Postgres"
        starts = 0

        @property
        def process(self) -> subprocess.Popen[bytes]:
            return ended

        def start(self) -> None:
            self.starts += 1
            if self.starts == 1:
                raise LocalStoreError("in use")

        def stop(self) -> None:
            pass

    with subprocess.Popen([sys.executable, "-c", "pass"]) as ended:
        ended.wait()
    keeper = Keeper(Broken(), said.append)
    for _ in range(3):
        keeper.tend()

    assert said[1].startswith("Postgres does not start: in use; starting it again")
    assert said[2] == "Postgres is started again"


@pytest.fixture
def running(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """`usage up` in a directory of its own, as soon as it serves."""
    environment = {
        key: value for key, value in os.environ.items() if key not in {"DATABASE_URL", "REDIS_URL"}
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "clients", "up"],
        env={
            **environment,
            "USAGE_HOME": str(tmp_path / "home"),
            "USAGE_PORT": "0",
            "USAGE_METRICS_PORT": "0",
            "PYTHONUNBUFFERED": "1",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if "Ctrl-C stops everything" in line:
            break
    else:
        pytest.fail("".join(said))
    yield process
    process.kill()
    process.communicate()


def our_processes(home: Path) -> set[int]:
    """All processes that were started for a directory, or work in it."""
    wanted = f"USAGE_HOME={home}".encode()
    found = set()
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and (
                (entry / "cwd").readlink().is_relative_to(home)
                or wanted in (entry / "environ").read_bytes().split(b"\0")
            ):
                found.add(int(entry.name))
        except OSError:
            continue
    return found


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_everything_comes_up_refuses_a_second_and_stops(
    running: subprocess.Popen[str], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    environment = {**os.environ, "USAGE_HOME": str(home)}
    command = [sys.executable, "-m", "clients"]
    status = subprocess.run(
        [*command, "status", "--json"], env=environment, capture_output=True, text=True, check=True
    )
    found = json.loads(status.stdout)
    assert found["health"] == "SERVING"
    assert found["supervisor"] == f"process {running.pid}"
    assert "tenants/demo" in [tenant["name"] for tenant in found["tenants"]]
    assert (home / "credentials").stat().st_mode & 0o777 == 0o600

    told = [
        subprocess.run(
            [*command, "demo", "--json"],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for _ in range(2)
    ]
    lines = [json.loads(story)["liable_summaries"] for story in told]
    assert len(lines[0]) == 10
    assert lines[0] == lines[1], "told again from the data"

    second = subprocess.run(
        [*command, "up"], env=environment, capture_output=True, text=True, check=False
    )
    assert second.returncode == 1
    assert f"as process {running.pid}" in second.stderr

    running.send_signal(signal.SIGTERM)
    said, _ = running.communicate(timeout=30)
    assert running.returncode == 0
    stops = [line.split()[1] for line in said.splitlines() if line.startswith("  stopping")]
    assert stops == ["server", "worker", "Redis", "Postgres"]
    assert our_processes(home) == set()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux's prctl")
def test_a_killed_supervisor_takes_its_children_with_it(
    running: subprocess.Popen[str], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    assert len(our_processes(home)) > 4

    running.kill()
    running.wait()

    wait_for(lambda: not our_processes(home), 15)
