"""Sends what was read of a file, batch by batch, and keeps account of every line.

Nothing is lost or doubled on the next try: record ids do not depend on what is sent with them, and
the lines that were not kept go to a file of their own with the ids of their records.
"""

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from usage_management.v1 import consumption_service_pb2 as consumption

from clients.client import UsageClient
from clients.errors import UsageError
from clients.intake import BadLine, Layout, Line, Reading
from clients.values import decimal_pb, time_pb

MOST_RECORDS = 1_000
ID_COLUMN = "usage_record_id"

_Outcome = consumption.RecordOutcome
COUNTED = {
    _Outcome.ACCEPTED: "accepted",
    _Outcome.DUPLICATE: "duplicates",
    _Outcome.LATE: "late",
    _Outcome.CONFLICT: "conflicts",
    _Outcome.REJECTED: "rejected",
}
KEPT = ("accepted", "late", "duplicates")


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line, or one record of it, that was not kept."""

    line: int
    record_id: str
    reason: str
    message: str


@dataclass(slots=True)
class Account:
    """The result of a file: records by outcome, refusals, and the lines to send again."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTED.values(), 0))
    zeros: int = 0
    unsent: int = 0
    refusals: list[Refusal] = field(default_factory=list)
    left: list[Line | BadLine] = field(default_factory=list)

    @property
    def kept(self) -> int:
        """Return the number of records that the service has."""
        return sum(self.counts[name] for name in KEPT)

    @property
    def is_whole(self) -> bool:
        """Return whether every line is stored."""
        return not self.left


@dataclass(frozen=True, slots=True)
class Sending:
    """The target of records, the number in a line, and what to do with those that are refused."""

    client: UsageClient
    asset: str
    measures: int
    stop_at_refusal: bool
    advance: Callable[[int], None] = lambda _: None

    async def send(self, lines: Iterator[Line | BadLine]) -> Account:
        """Record all lines in order. Raises UsageError when a whole call fails: run it again."""
        account = Account()
        for batch in batches(lines, MOST_RECORDS // self.measures):
            await self._batch(batch, account)
            self.advance(sum(len(line.raw) + 1 for line in batch))
            if account.left and self.stop_at_refusal:
                break
        rest = list(lines)
        account.unsent = len(rest)
        account.left += rest
        return account

    async def _batch(self, batch: list[Line | BadLine], account: Account) -> None:
        for line in batch:
            if isinstance(line, BadLine):
                refusal = Refusal(line.number, line.line_id, "LINE_UNREADABLE", line.reason)
                account.refusals.append(refusal)
        lines = [line for line in batch if isinstance(line, Line)]
        account.zeros += sum(line.zeros for line in lines)
        refused = await self._records(lines, account)
        account.left += [
            line for line in batch if isinstance(line, BadLine) or line.number in refused
        ]

    async def _records(self, lines: list[Line], account: Account) -> set[int]:
        pairs = [(line, reading) for line in lines for reading in line.readings]
        if not pairs:
            return set()
        request = consumption.RecordUsageRequest(
            records=[_record(self.asset, reading) for _, reading in pairs]
        )
        answer = await self.client.consumption.RecordUsage(request)
        refused = set()
        for (line, reading), outcome in zip(pairs, answer.outcomes, strict=True):
            account.counts[COUNTED[outcome.code]] += 1
            if outcome.code in (_Outcome.CONFLICT, _Outcome.REJECTED):
                error = UsageError.of_status(outcome.status)
                refused.add(line.number)
                account.refusals.append(
                    Refusal(line.number, reading.record_id, error.reason, error.message)
                )
        return refused


def batches(
    lines: Iterator[Line | BadLine], most_lines: int = MOST_RECORDS
) -> Iterator[list[Line | BadLine]]:
    """Lines in runs; a line is never split."""
    while batch := list(itertools.islice(lines, most_lines)):
        yield batch


def write_left(path: Path, left: list[Line | BadLine], layout: Layout, header: bytes) -> Path:
    """Write the lines that were not kept to a file beside `path`, with the ids of their records in
    a column of their own where no column holds them. Returns the file; never another's content.

    `header` is the first line of a CSV file; empty for JSON lines.
    """
    content = _left(left, header, with_ids=layout.id_column is None)
    for number in itertools.count(1):
        middle = ".left" if number == 1 else f".left-{number}"
        target = path.with_name(f"{path.stem}{middle}{path.suffix}")
        try:
            with target.open("xb") as file:
                file.write(content)
        except FileExistsError:
            if target.read_bytes() != content:
                continue
        return target
    raise AssertionError("there are more numbers than files")


def _left(left: list[Line | BadLine], header: bytes, *, with_ids: bool) -> bytes:
    lines = [_with_id(line, bool(header)) if with_ids else line.raw for line in left]
    if header:
        lines.insert(0, header + (f",{ID_COLUMN}".encode() if with_ids else b""))
    return b"".join(line + b"\n" for line in lines)


def _with_id(line: Line | BadLine, is_csv: bool) -> bytes:
    if is_csv:
        return line.raw + b"," + line.line_id.encode()
    key = f'"{ID_COLUMN}": {json.dumps(line.line_id)}'.encode()
    body = line.raw.strip()
    if not body.startswith(b"{"):
        shown = json.dumps(body.decode("utf-8", "replace")).encode()
        return b"{" + key + b', "unreadable": ' + shown + b"}"
    inner = body[1:].lstrip()
    return b"{" + key + (b"" if inner.startswith(b"}") else b", ") + inner


def _record(asset: str, reading: Reading) -> consumption.UsageRecordInput:
    return consumption.UsageRecordInput(
        record_id=reading.record_id,
        asset=asset,
        usage_resource=f"usageResources/{reading.resource}",
        quantity=decimal_pb(Decimal(reading.quantity)),
        usage_time=time_pb(reading.usage_time),
    )
