"""Record runs: usage records of an account that match a filter, voided or amended in slices.

A dry run changes nothing and says what would change. Records that are recorded, amended or voided
by others after the run was created are left alone.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from server.domain.audit import Audit
from server.domain.calendar import Period, RatingPeriod
from server.domain.consumption.amendments import KnownRecord
from server.domain.consumption.changes import RecordChange
from server.domain.consumption.recording import PeriodKey
from server.domain.errors import UsageError
from server.domain.exact import ZERO, exact
from server.domain.ids import (
    AccountId,
    AssetId,
    RecordId,
    RecordRunId,
    ResourceId,
    UnitId,
    WalletId,
)


class RunKind(StrEnum):
    """The kinds of runs: what they do to their records."""

    VOID = "VOID"
    AMEND = "AMEND"


class RecordRunState(StrEnum):
    """The states of a run."""

    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFilter:
    """Usage in `[start, end)`; other fields are None or empty for any."""

    start: datetime
    end: datetime
    asset_id: AssetId | None = None
    resource_id: ResourceId | None = None
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunUsage:
    """The usage of an asset and resource that a run changes, in the unit of the resource.

    `count` are the records that were of them before, or are of them afterwards.
    """

    asset_id: AssetId
    resource_id: ResourceId
    count: int
    quantity: Decimal
    new_quantity: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPeriod:
    """A rating period that records leave, stay in or enter."""

    wallet_id: WalletId
    period: RatingPeriod
    is_final: bool
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRefusal:
    """A record that was not amended, and why, as `REASON: sentence`."""

    record_id: RecordId
    error: str


@dataclass(frozen=True, slots=True)
class RecordEffect:
    """The work of a slice: the records before and after, None if voided, and the others.

    `periods` are those of the changed records, each with True if it is final.
    """

    changed: tuple[tuple[KnownRecord, KnownRecord | None], ...] = ()
    unchanged: int = 0
    refused: tuple[tuple[RecordId, UsageError], ...] = ()
    periods: Mapping[PeriodKey, tuple[RatingPeriod, bool]] = field(default_factory=dict)

    def __add__(self, other: "RecordEffect") -> "RecordEffect":
        return RecordEffect(
            self.changed + other.changed,
            self.unchanged + other.unchanged,
            self.refused + other.refused,
            # A period that others opened is as the first slice found it.
            {**other.periods, **self.periods},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLine:
    """The usage of an asset in a rating period, as a dry run changes it.

    What is final is booked as differences, and what is open is an estimate. What cannot be rated
    counts as zero; `failure` is its reason afterwards.
    """

    wallet_id: WalletId
    asset_id: AssetId
    resource_id: ResourceId
    origin: Period
    is_final: bool
    unit: UnitId
    used: Decimal
    overage: Decimal
    before: Decimal
    after: Decimal
    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTotal:
    """The sum of the differences of lines in one unit."""

    unit: UnitId
    is_final: bool
    count: int
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class RunBalance:
    """The balance of a wallet before a dry run and after it."""

    wallet_id: WalletId
    resource_id: ResourceId
    before: Decimal
    after: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class RunMoney:
    """The effect of a dry run in money; `totals` are those of all lines."""

    totals: tuple[RunTotal, ...] = ()
    lines: tuple[RunLine, ...]
    balances: tuple[RunBalance, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRun:
    """A run in its current state. In a list, it is without usage, periods, refusals and money.

    Without a `change` it voids. `no_money` is the reason why a dry run does not tell the money.
    """

    id: RecordRunId
    account_id: AccountId
    only: RecordFilter
    change: RecordChange | None
    reason: str
    is_dry: bool
    state: RecordRunState
    cursor: tuple[datetime, str]
    record_count: int
    unchanged_count: int
    refused_count: int
    no_money: str
    error: str
    audit: Audit
    finish_time: datetime | None
    usage: tuple[RunUsage, ...] = ()
    periods: tuple[RunPeriod, ...] = ()
    refused: tuple[RunRefusal, ...] = ()
    money: RunMoney | None = None

    @property
    def kind(self) -> RunKind:
        """The kind: a run without a change voids."""
        return RunKind.VOID if self.change is None else RunKind.AMEND


@exact
def usage_of(effect: RecordEffect) -> list[RunUsage]:
    """Return the usage that changed, by asset and resource."""
    counts: Counter[tuple[AssetId, ResourceId]] = Counter()
    before: dict[tuple[AssetId, ResourceId], Decimal] = {}
    after: dict[tuple[AssetId, ResourceId], Decimal] = {}
    for pair in effect.changed:
        found = {_meter(record) for record in pair if record is not None}
        counts.update(found)
        for record, sums in zip(pair, (before, after), strict=True):
            if record is not None:
                key = _meter(record)
                sums[key] = sums.get(key, ZERO) + record.counted
    return [
        RunUsage(
            asset_id=key[0],
            resource_id=key[1],
            count=count,
            quantity=before.get(key, ZERO),
            new_quantity=after.get(key, ZERO),
        )
        for key, count in sorted(counts.items())
    ]


def periods_of(effect: RecordEffect) -> list[RunPeriod]:
    """Return the rating periods that changed, each with the number of its records."""
    counts: Counter[PeriodKey] = Counter()
    for pair in effect.changed:
        counts.update({record.period_key for record in pair if record is not None})
    return [
        RunPeriod(
            wallet_id=key[1],
            period=effect.periods[key][0],
            is_final=effect.periods[key][1],
            count=count,
        )
        for key, count in sorted(counts.items())
    ]


def _meter(record: KnownRecord) -> tuple[AssetId, ResourceId]:
    return record.stored.asset_id, record.stored.resource_id
