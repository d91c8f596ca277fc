"""Pings of clients, as raw HTTP/2: one every ten seconds is answered, also without a call.

The interval is scaled from nine seconds to a hundredth of that, and so are the pings.
"""

import asyncio
import struct
from dataclasses import dataclass, field

import grpc
import pytest

from server import app

SCALE = 100
INTERVAL = "grpc.http2.min_ping_interval_without_data_ms"
WITHOUT_CALLS = "grpc.keepalive_permit_without_calls"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS, PING, GOAWAY, ACK = 4, 6, 7, 1


def frame(kind: int, flags: int = 0, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + bytes(4) + payload


@dataclass
class Pinged:
    """The frames that came back on a connection without any call."""

    acks: int = 0
    farewells: list[bytes] = field(default_factory=list)


async def ping(port: int, times: int, gap: float) -> Pinged:
    """Send pings until they are all sent or the server says goodbye."""
    found = Pinged()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(PREFACE + frame(SETTINGS))

    async def read() -> None:
        while True:
            head = await reader.readexactly(9)
            body = await reader.readexactly(int.from_bytes(head[:3]))
            if head[3] == SETTINGS and not head[4] & ACK:
                writer.write(frame(SETTINGS, ACK))
            found.acks += head[3] == PING and bool(head[4] & ACK)
            if head[3] == GOAWAY:
                found.farewells.append(body[8:])
                return

    reading = asyncio.create_task(read())
    for number in range(times):
        if reading.done():
            break
        writer.write(frame(PING, payload=struct.pack(">Q", number)))
        await asyncio.sleep(gap)
    async with asyncio.timeout(10):
        while not reading.done() and found.acks < times:  # noqa: ASYNC110 - nobody tells us
            await asyncio.sleep(0.02)
    if not reading.done():
        reading.cancel()
    writer.close()
    return found


def scaled(**changes: int) -> tuple[tuple[str, int], ...]:
    """The options of our server, with an interval that a test can wait for."""
    options = dict(app.OPTIONS)
    options[INTERVAL] //= SCALE
    return tuple((options | changes).items())


async def pinged(options: tuple[tuple[str, int], ...], times: int, gap: float) -> Pinged:
    server = grpc.aio.server(options=options)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        return await ping(port, times, gap)
    finally:
        await server.stop(0)


async def test_a_ping_every_ten_seconds_is_answered_on_an_idle_connection():
    assert 9 <= dict(app.OPTIONS)[INTERVAL] / 1000 < 10

    # Three times the interval, so that a busy machine does not make two pings of them into one.
    found = await pinged(scaled(), 10, 0.3)

    assert (found.acks, found.farewells) == (10, [])


@pytest.mark.parametrize(
    ("options", "gap"),
    [
        (scaled(), 0.005),
        (scaled(**{WITHOUT_CALLS: 0}), 0.3),
        (app.OPTIONS, 0.1),
    ],
    ids=["a flood", "without the option for idle connections", "unscaled"],
)
async def test_more_pings_end_the_connection(options: tuple[tuple[str, int], ...], gap: float):
    found = await pinged(options, 30, gap)

    assert found.farewells == [b"too_many_pings"]
    assert found.acks < 10
