"""Void runs: usage records of an account that match a filter, voided in slices by a worker.

A dry run changes nothing and says what would change. Records that are created after the run, or
voided by others, are left alone.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from server.domain.audit import Audit
from server.domain.calendar import RatingPeriod
from server.domain.consumption.amendments import KnownRecord
from server.domain.consumption.recording import PeriodKey
from server.domain.exact import ZERO, exact
from server.domain.ids import AccountId, AssetId, ResourceId, VoidRunId, WalletId


class VoidRunState(StrEnum):
    """The states of a void run."""

    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True, kw_only=True)
class VoidFilter:
    """Usage in `[start, end)`; other fields are None or empty for any."""

    start: datetime
    end: datetime
    asset_id: AssetId | None = None
    resource_id: ResourceId | None = None
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class VoidedUsage:
    """The usage of an asset and resource that a run voids, in the unit of the resource."""

    asset_id: AssetId
    resource_id: ResourceId
    count: int
    quantity: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class VoidedPeriod:
    """A rating period of usage that a run voids."""

    wallet_id: WalletId
    period: RatingPeriod
    is_final: bool
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VoidRun:
    """A void run in its current state; `usage` and `periods` are empty in a list."""

    id: VoidRunId
    account_id: AccountId
    only: VoidFilter
    reason: str
    is_dry: bool
    state: VoidRunState
    record_count: int
    error: str
    audit: Audit
    finish_time: datetime | None
    usage: tuple[VoidedUsage, ...] = ()
    periods: tuple[VoidedPeriod, ...] = ()


@exact
def usage_of(records: Iterable[KnownRecord]) -> list[VoidedUsage]:
    """Return the usage of records by asset and resource."""
    counts: Counter[tuple[AssetId, ResourceId]] = Counter()
    sums: dict[tuple[AssetId, ResourceId], Decimal] = {}
    for record in records:
        key = record.stored.asset_id, record.stored.resource_id
        counts[key] += 1
        sums[key] = sums.get(key, ZERO) + record.counted
    return [
        VoidedUsage(asset_id=key[0], resource_id=key[1], count=count, quantity=sums[key])
        for key, count in sorted(counts.items())
    ]


def periods_of(records: Iterable[KnownRecord]) -> list[tuple[PeriodKey, int]]:
    """Return the number of records in each rating period."""
    return sorted(Counter(record.period_key for record in records).items())
