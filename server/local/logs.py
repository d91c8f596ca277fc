"""Logs of children: appended to, readable by their owner only, and bounded in size and number.

A child keeps its log open for as long as it lives, so the log is copied and then cut to nothing
(the child writes at the end of what is there, because the file is open for appending). Lines that
the child writes between the last read of the copy and the cut are lost: those of less than a
millisecond.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO

MOST_BYTES = 8 * 1024 * 1024
# Older parts: `server.log.1` is the newest of them.
KEPT = 3
LOOK_SECONDS = 1.0


def open_log(path: Path) -> IO[bytes]:
    """Open a log for appending; a new one is made for its owner only."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


def fresh(path: Path) -> Path:
    """Begin an empty log and return it; the one that was there is kept as the newest older part."""
    if path.exists():
        _make_room(path)
        path.replace(_part(path, 1))
    open_log(path).close()
    return path


def rotate(path: Path) -> None:
    """Move what is in the log of a running child to the newest older part.

    When that fails (the disk is full) the log goes on growing to twice its bound, and is then cut
    without a copy. Raises OSError.
    """
    making = path.with_name(f"{path.name}.making")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        with path.open("rb") as log, os.fdopen(os.open(making, flags, 0o600), "wb") as copy:
            shutil.copyfileobj(log, copy, 1024 * 1024)
    except OSError:
        making.unlink(missing_ok=True)
        if path.stat().st_size > 2 * MOST_BYTES:
            os.truncate(path, 0)
        raise
    os.truncate(path, 0)
    _make_room(path)
    making.replace(_part(path, 1))


class Rotation:
    """Keeps all logs of a directory, and those that its links point to, within their bound."""

    def __init__(self, directory: Path, say: Callable[[str], None]) -> None:
        self._directory = directory
        self._say = say
        self._due = float("-inf")
        self._failing = False

    def tend(self) -> None:
        """Look every second; an error is said once until it is over, and never raised."""
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + LOOK_SECONDS
        try:
            for path in _logs(self._directory):
                if path.stat().st_size > MOST_BYTES:
                    rotate(path)
        except OSError as error:
            if not self._failing:
                self._say(f"a log cannot be moved out of the way: {error}")
            self._failing = True
        else:
            self._failing = False


def _logs(directory: Path) -> Iterable[Path]:
    found = (path.resolve() for path in sorted(directory.glob("*.log")))
    return [path for path in found if path.exists()]


def _part(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def _make_room(path: Path) -> None:
    """Number the older parts anew; the oldest is overwritten."""
    for number in range(KEPT - 1, 0, -1):
        if _part(path, number).exists():
            _part(path, number).replace(_part(path, number + 1))
