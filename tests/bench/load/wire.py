"""A load of unary calls over bare HTTP/2, at a tenth of what a gRPC client in Python costs.

Three times as many calls as a server answers cannot be offered by a client that costs as much as
the server. Requests are encoded once; of answers the driver reads the status and whether there is a
message. It asks the server not to compress headers with a table, so that a status is plain text.
"""

import asyncio
import struct
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any

import grpc

from clients.load import METHOD, SECOND, Figures, Plan

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_STREAMS, INITIAL_WINDOW = 1, 2, 3, 4
CANCEL, REFUSED_STREAM = 8, 7
USUAL_WINDOW, MOST_WINDOW = 65_535, 2**31 - 1
FRAME_BYTES = 16_384
CREDIT_BYTES = 1 << 20
TICK_SECONDS = 0.002
CODES = {code.value[0]: code.name for code in grpc.StatusCode}
STATUS, MESSAGE = b"grpc-status", b"grpc-message"


class WireLoad:
    """One run of a plan, as `clients.load.Load` runs it."""

    def __init__(self, plan: Plan, asked: Sequence[bytes]) -> None:
        self.figures = Figures()
        self.plan = plan
        self.until = self._start = 0
        self._bodies = cycle([b"\0" + struct.pack(">I", len(one)) + one for one in asked])
        self._headers = _request_headers(plan)
        self._connections: list[_Connection] = []

    async def run(self, _tick: Callable[[float], None]) -> Figures:
        """Warm up, then load the service."""
        host, port = self.plan.address.rsplit(":", 1)
        loop = asyncio.get_running_loop()
        for _ in range(self.plan.connections):
            async with asyncio.timeout(self.plan.call_seconds):
                _, connection = await loop.create_connection(
                    lambda: _Connection(self), host, int(port)
                )
                await connection.is_ready.wait()
            self._connections.append(connection)
        try:
            await self._phase(self.plan.warmup_seconds)
            await self._phase(self.plan.seconds)
        finally:
            for connection in self._connections:
                connection.close()
        return self.figures

    async def _phase(self, seconds: float) -> None:
        self.figures = Figures()
        self._start = time.perf_counter_ns()
        self.until = self._start + round(seconds * SECOND)
        if self.plan.rate is None:
            for connection in self._connections:
                for _ in range(self.plan.in_flight):
                    self.begin(connection, time.perf_counter_ns())
        turn = cycle(self._connections)
        while (now := time.perf_counter_ns()) < self.until:
            if self.plan.rate is not None:
                wanted = int((now - self._start) / SECOND * self.plan.rate)
                while self.figures.begun_count < wanted:
                    number = self.figures.begun_count
                    self.begin(next(turn), self._start + int(number / self.plan.rate * SECOND))
            self._expire(now)
            await asyncio.sleep(TICK_SECONDS)
            self.figures.delays.record(time.perf_counter_ns() - now - round(TICK_SECONDS * SECOND))
        while any(connection.calls for connection in self._connections):
            self._expire(time.perf_counter_ns())
            await asyncio.sleep(TICK_SECONDS)

    def begin(self, connection: "_Connection", due: int) -> None:
        """Make the next call."""
        self.figures.begun_count += 1
        connection.begin(self._headers, next(self._bodies), due)

    def ended(self, connection: "_Connection", due: int, code: str, why: str) -> None:
        """Count a call; in a closed loop the next one follows."""
        now, figures = time.perf_counter_ns(), self.figures
        if code == "OK" and now - due > self.plan.call_seconds * SECOND:
            code = "DEADLINE_EXCEEDED"
        if code == "OK":
            figures.latencies.record(now - due)
            figures.call_count += 1
            figures.calls_in_time += now < self.until
        else:
            figures.errors[code, why] += 1
        if self.plan.rate is None and now < self.until:
            self.begin(connection, now)

    def _expire(self, now: int) -> None:
        for connection in self._connections:
            connection.expire(now - round(self.plan.call_seconds * SECOND))


class _Call:
    __slots__ = ("body", "due", "has_answer", "place", "window")

    def __init__(self, body: bytes, due: int, window: int) -> None:
        self.body, self.due, self.window = body, due, window
        self.place = 0
        self.has_answer = False


