"""Printing that never ends the program: on a full disk, or into a closed pipe, the text is lost."""

import os
import sys
from contextlib import suppress
from typing import IO, Any, cast

from rich.console import Console


class Output:
    """`sys.stdout` or `sys.stderr` as it is at the moment, without its errors."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(getattr(sys, self._name), name)

    def write(self, text: str) -> int:
        """Write, or do not."""
        with suppress(OSError):
            getattr(sys, self._name).write(text)
        return len(text)

    def flush(self) -> None:
        """Flush, or do not."""
        with suppress(OSError):
            getattr(sys, self._name).flush()


console = Console(file=cast(IO[str], Output("stdout")), highlight=False)
_errors = Console(file=cast(IO[str], Output("stderr")), highlight=False)


def warn(text: str) -> None:
    """Print a sentence for whoever started the program to stderr."""
    _errors.print(f"usage: {text}", style="red", markup=False, soft_wrap=True)


def give_up_what_is_left() -> None:
    """Drop what cannot be written, which the interpreter would try once more and fail by."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
