"""Child processes that end with this process, and those left over from an earlier one.

Start children from the main thread: Linux ends a child with the thread that started it.
"""

import ctypes
import fcntl
import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

from server.local.binaries import LocalStoreError

NOBODY = 65534
OWNER_VARIABLE = "DATABASE_OWNER_URL"
PR_SET_PDEATHSIG = 1
POLL_SECONDS = 0.005
UNSHARE = ("unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}")


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """The way to run a program that refuses root: behind `prefix`, or as `user`."""

    prefix: tuple[str, ...] = ()
    user: int | None = None

    def own(self, directory: Path) -> None:
        """Give a directory with its content to the program's user; only root must do this."""
        if os.geteuid() != 0:
            return
        owner = self.user or 0
        if directory.stat().st_uid == owner:
            return
        for path in (directory, *directory.rglob("*")):
            os.chown(path, owner, owner, follow_symlinks=False)

    def reach(self, directory: Path) -> None:
        """Raise LocalStoreError if `user` cannot enter a directory.

        In a user name space every directory can be entered.
        """
        if self.user is None:
            return
        for path in (*reversed(directory.parents), directory):
            if (
                path.exists()
                and path.stat().st_uid != self.user
                and not path.stat().st_mode & 0o001
            ):
                raise LocalStoreError(
                    f"user name spaces are forbidden here, so that root's Postgres runs as user"
                    f" {self.user}, who cannot enter {path}: `chmod o+x {path}`, or do not be root"
                )


@cache
def unprivileged() -> ProcessIdentity:
    """Return an identity that Postgres accepts: not root, and with a user name.

    This is a user name space where they are allowed, else `nobody`. In a name space, files keep
    their owner outside, so that they need not be readable by others. A container that was started
    with a numeric user has a user without a name.
    """
    if os.geteuid() != 0 and _has_name(os.geteuid()):
        return ProcessIdentity()
    if shutil.which("unshare"):
        tried = subprocess.run([*UNSHARE, "true"], capture_output=True, check=False)
        if tried.returncode == 0:
            return ProcessIdentity(prefix=UNSHARE)
    return ProcessIdentity(user=NOBODY) if os.geteuid() == 0 else ProcessIdentity()


def _has_name(user: int) -> bool:
    try:
        pwd.getpwuid(user)
    except KeyError:
        return False
    return True


def spawn(
    command: Sequence[str | Path],
    log: IO[bytes],
    death: signal.Signals,
    identity: ProcessIdentity,
    **variables: str,
) -> subprocess.Popen[bytes]:
    """Start a program that gets the signal `death` when this process ends for any reason.

    `variables` are added to its environment.
    """
    return subprocess.Popen(
        [*identity.prefix, *command],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env={**environment(), **variables},
        # Ctrl-C on the terminal then reaches only this process, which stops its children in order.
        start_new_session=True,
        user=identity.user,
        group=identity.user,
        extra_groups=[] if identity.user is not None else None,
        preexec_fn=_die_with_parent(death),  # noqa: PLW1509 - there is no other way to ask for it
    )


def environment() -> dict[str, str]:
    """Return the environment for servers, without the owner's login and locale settings.

    Variables that make a server depend on the user who starts it are removed. Only a migration
    needs the owner's login, so an attacker who takes over a server must not find it.
    """
    kept = {
        key: value
        for key, value in os.environ.items()
        if key != OWNER_VARIABLE and not key.startswith(("PG", "LC_"))
    }
    return {**kept, "TZ": "UTC", "LC_ALL": "C.UTF-8"}


def wait_until_ready(
    process: subprocess.Popen[bytes], ready: Callable[[], bool], log: Path, seconds: float = 60
) -> None:
    """Wait until `ready` is true.

    Raises LocalStoreError, with the end of the log, if the process ends or takes too long.
    """
    limit = time.monotonic() + seconds
    while not ready():
        ended = process.poll()
        if ended is not None or time.monotonic() > limit:
            process.kill()
            process.wait()
            why = f"not ready in {seconds:g} s" if ended is None else f"ended with {ended}"
            last = "\n  ".join(log.read_text(errors="replace").splitlines()[-8:])
            raise LocalStoreError(f"{process.args!r}: {why}; {log} ends with\n  {last}")
        time.sleep(POLL_SECONDS)


