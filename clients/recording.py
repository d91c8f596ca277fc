"""Sends what was read of a file, batch by batch, and keeps account of every line.

Nothing is lost or doubled on the next try: record ids do not depend on what is sent with them, and
the lines that were not kept go to a file of their own with the ids of their records.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from usage_management.v1 import access_service_pb2 as access
from usage_management.v1 import consumption_service_pb2 as consumption

from clients.asset_lookup import AssetLookup
from clients.client import UsageClient
from clients.errors import UsageError
from clients.intake.layout import BadLine, Line, Reading
from clients.left_lines import LeftLines
from clients.refusals import UNREADABLE, Refusal, Refusals
from clients.values import decimal_pb, time, time_pb

MOST_RECORDS = 1_000
# When a loading ends if nobody ends it: nothing is recorded for longer than that.
LONGEST_LOADING = timedelta(days=1)

_Outcome = consumption.RecordOutcome
_Amended = consumption.AmendOutcome


@dataclass(frozen=True, slots=True)
class Act:
    """The treatment of the records of a file, and the words for its outcomes.

    The first of the `kept` words is what is usually told.
    """

    command: str
    method: str
    request: type[Any]
    counted: Mapping[int, str]
    kept: tuple[str, ...]


RECORD = Act(
    "record",
    "RecordUsage",
    consumption.RecordUsageRequest,
    {
        _Outcome.ACCEPTED: "accepted",
        _Outcome.DUPLICATE: "duplicates",
        _Outcome.LATE: "late",
        _Outcome.CONFLICT: "conflicts",
        _Outcome.REJECTED: "rejected",
    },
    ("accepted", "late", "duplicates"),
)
AMEND = Act(
    "amend",
    "AmendUsage",
    consumption.AmendUsageRequest,
    {
        _Amended.AMENDED: "amended",
        _Amended.DUPLICATE: "duplicates",
        _Amended.NOT_FOUND: "not_found",
        _Amended.REJECTED: "rejected",
    },
    ("amended", "duplicates"),
)


@dataclass(slots=True)
class Account:
    """The result of a file: records by outcome, refusals, and the lines to send again.

    `loaded` is the number of accounts that were declared as loading, None if none was to be.
    """

    left: LeftLines
    act: Act = RECORD
    counts: dict[str, int] = field(default_factory=dict)
    unsent: int = 0
    loaded: int | None = None
    refusals: Refusals = field(default_factory=Refusals)

    def __post_init__(self) -> None:
        self.counts = dict.fromkeys(self.act.counted.values(), 0) | self.counts

    @property
    def kept(self) -> int:
        """Return the number of records that the service has."""
        return sum(self.counts[name] for name in self.act.kept)

    @property
    def is_whole(self) -> bool:
        """Return whether every line is stored."""
        return not self.left.count


@dataclass(frozen=True, slots=True)
class Sending:
    """The service, the number of records in a line, and what to do with those that are refused."""

    client: UsageClient
    measures: int
    stop_at_refusal: bool
    left: LeftLines
    advance: Callable[[int], None] = lambda _: None
    act: Act = RECORD

    async def send(self, lines: Iterator[Line | BadLine]) -> Account:
        """Record all lines in order. Raises UsageError when a whole call fails: run it again."""
        account = Account(self.left, self.act)
        lookup = AssetLookup(self.client)
        for batch in batches(lines, MOST_RECORDS // self.measures):
            await self._batch(batch, account, lookup)
            self.advance(sum(len(line.raw) + 1 for line in batch))
            if self.left.count and self.stop_at_refusal:
                break
        for line in lines:
            account.unsent += 1
            self.left.add(line)
        return account

    async def _batch(
        self, batch: list[Line | BadLine], account: Account, lookup: AssetLookup
    ) -> None:
        for line in batch:
            if isinstance(line, BadLine):
                account.refusals.add(unreadable(line))
        lines = [line for line in batch if isinstance(line, Line)]
        refused = await self._records(lines, account, lookup)
        for line in batch:
            if isinstance(line, BadLine) or line.number in refused:
                self.left.add(line)

    async def _records(self, lines: list[Line], account: Account, lookup: AssetLookup) -> set[int]:
        """Send the records of the lines. Returns the numbers of lines that were refused."""
        await lookup.load(
            (line.account, reading.resource)
            for line in lines
            if not line.asset
            for reading in line.readings
        )
        refused: set[int] = set()
        pairs: list[tuple[Line, Reading]] = []
        request = self.act.request()
        for line in lines:
            for reading in line.readings:
                try:
                    asset = _asset(line, reading, lookup)
                except UsageError as error:
                    account.counts["rejected"] += 1
                    _refuse(line, reading, error, account, refused)
                    continue
                pairs.append((line, reading))
                request.records.append(_record(asset, line, reading))
        if not pairs:
            return refused
        answer = await getattr(self.client.consumption, self.act.method)(request)
        for (line, reading), outcome in zip(pairs, answer.outcomes, strict=True):
            account.counts[self.act.counted[outcome.code]] += 1
            if outcome.HasField("status"):
                refusal = UsageError.of_status(outcome.status)
                _refuse(line, reading, refusal, account, refused)
        return refused


@dataclass(slots=True)
class Loading:
    """The loadings that were started and not ended, by account, and why one could not be.

    Whoever starts them ends them, also when recording fails or is interrupted.
    """

    open: dict[str, consumption.Loading] = field(default_factory=dict)
    refused: UsageError | None = None

    async def start(self, client: UsageClient, accounts: Iterable[str]) -> None:
        """Start one for each account; an account that does not exist is left to its records.

        Raises UsageError, but not for lack of a permission.
        """
        try:
            clock = await client.access.GetTenant(access.GetTenantRequest(name="tenants/-"))
            until = time_pb(time(clock.clock_time) + LONGEST_LOADING)
            for account in accounts:
                request = consumption.StartLoadingRequest(
                    parent=f"accounts/{account}", until_time=until
                )
                try:
                    self.open[account] = await client.consumption.StartLoading(request)
                except UsageError as error:
                    if error.reason != "ACCOUNT_NOT_FOUND":
                        raise
        except UsageError as error:
            # Whoever may not is not kept from recording.
            if error.reason != "PERMISSION_MISSING":
                raise
            self.refused = error

    async def end(self, client: UsageClient) -> None:
        """End them all; what cannot be ended stays open until its time."""
        for account, loading in list(self.open.items()):
            try:
                await client.consumption.EndLoading(
                    consumption.EndLoadingRequest(name=loading.name)
                )
                del self.open[account]
            except UsageError as error:
                self.refused = error


def batches(
    lines: Iterator[Line | BadLine], most_lines: int = MOST_RECORDS
) -> Iterator[list[Line | BadLine]]:
    """Lines in runs; a line is never split."""
    while batch := list(itertools.islice(lines, most_lines)):
        yield batch


def unreadable(line: BadLine) -> Refusal:
    """Return the refusal of a line that could not be read."""
    return Refusal(line.number, line.line_id, UNREADABLE, line.reason)


def _refuse(
    line: Line, reading: Reading, error: UsageError, account: Account, refused: set[int]
) -> None:
    refused.add(line.number)
    refusal = Refusal(line.number, reading.record_id, error.reason, error.message)
    account.refusals.add(refusal)


def _asset(line: Line, reading: Reading, lookup: AssetLookup) -> str:
    if line.asset:
        return f"accounts/{line.account}/assets/{line.asset}"
    return lookup.name((line.account, reading.resource), reading.usage_time)


def _record(asset: str, line: Line, reading: Reading) -> consumption.UsageRecordInput:
    return consumption.UsageRecordInput(
        record_id=reading.record_id,
        asset=asset,
        usage_resource=f"usageResources/{reading.resource}",
        quantity=decimal_pb(Decimal(reading.quantity)),
        unit_of_measure=f"unitsOfMeasure/{line.unit}" if line.unit else "",
        usage_time=time_pb(reading.usage_time),
        labels=dict(line.labels),
    )
