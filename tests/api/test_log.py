"""The log: bounded, without secrets, and never a reason for another answer."""

import os
import time

import pytest

from server import metrics
from server.log import LogWriter, redact


def dropped(reason: str) -> float:
    return metrics.LOG_LINES_DROPPED.labels(reason=reason)._value.get()


def test_lines_are_written_in_their_order():
    reader, writer = os.pipe()
    log = LogWriter(writer)

    for number in range(100):
        log.write(f"line {number}\n")
    log.drain()

    assert os.read(reader, 10_000).decode().splitlines() == [f"line {n}" for n in range(100)]


def test_a_reader_that_stalls_costs_lines_and_no_time():
    _, writer = os.pipe()
    log = LogWriter(writer, max_bytes=200_000)
    before, started = dropped("queue_full"), time.perf_counter()

    for _ in range(2_000):
        log.write("x" * 1_000)

    assert time.perf_counter() - started < 1
    # The pipe itself holds 64 KiB and the queue 200 KB; all else is dropped.
    assert 1_600 < dropped("queue_full") - before < 1_900


@pytest.mark.parametrize("kind", ["closed pipe", "full disk"])
def test_what_cannot_be_written_is_dropped_and_counted(kind: str):
    if kind == "full disk":
        descriptor = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, descriptor = os.pipe()
        os.close(reader)
    before, log = dropped("write_failed"), LogWriter(descriptor)

    log.write("one\n")
    log.write("two\n")
    log.drain()

    assert dropped("write_failed") - before == 2


KEY = "usage_" + "Ab1-_" * 9


@pytest.mark.parametrize(
    ("line", "redacted"),
    [
        (f"authorization: Bearer {KEY}", "authorization: Bearer [redacted]"),
        (f'{{"value": "bearer   {KEY}"}}', '{"value": "bearer   [redacted]"}'),
        (f"[('authorization', 'Bearer {KEY}'), ('x', 'y')]",
         "[('authorization', 'Bearer [redacted]'), ('x', 'y')]"),
        (r"Invalid encoding on b'Bearer us\xe9cret'", "Invalid encoding on b'Bearer [redacted]'"),
        (f"operator key: {KEY}.", "operator key: [redacted]."),
        ("usage_records by usage_resource_id", "usage_records by usage_resource_id"),
        ("a bearer of news", "a bearer [redacted] news"),
    ],
)  # fmt: skip
def test_no_key_reaches_a_log(line: str, redacted: str):
    assert redact(line) == redacted
