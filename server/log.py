"""Structured logs: one line for each event, JSON or text, without payloads.

Lines go through a bounded queue to a thread that writes them. A log that cannot be written (a full
disk, a closed pipe, a stalled reader) loses lines, which a metric counts. It never delays a call
and never changes an answer.
"""

import asyncio
import atexit
import logging
import os
import re
import sys
import threading
import time
from collections import deque
from typing import Any, Literal

import structlog

from server import metrics

STANDARD_ERROR = 2
MAX_QUEUED_BYTES = 4 * 1024 * 1024
# The time that an ending process waits for queued lines.
FLUSH_SECONDS = 1.0
RETRY_SECONDS = 0.2

# API keys, and any text after the word Bearer: a library may log the metadata of a call.
BEARER = r"""(?i:(\bbearer\s+)(?:[^\s'",}\\]|\\(?!["']))+)"""
SECRET = re.compile(rf"{BEARER}|()usage_[A-Za-z0-9_-]{{40,}}")
REDACTED = r"\1[redacted]"


class LogWriter:
    """A text file that never blocks and never raises: lines are queued, or dropped if it is full.

    `descriptor` is an open file descriptor. The writing thread starts with the first line, so that
    a process that logs nothing can fork safely.
    """

    def __init__(self, descriptor: int, max_bytes: int = MAX_QUEUED_BYTES) -> None:
        self._descriptor = descriptor
        self._max_bytes = max_bytes
        self._lines: deque[bytes] = deque()
        self._queued_bytes = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def write(self, text: str) -> int:
        """Queue `text` with its secrets redacted, or count it as dropped if the queue is full."""
        line = redact(text).encode("utf-8", "backslashreplace")
        with self._changed:
            if self._queued_bytes + len(line) > self._max_bytes:
                metrics.LOG_LINES_DROPPED.labels(reason="queue_full").inc()
                return len(text)
            self._lines.append(line)
            self._queued_bytes += len(line)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="log", daemon=True)
                self._thread.start()
            self._changed.notify()
        return len(text)

    def flush(self) -> None:
        """Do nothing: a flush would wait for the disk."""

    def isatty(self) -> bool:
        """Return True if the file is a terminal."""
        return os.isatty(self._descriptor)

    def drain(self, seconds: float = FLUSH_SECONDS) -> None:
        """Wait until all queued lines are written, at most `seconds`."""
        limit = time.monotonic() + seconds
        with self._changed:
            while self._queued_bytes and self._thread is not None:
                if not self._changed.wait(limit - time.monotonic()):
                    return

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._lines:
                    self._changed.wait()
                line = self._lines.popleft()
            self._write(line)
            with self._changed:
                self._queued_bytes -= len(line)
                self._changed.notify_all()

    def _write(self, line: bytes) -> None:
        """Write a whole line; a line that the file refuses is dropped and counted."""
        left = memoryview(line)
        while left:
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:
                # Another process made the file non-blocking: a terminal shares this with its shell.
                time.sleep(RETRY_SECONDS)
            except OSError:
                metrics.LOG_LINES_DROPPED.labels(reason="write_failed").inc()
                return


def redact(text: str) -> str:
    """Return `text` without API keys."""
    # These two tests are ten times faster than the search, and almost every line fails both.
    if "usage_" in text or "earer" in text:
        return SECRET.sub(REDACTED, text)
    return text


def open_standard_files() -> None:
    """Open each closed standard file as /dev/null.

    A program may be started without them (`2>&-`). The next file or connection would get such a
    number, and with it everything that a library prints.
    """
    for descriptor in (0, 1, STANDARD_ERROR):
        try:
            os.fstat(descriptor)
        except OSError:
            # The system assigns the lowest free number, which is this one.
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(STANDARD_ERROR, "w", closefd=False)


def configure(log_format: Literal["json", "text"] = "json", level: str = "info") -> None:
    """Send the log lines of the service and of its libraries to standard error in one format."""
    open_standard_files()
    writer = LogWriter(STANDARD_ERROR)
    atexit.register(writer.drain)
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render: structlog.types.Processor = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=writer.isatty())
    )
    lowest = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, render],
        wrapper_class=structlog.make_filtering_bound_logger(lowest),
        logger_factory=structlog.WriteLoggerFactory(writer),  # type: ignore[arg-type] # a file as far as it writes
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(writer)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                render,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(lowest, logging.INFO), force=True)
    for noisy in ("arq", "grpc", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("grpc._cython.cygrpc").addFilter(_is_worth_a_line)


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    """Return True if a line of the transport belongs in the log."""
    text = str(record.msg)
    if text.startswith("ExecuteBatchError raised in core"):
        # The client disconnected, or its deadline passed, while its answer was sent.
        metrics.ANSWERS_UNDELIVERED.inc()
        return False
    # This line would show metadata that cannot be decoded, such as a key with an invalid byte.
    return not text.startswith("Invalid encoding on")


def note_loop_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log errors that nobody awaited; a timeout of a canceled call is no fault."""
    if isinstance(context.get("exception"), OSError) and "never retrieved" in context["message"]:
        structlog.get_logger("loop").debug("given_up", error=repr(context["exception"]))
        return
    loop.default_exception_handler(context)