class _Connection(asyncio.Protocol):
    """One connection, and its calls by their streams."""

    def __init__(self, load: WireLoad) -> None:
        self.is_ready = asyncio.Event()
        self.calls: dict[int, _Call] = {}
        self._load = load
        self._next = 1
        self._input = bytearray()
        self._output: list[bytes] = []
        self._window, self._initial = USUAL_WINDOW, USUAL_WINDOW
        self._most = 100
        self._received = 0
        self._unsent: deque[int] = deque()
        self._waiting: deque[tuple[bytes, bytes, int]] = deque()
        self._flushing = False

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        settings = ((HEADER_TABLE_SIZE, 0), (ENABLE_PUSH, 0), (INITIAL_WINDOW, MOST_WINDOW))
        body = b"".join(struct.pack(">HI", *one) for one in settings)
        more = struct.pack(">I", MOST_WINDOW - USUAL_WINDOW)
        transport.write(PREFACE + _frame(SETTINGS, 0, 0, body) + _frame(WINDOW_UPDATE, 0, 0, more))

    def begin(self, headers: bytes, body: bytes, due: int) -> None:
        """Open a stream for a call, or wait for one to end."""
        if len(self.calls) >= self._most or self._transport.is_closing():
            self._waiting.append((headers, body, due))
            return
        stream, self._next = self._next, self._next + 2
        self.calls[stream] = _Call(body, due, self._initial)
        self._output.append(_frame(HEADERS, END_HEADERS, stream, headers))
        self._unsent.append(stream)
        self._send()

    def expire(self, before: int) -> None:
        """Give up calls that were due before then."""
        while self._waiting and self._waiting[0][2] < before:
            self._load.ended(self, self._waiting.popleft()[2], "DEADLINE_EXCEEDED", "not sent")
        while self.calls:
            stream, call = next(iter(self.calls.items()))
            if call.due >= before:
                return
            self._output.append(_frame(RST_STREAM, 0, stream, struct.pack(">I", CANCEL)))
            self._send()
            self._end(stream, "DEADLINE_EXCEEDED", "")

    def close(self) -> None:
        self._transport.close()

    def connection_lost(self, _error: Exception | None) -> None:
        for stream in list(self.calls):
            self._end(stream, "UNAVAILABLE", "the connection was lost")

    def data_received(self, data: bytes) -> None:
        self._input += data
        place, held = 0, self._input
        while len(held) - place >= 9:
            length = int.from_bytes(held[place : place + 3], "big")
            if len(held) - place - 9 < length:
                break
            kind, flags = held[place + 3], held[place + 4]
            stream = int.from_bytes(held[place + 5 : place + 9], "big") & MOST_WINDOW
            self._read(kind, flags, stream, bytes(held[place + 9 : place + 9 + length]))
            place += 9 + length
        del held[:place]
        self._send()

    def _read(self, kind: int, flags: int, stream: int, body: bytes) -> None:
        if kind == DATA:
            self._received += len(body)
            if stream in self.calls:
                self.calls[stream].has_answer |= bool(body)
        elif kind == HEADERS and flags & END_STREAM:
            status = _text_of(STATUS, body)
            code = CODES.get(int(status), "UNKNOWN") if status.isdigit() else "UNKNOWN"
            if code == "OK" and stream in self.calls and not self.calls[stream].has_answer:
                code = "INTERNAL"
            self._end(stream, code, "" if code == "OK" else _text_of(MESSAGE, body)[:60])
        elif kind == RST_STREAM:
            number = int.from_bytes(body, "big")
            self._end(
                stream, "UNAVAILABLE" if number == REFUSED_STREAM else "CANCELLED", f"RST {number}"
            )
        elif kind == SETTINGS and not flags & ACK:
            self._settle(body)
        elif kind == PING and not flags & ACK:
            self._output.append(_frame(PING, ACK, 0, body))
        elif kind == WINDOW_UPDATE:
            self._widen(stream, int.from_bytes(body, "big"))

    def _settle(self, body: bytes) -> None:
        for number, value in struct.iter_unpack(">HI", body):
            if number == MAX_STREAMS:
                self._most = value
            elif number == INITIAL_WINDOW:
                for call in self.calls.values():
                    call.window += value - self._initial
                self._initial = value
        self._output.append(_frame(SETTINGS, ACK, 0, b""))
        self.is_ready.set()

    def _widen(self, stream: int, by: int) -> None:
        if not stream:
            self._window += by
        elif stream in self.calls:
            self.calls[stream].window += by

    def _end(self, stream: int, code: str, why: str) -> None:
        call = self.calls.pop(stream, None)
        if call is None:
            return
        self._load.ended(self, call.due, code, why)
        if self._waiting and len(self.calls) < self._most:
            self.begin(*self._waiting.popleft())

    def _send(self) -> None:
        """Send in one write, once those that are calling us are done."""
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if self._transport.is_closing():
            return
        for _ in range(len(self._unsent)):
            stream = self._unsent.popleft()
            if stream in self.calls and not self._send_body(stream, self.calls[stream]):
                self._unsent.append(stream)
        if self._received >= CREDIT_BYTES:
            credit = struct.pack(">I", self._received)
            self._output.append(_frame(WINDOW_UPDATE, 0, 0, credit))
            self._received = 0
        if self._output:
            self._transport.write(b"".join(self._output))
            self._output.clear()

    def _send_body(self, stream: int, call: _Call) -> bool:
        """Send as much as the windows allow; whether that was all."""
        while call.place < len(call.body):
            size = min(len(call.body) - call.place, FRAME_BYTES, self._window, call.window)
            if size <= 0:
                return False
            part = call.body[call.place : call.place + size]
            call.place += size
            call.window -= size
            self._window -= size
            is_last = call.place == len(call.body)
            self._output.append(_frame(DATA, END_STREAM if is_last else 0, stream, part))
        return True


def _frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
    return len(body).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + body


def _request_headers(plan: Plan) -> bytes:
    """Encode the headers of a call, none of them with a table."""
    timeout = f"{round(plan.call_seconds * 1000)}m"
    return (
        b"\x83\x86"  # :method POST, :scheme http
        + b"\x04" + _string(METHOD)
        + b"\x01" + _string(plan.address)
        + b"\x0f\x10" + _string("application/grpc")
        + b"\x00" + _string("te") + _string("trailers")
        + b"\x0f\x08" + _string(f"Bearer {plan.key}")
        + b"\x00" + _string("grpc-timeout") + _string(timeout)
    )  # fmt: skip


def _string(text: str) -> bytes:
    data = text.encode()
    if len(data) < 127:
        return bytes([len(data)]) + data
    rest, size = len(data) - 127, b"\x7f"
    while rest >= 128:
        size, rest = size + bytes([rest % 128 + 128]), rest // 128
    return size + bytes([rest]) + data


def _text_of(name: bytes, block: bytes) -> str:
    """Read the value of a header that is sent as plain text."""
    place = block.find(name)
    if place < 0:
        return ""
    place += len(name)
    size = block[place]
    return block[place + 1 : place + 1 + size].decode("ascii", "replace") if size < 127 else "…"
