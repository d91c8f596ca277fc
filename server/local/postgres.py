"""An embedded Postgres: one directory of data, one child process, one unix socket."""

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
    """A running server. Its data survive it; with `unsafe` they need not survive the machine."""

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
        """Start on `data_dir`, made when it is not there, and return when queries are answered.

        What a killed process of ours left running is ended first. Raises LocalStoreError when the
        data are in use, are of another major version, or the server does not come up.
        """
        found = binaries or postgres_bin()
        data_dir = data_dir.resolve()
        data_dir.parent.mkdir(parents=True, exist_ok=True)
        identity = processes.unprivileged()
        identity.reach(data_dir.parent)
        identity.reach(found)
        lock = processes.lock(data_dir)
        try:
            _make(data_dir, found, identity)
            _check_major(data_dir, found, identity)
            identity.own(data_dir)
            processes.end_leftovers(data_dir, "postgres", signal.SIGINT, _postmaster(data_dir))
            socket_dir = processes.socket_directory(data_dir, identity)
            _forget_killed(data_dir, socket_dir)
            process = _run(data_dir, socket_dir, found, identity, UNSAFE if unsafe else ())
        except BaseException:
            lock.close()
            raise
        return cls(data_dir, socket_dir, process, lock)

    def dsn(self, database: str = "postgres", *, user: str = SUPERUSER) -> str:
        """Name a database of this server, and a login, for asyncpg."""
        return f"postgresql://{user}@/{quote(database)}?host={quote(str(self.socket_dir))}"

    def stop(self) -> None:
        """Stop at once and cleanly, whoever is connected. Stopping twice is stopping once."""
        processes.stop(self.process, signal.SIGINT)  # SIGTERM would wait for the clients.
        self._lock.close()
        shutil.rmtree(self.socket_dir, ignore_errors=True)


def _make(data_dir: Path, binaries: Path, identity: ProcessIdentity) -> None:
    if (data_dir / "PG_VERSION").exists():
        return
    if data_dir.exists() and any(data_dir.iterdir()):
        raise LocalStoreError(f"{data_dir} is neither empty nor a Postgres data directory")
    # Made beside and renamed, so that a killed first start leaves nothing half-made in its place.
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
    # Byte order on every platform and version; checksums, so that versions can be upgraded.
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
    """Remove the files that name a server which was killed.

    Postgres does so itself unless a process with that number is there. It is there for as long as
    nobody has collected what is left of the killed one, or when another program got the number;
    seen from a user name space that program is allowed to be signalled, so it looks like ours.
    We have the lock and have found no server on these data, and Postgres goes on to look at the
    shared memory, which tells it of one that we did not see.
    """
    (data_dir / "postmaster.pid").unlink(missing_ok=True)
    for left in socket_dir.glob(".s.PGSQL.*"):
        left.unlink()


def _postmaster(data_dir: Path) -> int | None:
    said = _line(data_dir, 0)
    return int(said) if said.isdecimal() else None


def _line(data_dir: Path, number: int) -> str:
    """Read a line of `postmaster.pid`: 0 is the process, 7 how far it is."""
    try:
        return (data_dir / "postmaster.pid").read_text().splitlines()[number].strip()
    except (OSError, IndexError):
        return ""
