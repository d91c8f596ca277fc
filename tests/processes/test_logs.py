"""A log that cannot be written: the server goes on, and every answer is the right one."""

import asyncio
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from usage_management.v1 import account_service_pb2 as accounts

from clients import UsageClient
from tests.processes.conftest import Program, Stack
from tests.service import Service, add_tenant
from tests.stories.words import moment

READS, CHANGES = 600, 10


@dataclass
class LoggingProgram(Program):
    """A program whose standard error is a file descriptor of the test."""

    descriptor: int = 2

    def start(self) -> None:
        command = [sys.executable, "-m", *self.module]
        self.process = subprocess.Popen(command, env=self.environment, stderr=self.descriptor)


@pytest.mark.parametrize("kind", ["full disk", "closed pipe", "stalled reader"])
async def test_a_log_that_cannot_be_written_changes_no_answer(stack: Stack, kind: str):
    """A line for each of 610 calls; a pipe that nobody reads holds some 400 of them."""
    stack.server.kill()
    reader, writer = os.pipe()
    if kind == "full disk":
        writer = os.open("/dev/full", os.O_WRONLY)
    environment = stack.server.environment | {"USAGE_LOG_LEVEL": "debug"}
    stack.server = LoggingProgram(("server", "serve"), environment, descriptor=writer)
    await stack.serve()
    os.close(writer)
    if kind == "closed pipe":
        os.close(reader)

    _, key = await add_tenant(Service(stack.address, stack.operator_key), moment("2024-01-01"))
    async with UsageClient(stack.address, key) as client:
        for _ in range(READS):
            await client.accounts.ListAccounts(accounts.ListAccountsRequest())
        for number in range(CHANGES):
            request = accounts.CreateAccountRequest(
                account_id=f"a{number}", account={"time_zone": "UTC", "currency_code": "USD"}
            )
            made = await client.accounts.CreateAccount(request)
            assert made.name == f"accounts/a{number}"
    stopped = stack.server.stop()

    assert stopped == 0


async def test_no_key_is_in_the_log_of_a_server(stack: Stack, tmp_path: Path):
    """Not even of a key with a stray byte, which the transport logs with all metadata."""
    stack.server.kill()
    log = tmp_path / "server.log"
    environment = stack.server.environment | {"USAGE_LOG_LEVEL": "debug"}
    with log.open("wb") as file:
        program = LoggingProgram(("server", "serve"), environment, descriptor=file.fileno())
        stack.server = program
        await stack.serve()
    await _send_stray_byte(stack.address)
    _, key = await add_tenant(Service(stack.address, stack.operator_key), moment("2024-01-01"))
    async with UsageClient(stack.address, key) as client:
        await client.accounts.ListAccounts(accounts.ListAccountsRequest())
        # Clients that go away while they are answered: no fault of anybody, and no traceback.
        hurried = [
            client.accounts.ListAccounts(accounts.ListAccountsRequest(), timeout=0.0005 * n)
            for n in range(1, 100)
        ]
        await asyncio.gather(*hurried, return_exceptions=True)
    assert stack.server.stop() == 0
    text = log.read_text()

    assert "ListAccounts" in text
    for unwanted in (key, stack.operator_key, "s3cret", "Invalid encoding", "Traceback"):
        assert unwanted not in text


async def _send_stray_byte(address: str) -> None:
    """A call whose key has a byte that is no text, as HTTP/2 frames."""

    def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
        head = len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big")
        return head + payload

    def header(name: bytes, value: bytes) -> bytes:
        return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value

    headers = b"".join(
        header(*pair)
        for pair in (
            (b":method", b"POST"),
            (b":scheme", b"http"),
            (b":path", b"/usage_management.v1.AccountService/ListAccounts"),
            (b":authority", b"test"),
            (b"te", b"trailers"),
            (b"content-type", b"application/grpc"),
            (b"authorization", b"Bearer s3cret\xe9"),
        )
    )
    reader, writer = await asyncio.open_connection(*address.rsplit(":", 1))
    writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b""))
    writer.write(frame(1, 4, 1, headers) + frame(0, 1, 1, bytes(5)))
    await writer.drain()
    answer = b""
    async with asyncio.timeout(5):
        while b"grpc-status" not in answer:
            answer += await reader.read(4_096)
    writer.close()
