"""Child processes that end with us, and what is left of those of an earlier life.

Start children from the main thread: Linux ends a child with the thread that made it.
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
    """How a program runs that refuses to be root: behind `prefix`, or as `user`."""

    prefix: tuple[str, ...] = ()
    user: int | None = None

    def own(self, directory: Path) -> None:
        """Give a directory and all in it to whom the program runs as. Only root has to."""
        if os.geteuid() != 0:
            return
        owner = self.user or 0
        if directory.stat().st_uid == owner:
            return
        for path in (directory, *directory.rglob("*")):
            os.chown(path, owner, owner, follow_symlinks=False)

    def reach(self, directory: Path) -> None:
        """Refuse a directory that `user` cannot get into. In a name space everything is reached."""
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
    """Choose how to be somebody whom Postgres accepts: not root, and with a name.

    A user name space where they are allowed, else `nobody`. In a name space files stay the same
    user's outside, so that nothing has to be readable to others. A user without a name is that of a
    container which was started with a number.
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
    """Start a program that gets the signal `death` when this process ends, however it ends.

    `variables` are added to its environment.
    """
    return subprocess.Popen(
        [*identity.prefix, *command],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env={**environment(), **variables},
        start_new_session=True,
        user=identity.user,
        group=identity.user,
        extra_groups=[] if identity.user is not None else None,
        preexec_fn=_die_with_parent(death),  # noqa: PLW1509 - there is no other way to ask for it
    )


def environment() -> dict[str, str]:
    """Ours, without what makes a server depend on who starts it, and without the owner's login.

    Only a migration needs that login. Who takes over a server must not find it there.
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
    """Wait for `ready`; raise with the end of the log when the process ends or takes too long."""
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
    """End a process and wait for it: by the signal, and by force when that takes too long."""
    if process.poll() is not None:
        return
    process.send_signal(politely)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def lock(directory: Path) -> IO[bytes]:
    """Take a store's directory for this process, until the file is closed or the process ends."""
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
    """End what still works in a directory whose lock we hold: it is of an earlier life.

    `main` is asked first. What outlives it by half a second (a busy backend does) is killed. Raises
    LocalStoreError when that does not help.
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
    """Find the processes of `program` whose working directory this is (elsewhere: that name it)."""
    if not Path("/proc/self/cwd").exists():
        return _processes_naming(directory, program)
    found = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            named = (entry / "comm").read_text().strip()
            if named == program[:15] and (entry / "cwd").readlink() == directory.resolve():
                found.add(int(entry.name))
        except OSError:
            continue  # It has ended, or is not ours to look at.
    return found


def socket_directory(directory: Path, identity: ProcessIdentity) -> Path:
    """Make a short directory of ours for a socket, whose path may have 103 bytes on macOS."""
    digest = hashlib.sha256(os.fsencode(directory.resolve())).hexdigest()[:16]
    path = Path("/tmp") / f"usage-{os.geteuid()}-{digest}"
    path.mkdir(mode=0o700, exist_ok=True)
    held = path.lstat()
    if path.is_symlink() or held.st_uid not in {os.geteuid(), identity.user}:
        raise LocalStoreError(f"{path} belongs to somebody else; remove it")
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
    """Let Linux send this process a signal when the thread that started it ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(death))


def _die_with_parent(death: signal.Signals) -> Callable[[], None] | None:
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl  # Loaded before the fork: afterwards nothing may be.
    number = int(death)
    parent = os.getpid()

    def ask() -> None:
        prctl(PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:
            os._exit(1)

    return ask
