"""`python -m server.local.supervisor up [--demo] | reset --yes`: the whole service on one machine.

Starts the stores, migrates, starts server and worker, creates a first tenant, and keeps all of it
running until a signal. Children are started from the main thread, because Linux ends a child with
the thread that started it.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from rich.control import Control
from rich.segment import ControlType

from server.config import UNIX, ConfigError
from server.local import ports, processes, tls
from server.local.binaries import LocalStoreError
from server.local.children import ChildProgram, Keeper, Runnable, Store
from server.local.logs import Rotation, open_log
from server.local.output import console, give_up_what_is_left, warn
from server.local.postgres import Postgres
from server.local.processes import OWNER_VARIABLE, ProcessIdentity
from server.local.redis import Redis
from server.local.state import Home, last_lines
from server.runtime.listening import address_of

PORT = 50051
METRICS_PORT = 9464
POLL_SECONDS = 0.1
READY_SECONDS = 60.0
REFUSED, MISUSED = 1, 2
# The migration creates this login. The embedded Postgres requires no password.
SERVICE_LOGIN = "usage_service"
# The addresses by which callers reach a server that listens on all addresses.
REACHED = {"0.0.0.0": "127.0.0.1", "::": "::1"}
# No load balancer is involved, so a stop need not wait for one.
USUAL_SETTINGS = {
    "USAGE_DRAIN_SECONDS": "0",
    "USAGE_STOP_SECONDS": "5",
    # Less than READY_SECONDS, so that the program itself reports what it waited for.
    "USAGE_STORE_WAIT_SECONDS": "30",
}


class _Stopped(BaseException):
    """A signal requested a stop."""


class Supervisor:
    """The parts of `usage up`, in the order in which they were started."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._started = time.monotonic()
        self._running: list[Runnable] = []
        self._demo: subprocess.Popen[bytes] | None = None
        self._tls: dict[str, str | None] = {}
        self.address = ""

    def start(self) -> None:
        """Start everything. Raises LocalStoreError, with a remedy where one is known."""
        host = _host("USAGE_HOST")
        if not host.startswith(UNIX):
            port = ports.chosen("USAGE_PORT", PORT, host)
            os.environ["USAGE_PORT"] = str(port)
            self.address = address_of(REACHED.get(host, host), port)
        elif not Path(host.removeprefix(UNIX)).is_absolute():
            raise LocalStoreError(f"USAGE_HOST={host} is relative; write unix:/path/usage.sock")
        else:
            self.address = host
        metrics_host = _host("USAGE_METRICS_HOST")
        metrics_port = ports.chosen("USAGE_METRICS_PORT", METRICS_PORT, metrics_host)
        if not host.startswith(UNIX) and metrics_port == port:
            raise LocalStoreError(f"USAGE_METRICS_PORT={metrics_port} is USAGE_PORT too")
        os.environ["USAGE_METRICS_PORT"] = str(metrics_port)
        metrics = address_of(REACHED.get(metrics_host, metrics_host), metrics_port)
        # Child processes inherit the environment.
        for variable, value in USUAL_SETTINGS.items():
            os.environ.setdefault(variable, value)
        self._tls = tls.for_callers()
        self._start_stores()
        self._migrate()
        self._start_programs(f"http://{metrics}/metrics")
        self._home.write(
            self._home.state,
            pid=os.getpid(),
            address=self.address,
            metrics=metrics,
            database_url=os.environ["DATABASE_URL"],
            redis_url=os.environ["REDIS_URL"],
        )

    def welcome(self) -> None:
        """Print the address and the next steps."""
        took = time.monotonic() - self._started
        console.print(f"\n[bold green]Serving at {self.address}[/], {took:.1f} s after the start")
        self._say_where()
        usage = _program()
        console.print(f"  next    {usage} demo      play a month of two products", soft_wrap=True)
        console.print(f"          {usage} status    stores, schema, clocks", soft_wrap=True)
        console.print(f"          {usage} --help    all commands", soft_wrap=True)
        console.print("Ctrl-C stops everything.")

    def play_demo(self) -> None:
        """Run the demo in a process of its own, which prints to this terminal."""
        sys.stdout.flush()
        self._demo = processes.spawn(
            [sys.executable, "-m", "clients", "demo"],
            sys.stdout.buffer,
            signal.SIGKILL,
            ProcessIdentity(),
        )

    def watch(self) -> NoReturn:
        """Restart children and rotate logs until a signal comes."""
        keepers = [Keeper(kept, warn) for kept in self._running]
        rotation = Rotation(self._home.logs, warn)
        while True:
            rotation.tend()
            for keeper in keepers:
                keeper.tend()
            if self._demo is not None and self._demo.poll() is not None:
                failed = self._demo.returncode
                self._demo = None
                if failed:
                    console.show_cursor()
                    command = f"`{_program()} demo`"
                    warn(f"the demo did not finish; {command} continues where it stopped")
                console.print(f"\n[bold green]Serving at {self.address}[/]")
                self._say_where()
                console.print("Ctrl-C stops everything.")
            time.sleep(POLL_SECONDS)

    def _say_where(self) -> None:
        console.print(f"  keys    {_near(self._home.credentials)} (operator, and tenant demo)")
        console.print(f"  logs    {_near(self._home.logs)}")

    def stop(self) -> None:
        """Stop the programs, and then the stores."""
        if self._demo is not None:
            processes.stop(self._demo, signal.SIGINT, 5)  # SIGINT lets it restore the cursor.
        console.show_cursor()
        programs = [kept for kept in self._running if isinstance(kept, ChildProgram)]
        stores = [kept for kept in self._running if isinstance(kept, Store)]
        # Programs first, because they use the stores.
        ordered: list[Runnable] = [*programs, *reversed(stores)]
        for kept in ordered:
            console.print(f"  stopping {kept.name}")
            kept.stop()
        with suppress(OSError):  # A stale number is harmless: no such process runs.
            if self._home.state.exists():
                self._home.write(self._home.state, pid=None)

    def _start_stores(self) -> None:
        data = self._home.data
        if os.environ.get("DATABASE_URL"):
            _done("Postgres", "yours, from DATABASE_URL")
        else:
            self._link_log("postgres")
            postgres = Store("Postgres", lambda: Postgres.start(data / "postgres"))
            self._begin(postgres)
            os.environ["DATABASE_URL"] = postgres.url(SERVICE_LOGIN)
            os.environ[OWNER_VARIABLE] = postgres.url()
            major = (data / "postgres" / "PG_VERSION").read_text().strip()
            self._home.write(self._home.state, postgres_major=int(major))
            _done("Postgres", f"{major}, embedded, in {_near(data / 'postgres')}")
        if os.environ.get("REDIS_URL"):
            _done("Redis", "yours, from REDIS_URL")
        else:
            self._link_log("redis")
            redis = Store("Redis", lambda: Redis.start(data / "redis"))
            self._begin(redis)
            os.environ["REDIS_URL"] = redis.url()
            _done("Redis", f"embedded (Valkey), in {_near(data / 'redis')}")

    def _migrate(self) -> None:
        log = self._home.fresh_log("migrate")
        command = ["server", "migrate", "--credentials", str(self._home.credentials)]
        owner_url = os.environ.get(OWNER_VARIABLE) or os.environ["DATABASE_URL"]
        self._run("the migration", command, log, DATABASE_OWNER_URL=owner_url)
        lines = log.read_text(errors="replace").splitlines()
        applied = [line.removeprefix("applied ") for line in lines if line.startswith("applied ")]
        if applied:
            self._home.write(self._home.state, schema=applied[-1])
        schema = self._home.read(self._home.state).get("schema", "as it was")
        _done("schema", f"{schema}{'' if applied else ', up to date'}")

    def _start_programs(self, metrics: str) -> None:
        server = ChildProgram("server", _module("server", "serve"), self._home.fresh_log("server"))
        worker = ChildProgram("worker", _module("workers"), self._home.fresh_log("worker"))
        self._begin(server)
        self._begin(worker)
        self._home.write(self._home.credentials, address=self.address, **self._tls)
        self._run(
            "preparing the tenant demo",
            ["clients.bootstrap"],
            self._home.fresh_log("bootstrap"),
            needed=server,
        )
        if "demo_key" not in self._home.read(self._home.credentials):
            warn(
                f"{_near(self._home.credentials)} has no operator key of this database, so there is"
                " no tenant demo; put back the file, or begin anew with `usage reset --yes`"
            )
        _done("server", f"{self.address}, metrics at {metrics}")
        _done("worker", "ready")

    def _begin(self, kept: Runnable) -> None:
        self._running.append(kept)
        with _doing(f"starting {kept.name}"):
            kept.start()

    def _link_log(self, name: str) -> None:
        """Link a store's log, which is beside its data, into the directory of logs."""
        link = self._home.logs / f"{name}.log"
        link.unlink(missing_ok=True)
        link.symlink_to(Path("..") / "data" / f"{name}.log")

    def _run(
        self,
        what: str,
        module: Sequence[str],
        log: Path,
        needed: ChildProgram | None = None,
        **variables: str,
    ) -> None:
        """Run a module of the service to its end, while `needed` runs.

        Raises LocalStoreError with the end of its log if it fails.
        """
        with open_log(log) as out:
            process = processes.spawn(
                _module(*module), out, signal.SIGKILL, ProcessIdentity(), **variables
            )
        limit = time.monotonic() + READY_SECONDS
        try:
            with _doing(what):
                while process.poll() is None:
                    if needed is not None and needed.process and needed.process.poll() is not None:
                        what, log = f"the {needed.name}", needed.log
                        break
                    if time.monotonic() > limit:
                        what = f"{what} (given up after {READY_SECONDS:g} s)"
                        break
                    time.sleep(0.02)
        finally:
            processes.stop(process, signal.SIGTERM, 5)
        if process.returncode != 0:
            raise LocalStoreError(f"{what} failed; {log} ends with\n{last_lines(log)}")


