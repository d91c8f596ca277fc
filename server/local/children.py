"""The child processes of the supervisor: started, watched, restarted, stopped."""

import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from server.local import processes
from server.local.binaries import LocalStoreError
from server.local.logs import open_log
from server.local.postgres import SUPERUSER, Postgres
from server.local.processes import ProcessIdentity
from server.local.redis import Redis

FIRST_PAUSE_SECONDS = 0.5
MOST_PAUSE_SECONDS = 30.0
STEADY_SECONDS = 30.0
STOP_SECONDS = 30.0


class Runnable(Protocol):
    """A single process that can be started again after it ended."""

    name: str

    @property
    def process(self) -> "subprocess.Popen[bytes] | None": ...
    def start(self) -> None: ...
    def stop(self) -> None: ...


class ChildProgram:
    """A Python module of the service, as a process whose output goes to a log."""

    def __init__(self, name: str, arguments: Sequence[str], log: Path) -> None:
        self.name = name
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None
        self._arguments = arguments

    def start(self) -> None:
        """Start it; it is killed when this process ends."""
        with open_log(self.log) as out:
            self.process = processes.spawn(self._arguments, out, signal.SIGKILL, ProcessIdentity())

    def stop(self) -> None:
        """Stop it, by force if it takes too long."""
        if self.process is not None:
            processes.stop(self.process, signal.SIGTERM, STOP_SECONDS)


class Store:
    """An embedded store; `start` returns when it is ready."""

    def __init__(self, name: str, open_store: Callable[[], Postgres | Redis]) -> None:
        self.name = name
        self._open = open_store
        self._store: Postgres | Redis | None = None

    @property
    def process(self) -> "subprocess.Popen[bytes] | None":
        return self._store.process if self._store else None

    def url(self, user: str | None = None) -> str:
        """Return the URL for clients, which a restart does not change. Postgres needs a `user`."""
        assert self._store is not None, f"{self.name} is not started"
        if isinstance(self._store, Postgres):
            return self._store.dsn(user=user or SUPERUSER)
        return self._store.url

    def start(self) -> None:
        """Start it and wait until it answers. Raises LocalStoreError."""
        self.stop()
        self._store = self._open()

    def stop(self) -> None:
        """Stop it; its data are then on disk."""
        if self._store is not None:
            self._store.stop()
            self._store = None


class Keeper:
    """Restarts a child when it ends, after pauses that grow while it keeps ending."""

    def __init__(self, kept: Runnable, say: Callable[[str], None]) -> None:
        self.kept = kept
        self._say = say
        self._pause = FIRST_PAUSE_SECONDS
        self._started = time.monotonic()
        self._due: float | None = None

    def tend(self) -> None:
        """Detect that the child ended, and restart it when its pause is over."""
        now = time.monotonic()
        if self._due is None:
            process = self.kept.process
            if process is not None and process.poll() is not None:
                self._ended(f"ended with {process.returncode}", now)
            elif now - self._started > STEADY_SECONDS:
                self._pause = FIRST_PAUSE_SECONDS
        elif now >= self._due:
            self._start(now)

    def _start(self, now: float) -> None:
        self._started, self._due = now, None
        try:
            self.kept.start()
        except (LocalStoreError, OSError, subprocess.SubprocessError) as error:
            # A lack of memory or disk space may be temporary, so these errors are retried too.
            self._ended(f"does not start: {error}", now)
            return
        self._say(f"{self.kept.name} is started again")

    def _ended(self, how: str, now: float) -> None:
        self._due = now + self._pause
        self._say(f"{self.kept.name} {how}; starting it again in {self._pause:g} s")
        self._pause = min(self._pause * 2, MOST_PAUSE_SECONDS)
