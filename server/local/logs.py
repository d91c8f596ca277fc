"""Logs of children: append-only, readable by their owner only, limited in size and number.

A child keeps its log open while it runs, so the log is copied and then truncated; the child goes on
at the new end, because the file is open for appending. Lines that the child writes between the last
read and the truncation, less than a millisecond, are lost.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO

MOST_BYTES = 8 * 1024 * 1024
# The number of older parts; `server.log.1` is the newest of them.
KEPT = 3
LOOK_SECONDS = 1.0


def open_log(path: Path) -> IO[bytes]:
    """Open a log for appending; only its owner can read a new one."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


def fresh(path: Path) -> Path:
    """Create an empty log and return it; an existing one becomes the newest older part."""
    if path.exists():
        _make_room(path)
        path.replace(_part(path, 1))
    open_log(path).close()
    return path


def rotate(path: Path) -> None:
    """Move the content of a running child's log to the newest older part.

    If that fails (the disk is full), the log grows to twice its limit and is then truncated without
    a copy. Raises OSError.
    """
    making = path.with_name(f"{path.name}.making")
    try:
        # Copied to a temporary name, so that a failed copy does not replace an older part.
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
    """Keeps all logs of a directory, and the targets of its links, within their limit."""

    def __init__(self, directory: Path, say: Callable[[str], None]) -> None:
        self._directory = directory
        self._say = say
        self._due = float("-inf")
        self._failing = False

    def tend(self) -> None:
        """Check every second; an error is reported once until it ends, and never raised."""
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
    paths = (path.resolve() for path in sorted(directory.glob("*.log")))
    return [path for path in paths if path.exists()]


def _part(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def _make_room(path: Path) -> None:
    """Renumber the older parts; the oldest is overwritten."""
    # From the oldest on, so that no part is overwritten before it is moved.
    for number in range(KEPT - 1, 0, -1):
        if _part(path, number).exists():
            _part(path, number).replace(_part(path, number + 1))
