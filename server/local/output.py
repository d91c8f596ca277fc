"""Printing that never fails: on a full disk, or into a closed pipe, the text is lost."""

import os
import sys
from contextlib import suppress
from typing import IO, Any, cast

from rich.console import Console


class Output:
    """The current `sys.stdout` or `sys.stderr`, without its errors."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(getattr(sys, self._name), name)

    def write(self, text: str) -> int:
        """Write the text; an error is ignored."""
        with suppress(OSError):
            getattr(sys, self._name).write(text)
        return len(text)

    def flush(self) -> None:
        """Flush; an error is ignored."""
        with suppress(OSError):
            getattr(sys, self._name).flush()


console = Console(file=cast(IO[str], Output("stdout")), highlight=False)
_errors = Console(file=cast(IO[str], Output("stderr")), highlight=False)


def warn(text: str) -> None:
    """Print a sentence for the user to stderr."""
    _errors.print(f"usage: {text}", style="red", markup=False, soft_wrap=True)


def give_up_what_is_left() -> None:
    """Discard buffered output that cannot be written.

    The interpreter would otherwise try again at exit and fail.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