def up(*, demo: bool) -> int:
    """Run everything until SIGINT or SIGTERM; a second signal ends at once."""
    home = Home.find()
    lock = home.take()
    _on_signals(_stop_once)
    supervisor = Supervisor(home)
    try:
        console.print(f"Starting in {_near(home.path)}")
        supervisor.start()
        if not demo:
            supervisor.welcome()
        else:
            supervisor.play_demo()
        supervisor.watch()
    except _Stopped:
        console.print("\nStopping")
    finally:
        supervisor.stop()
        lock.close()
    console.print("Stopped; what was recorded is kept.")
    return 0


def reset(*, sure: bool) -> int:
    """Delete the directory of `usage up`."""
    home = Home.find()
    if not sure:
        warn(f"this would remove all data, logs and keys in {home.path}; say --yes to do it")
        return MISUSED
    gone = home.throw_away()
    for path in gone:
        console.print(f"removed {_near(path)}")
    if not gone:
        console.print(f"there is nothing in {_near(home.path)}")
    return 0


def main() -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(prog="usage")
    commands = parser.add_subparsers(dest="command", required=True)
    starting = commands.add_parser("up", help="run everything here; Ctrl-C stops it")
    starting.add_argument("--demo", action="store_true", help="play the demo when it is up")
    forgetting = commands.add_parser("reset", help="throw away all that `usage up` keeps")
    forgetting.add_argument("--yes", action="store_true", help="really do it")
    arguments = parser.parse_args()
    try:
        if arguments.command == "up":
            return up(demo=arguments.demo)
        return reset(sure=arguments.yes)
    except ConfigError as error:
        warn(f"settings: {error}")
        return MISUSED
    except LocalStoreError as error:
        warn(str(error))
        return REFUSED
    finally:
        give_up_what_is_left()


def _host(variable: str) -> str:
    """Return the host that a variable names, without the brackets of IPv6."""
    return (os.environ.get(variable) or "127.0.0.1").strip("[]")


def _on_signals(handler: "signal._HANDLER") -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handler)


def _stop_once(_number: int, _frame: FrameType | None) -> None:
    _on_signals(signal.SIG_DFL)
    raise _Stopped


def _module(*module: str) -> list[str]:
    return [sys.executable, "-m", *module]


@contextmanager
def _doing(what: str) -> Iterator[None]:
    """Show a running step on a terminal. A spinner would need a thread, and this process forks."""
    if console.is_terminal:
        console.print(f"  … {what}", end="\r", style="dim")
    try:
        yield
    finally:
        if console.is_terminal:
            console.control(Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2)))


def _done(what: str, how: str) -> None:
    console.print(f"  [green]✓[/] {what:<9} {how}", soft_wrap=True)


def _program() -> str:
    """Return the command that calls `usage` from here."""
    return "usage" if shutil.which("usage") else _near(Path(sys.executable).with_name("usage"))


def _near(path: Path) -> str:
    """Return a path relative to the working directory, if it is inside."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


if __name__ == "__main__":
    sys.exit(main())