def stop(process: subprocess.Popen[bytes], politely: signal.Signals, seconds: float = 30) -> None:
    """End a process and wait for it: by the signal, then by force after `seconds`."""
    if process.poll() is not None:
        return
    process.send_signal(politely)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def lock(directory: Path) -> IO[bytes]:
    """Lock a store's directory until the file is closed or this process ends.

    Raises LocalStoreError if another process has the lock.
    """
    file = directory.with_name(directory.name + ".lock").open("wb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise LocalStoreError(f"{directory} is in use by another process of ours") from None
    return file


def end_leftovers(
    directory: Path, program: str, politely: signal.Signals, main: int | None
) -> None:
    """End the processes of an earlier start in a directory whose lock is held.

    `main` gets the signal first. Processes that survive it by half a second, such as a busy
    backend, are killed. Raises LocalStoreError if some still remain.
    """
    if main in processes_in(directory, program):
        with suppress(ProcessLookupError):
            os.kill(main, politely)
        _wait_while(lambda: main in processes_in(directory, program), 10)
    _wait_while(lambda: bool(processes_in(directory, program)), 0.5)
    for pid in processes_in(directory, program):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    _wait_while(lambda: bool(processes_in(directory, program)), 5)
    if left := processes_in(directory, program):
        raise LocalStoreError(
            f"{directory} is still in use by {program} of an earlier start, which cannot be killed:"
            f" process {', '.join(map(str, sorted(left)))}"
        )


def processes_in(directory: Path, program: str) -> set[int]:
    """Return the processes of `program` with this working directory.

    Where there is no /proc, those whose command line names the directory.
    """
    if not Path("/proc/self/cwd").exists():
        return _processes_naming(directory, program)
    pids = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            name = (entry / "comm").read_text().strip()
            if name == program[:15] and (entry / "cwd").readlink() == directory.resolve():
                pids.add(int(entry.name))
        except OSError:
            continue  # It has ended, or belongs to another user.
    return pids


def socket_directory(directory: Path, identity: ProcessIdentity) -> Path:
    """Create a directory for a socket with a short path, because macOS allows 103 bytes."""
    digest = hashlib.sha256(os.fsencode(directory.resolve())).hexdigest()[:16]
    path = Path("/tmp") / f"usage-{os.geteuid()}-{digest}"
    path.mkdir(mode=0o700, exist_ok=True)
    status = path.lstat()
    if path.is_symlink() or status.st_uid not in {os.geteuid(), identity.user}:
        raise LocalStoreError(f"{path} belongs to another user; remove it")
    path.chmod(0o700)
    identity.own(path)
    return path


def _processes_naming(directory: Path, program: str) -> set[int]:
    listed = subprocess.run(
        ["ps", "-axo", "pid=,command="], capture_output=True, text=True, check=False
    ).stdout
    rows = (line.split(None, 1) for line in listed.splitlines())
    named = (row for row in rows if len(row) == 2 and program in row[1])
    return {int(pid) for pid, command in named if str(directory) in command}


def _wait_while(condition: Callable[[], bool], seconds: float) -> None:
    limit = time.monotonic() + seconds
    while condition() and time.monotonic() < limit:
        time.sleep(POLL_SECONDS)


def end_with_parent(death: signal.Signals) -> None:
    """Make Linux send this process a signal when the thread that started it ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(death))


def _die_with_parent(death: signal.Signals) -> Callable[[], None] | None:
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl  # Loaded now: loading after the fork may deadlock.
    number = int(death)
    parent = os.getpid()

    def ask() -> None:
        prctl(PR_SET_PDEATHSIG, number)
        # If the parent ended before prctl, no signal will come.
        if os.getppid() != parent:
            os._exit(1)

    return ask
