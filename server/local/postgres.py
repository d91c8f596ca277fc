"""An embedded Postgres: one data directory, one child process, one unix socket."""

import shlex
import shutil
import signal
import subprocess
from pathlib import Path
from typing import IO
from urllib.parse import quote

from server.local import processes
from server.local.binaries import POSTGRES_VARIABLE, LocalStoreError, postgres_bin, postgres_major
from server.local.logs import open_log
from server.local.processes import ProcessIdentity

SUPERUSER = "postgres"
UNSAFE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
BUILTIN_LOCALES_SINCE = 17


class Postgres:
    """A running server. Its data survive it; with `unsafe` a crash of the machine may lose them."""

    def __init__(
        self, data_dir: Path, socket_dir: Path, process: subprocess.Popen[bytes], lock: IO[bytes]
    ) -> None:
        self.data_dir = data_dir
        self.socket_dir = socket_dir
        self.process = process
        self._lock = lock

    @classmethod
    def start(
        cls, data_dir: Path, *, unsafe: bool = False, binaries: Path | None = None
    ) -> "Postgres":
        """Start on `data_dir`, creating it if needed; return when queries are answered.

        Servers left over from a killed process are ended first. Raises LocalStoreError if the data
        are in use or of another major version, or if the server does not start.
        """
        programs = binaries or postgres_bin()
        data_dir = data_dir.resolve()
        data_dir.parent.mkdir(parents=True, exist_ok=True)
        identity = processes.unprivileged()
        identity.reach(data_dir.parent)
        identity.reach(programs)
        lock = processes.lock(data_dir)
        try:
            _make(data_dir, programs, identity)
            _check_major(data_dir, programs, identity)
            identity.own(data_dir)
            processes.end_leftovers(data_dir, "postgres", signal.SIGINT, _postmaster(data_dir))
            socket_dir = processes.socket_directory(data_dir, identity)
            _forget_killed(data_dir, socket_dir)
            process = _run(data_dir, socket_dir, programs, identity, UNSAFE if unsafe else ())
        except BaseException:
            lock.close()
            raise
        return cls(data_dir, socket_dir, process, lock)

    def dsn(self, database: str = "postgres", *, user: str = SUPERUSER) -> str:
        """Return the DSN of a database and a login for asyncpg."""
        return f"postgresql://{user}@/{quote(database)}?host={quote(str(self.socket_dir))}"

    def stop(self) -> None:
        """Stop cleanly without waiting for clients. A second stop does nothing."""
        processes.stop(self.process, signal.SIGINT)  # SIGTERM would wait for clients.
        self._lock.close()
        shutil.rmtree(self.socket_dir, ignore_errors=True)


def _make(data_dir: Path, binaries: Path, identity: ProcessIdentity) -> None:
    if (data_dir / "PG_VERSION").exists():
        return
    if data_dir.exists() and any(data_dir.iterdir()):
        raise LocalStoreError(f"{data_dir} is neither empty nor a Postgres data directory")
    # Created under another name and renamed, so that a kill leaves no incomplete directory.
    making = data_dir.with_name(data_dir.name + ".making")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(mode=0o700)
    identity.own(making)
    done = subprocess.run(
        _initdb(making, binaries, identity),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=processes.environment(),
        user=identity.user,
        group=identity.user,
        extra_groups=[] if identity.user is not None else None,
        check=False,
    )
    if done.returncode != 0:
        raise LocalStoreError(f"initdb failed:\n{done.stdout}{done.stderr}")
    if data_dir.exists():
        data_dir.rmdir()
    making.rename(data_dir)


def _initdb(data_dir: Path, binaries: Path, identity: ProcessIdentity) -> list[str]:
    # Sorts by bytes on every platform and version. Checksums must match in an upgrade.
    locale = ["--locale=C.UTF-8"]
    if postgres_major(binaries) >= BUILTIN_LOCALES_SINCE:
        locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    options = ["-U", SUPERUSER, "--auth=trust", "-E", "UTF8", "--no-instructions"]
    return [
        *identity.prefix,
        str(binaries / "initdb"),
        *options,
        "--data-checksums",
        *locale,
        "-D",
        str(data_dir),
    ]


def _check_major(data_dir: Path, binaries: Path, identity: ProcessIdentity) -> None:
    here = postgres_major(binaries)
    there = (data_dir / "PG_VERSION").read_text().strip()
    if there == str(here):
        return
    old = f"{data_dir}-{there}"
    old_bin = f"/usr/lib/postgresql/{there}/bin"
    make = shlex.join(_initdb(data_dir, binaries, identity))
    move = [*identity.prefix, str(binaries / "pg_upgrade"), "-b", old_bin, "-B", str(binaries)]
    move += ["-d", old, "-D", str(data_dir), "-U", SUPERUSER, "-s", "/tmp"]
    raise LocalStoreError(
        f"{data_dir} is of Postgres {there} and the programs in {binaries} are {here}. Go on with"
        f" {there} by {POSTGRES_VARIABLE}={old_bin}, or move the data:\n"
        f"  mv {shlex.quote(str(data_dir))} {shlex.quote(old)} && {make}\n"
        f"  cd {shlex.quote(str(data_dir.parent))} && {shlex.join(move)}"
    )


def _run(
    data_dir: Path,
    socket_dir: Path,
    binaries: Path,
    identity: ProcessIdentity,
    settings: tuple[str, ...],
) -> subprocess.Popen[bytes]:
    chosen = ("listen_addresses=", "timezone=UTC", "log_timezone=UTC", *settings)
    command = [str(binaries / "postgres"), "-D", str(data_dir), "-k", str(socket_dir)]
    for setting in chosen:
        command += ["-c", setting]
    log = data_dir.with_name(data_dir.name + ".log")
    with open_log(log) as out:
        process = processes.spawn(command, out, signal.SIGINT, identity)

    def ready() -> bool:
        return _postmaster(data_dir) == process.pid and _line(data_dir, 7) == "ready"

    try:
        processes.wait_until_ready(process, ready, log)
    except BaseException:
        processes.stop(process, signal.SIGINT)
        raise
    return process


def _forget_killed(data_dir: Path, socket_dir: Path) -> None:
    """Remove the files that name a killed server.

    Postgres does so itself, unless a process with that number exists. It exists while nobody has
    reaped the killed server, or when another program got the number; in a user name space that
    program may be signaled, so that it looks like a server. The lock is held and no server was
    found on these data. Postgres also checks the shared memory, which reveals a server that was
    missed.
    """
    (data_dir / "postmaster.pid").unlink(missing_ok=True)
    for left in socket_dir.glob(".s.PGSQL.*"):
        left.unlink()


def _postmaster(data_dir: Path) -> int | None:
    text = _line(data_dir, 0)
    return int(text) if text.isdecimal() else None


def _line(data_dir: Path, number: int) -> str:
    """Return a line of `postmaster.pid`: 0 is the process, 7 its state."""
    try:
        return (data_dir / "postmaster.pid").read_text().splitlines()[number].strip()
    except (OSError, IndexError):
        return ""
