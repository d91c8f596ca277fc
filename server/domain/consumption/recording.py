"""Recording: the day and period of a record, its counted quantity, and its cell.

A record is sent in any unit of its resource's class and counted in the unit of its wallet. It goes
to a cell, which is one civil day of one resource of one asset, in the rating period in which it
happened, whenever it arrives. `usecases.intake.recording` loads and saves.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from server.domain import calendar
from server.domain.caches import memoize
from server.domain.calendar import Period, PolicyPeriod, RatingPeriod
from server.domain.consumption.cells import Measure
from server.domain.consumption.dimensions import NONE
from server.domain.errors import AlreadyExists, NotFound, UsageError
from server.domain.exact import ZERO, exact
from server.domain.ids import (
    AccountId,
    AssetId,
    CellId,
    ExternalId,
    RecordId,
    ResourceId,
    UnitId,
    WalletId,
    derive,
)
from server.domain.modeling.policies import LatePolicy, RatingFrequency
from server.domain.modeling.units import SAME, Ratio, Unit

OWN_UNIT = UnitId("")
NO_ASSET = AssetId(UUID(int=0))
NONE_EARLIER: Mapping[bytes, int] = {}

ExternalKey = tuple[AccountId, ExternalId]
MeterKey = tuple[AccountId, AssetId, ResourceId]
RecordKey = tuple[AccountId, RecordId]
WalletKey = tuple[AccountId, WalletId]
PeriodKey = tuple[AccountId, WalletId, datetime]


class Usage(NamedTuple):
    """A record as it was sent; `unit_id` is empty for the resource's own unit.

    `labels` is None if there are none. The time is truncated to the microsecond. If the asset was
    named by its `external_id`, `asset_id` is NO_ASSET until `named` resolves it.
    """

    account_id: AccountId
    record_id: RecordId
    asset_id: AssetId
    resource_id: ResourceId
    quantity: Decimal
    unit_id: UnitId
    time: datetime
    labels: Mapping[str, str] | None
    external_id: ExternalId | None = None

    def named(self, assets: Mapping[ExternalKey, AssetId]) -> "Usage":
        """Return the usage with the asset that its external id names. Raises ASSET_NOT_FOUND."""
        if self.external_id is None:
            return self
        asset_id = assets.get((self.account_id, self.external_id))
        if asset_id is None:
            name = f"accounts/{self.account_id}/assets/external:{self.external_id}"
            raise NotFound.of("Asset", name)
        return self._replace(asset_id=asset_id)

    @property
    def key(self) -> RecordKey:
        """The key that is unique among records."""
        return self.account_id, self.record_id

    @property
    def meter_key(self) -> MeterKey:
        """The key of the asset's resource."""
        return self.account_id, self.asset_id, self.resource_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """The wallet, time span and rating calendar of one resource of one asset.

    Its rating periods are whole here, but outcomes show the first one from `service_start` on.
    The wallets in `blocking` refuse usage that they cannot cover. What a gauge holds is weighted by
    time. With a `unique_label`, its distinct values in each window of `unique_period` are counted.
    Until `bound_time` the asset was bound to another target, with the meter `former`.
    """

    account_id: AccountId
    asset_id: AssetId
    resource_id: ResourceId
    wallet_id: WalletId
    unit: Unit
    zone: str
    anchor: date
    service_start: datetime
    frequency: RatingFrequency
    late_policy: LatePolicy
    is_hourly: bool
    is_gauge: bool = False
    blocking: tuple[WalletId, ...] = ()
    dimensions: tuple[str, ...] = ()
    unique_label: str | None = None
    unique_period: PolicyPeriod = PolicyPeriod.DAY
    start: datetime
    end: datetime | None
    bound_time: datetime | None = None
    former: "Meter | None" = None

    def at(self, instant: datetime) -> "Meter":
        """Return the meter of the wallet that pays at a time."""
        if self.bound_time is None or self.former is None or self.bound_time <= instant:
            return self
        return self.former

    @property
    def wallet(self) -> WalletKey:
        """The key of the wallet that pays."""
        return self.account_id, self.wallet_id

    @property
    def asset_key(self) -> tuple[AccountId, AssetId]:
        """The key of the asset."""
        return self.account_id, self.asset_id

    def period_of(self, instant: datetime) -> Period:
        """Return the rating period that contains `instant`."""
        return self.day_and_period(instant)[1]

    def day_and_period(self, instant: datetime) -> tuple[Period, Period]:
        """Return the civil day, or the hour for hourly usage, and the rating period."""
        day = calendar.local_date(self.zone, instant)
        found = _day_and_period(self.zone, self.anchor, self.frequency.period, day)
        return (calendar.hour_of(self.zone, instant), found[1]) if self.is_hourly else found

    def freeze_time(self, period: Period) -> datetime:
        """Return the time from which usage of `period` is late."""
        return calendar.freeze_time(self.zone, period.end, self.frequency.delay)

    def with_freeze(self, period: Period) -> RatingPeriod:
        """Return `period` with its freeze time."""
        return RatingPeriod(period.start, period.end, self.freeze_time(period))

    def entitles(self, instant: datetime) -> bool:
        """Return whether the asset had the resource at `instant`."""
        return self.start <= instant and (self.end is None or instant < self.end)


@dataclass(frozen=True, slots=True, eq=False)
class Slot:
    """A civil day or hour of a meter and its rating period; there is one object for each."""

    meter: Meter
    day: Period
    period: Period

    @property
    def period_key(self) -> PeriodKey:
        """The key of the rating period."""
        return self.meter.account_id, self.meter.wallet_id, self.period.start


class LateUsage(NamedTuple):
    """The policy applied to usage of a final period, and the rating period whose lines bill it."""

    policy: LatePolicy
    period: RatingPeriod


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """The cell for the usage of a slot; `late` if its rating period is final."""

    slot: Slot
    cell_id: CellId
    late: LateUsage | None = None
    dimensions: str = NONE
    ratio: Ratio = SAME

    @classmethod
    def of(
        cls,
        slot: Slot,
        late: LateUsage | None = None,
        dimensions: str = NONE,
        ratio: Ratio = SAME,
    ) -> "Place":
        """Return the cell of `slot`; `ratio` converts the unit of the usage."""
        meter, starts = slot.meter, (slot.day.start, slot.period.start)
        parts = () if dimensions == NONE and ratio is SAME else (dimensions,)
        if ratio is not SAME:
            parts = (*parts, f"{ratio.numerator}/{ratio.denominator}")
        cell_id = _cell_id(meter.wallet_id, meter.asset_id, starts, *parts)
        return cls(slot, cell_id, late, dimensions, ratio)


class Counted(NamedTuple):
    """A record that passed all checks except the state of its period.

    `quantity` is in the wallet's unit, to 12 places. The texts are the sent and the counted
    quantity. `ratio` converts what was sent; it is `SAME` where the cell has counted quantities.
    """

    usage: Usage
    unit_id: UnitId
    content_hash: bytes
    quantity: Decimal
    sent_text: str
    counted_text: str
    slot: Slot
    dimensions: str = NONE
    ratio: Ratio = SAME

    @property
    def measured(self) -> Decimal:
        """The quantity that the record adds to its cell: as it was sent, if that is converted."""
        return self.quantity if self.ratio is SAME else self.usage.quantity


class Refused(NamedTuple):
    """A record that cannot be accepted now; it may still be the duplicate of a stored one."""

    usage: Usage
    content_hash: bytes
    error: UsageError


class Stored(NamedTuple):
    """A record as it is stored; `earlier` are the digests of its content before amendments."""

    asset_id: AssetId
    resource_id: ResourceId
    quantity: Decimal
    unit_id: UnitId
    time: datetime
    labels: Mapping[str, str] | None
    content_hash: bytes
    revision: int = 1
    is_voided: bool = False
    earlier: Mapping[bytes, int] = NONE_EARLIER

    def revision_of(self, content_hash: bytes) -> int | None:
        """Return the revision that has or had this content; None if there is none."""
        is_current = content_hash == self.content_hash
        return self.revision if is_current else self.earlier.get(content_hash)


class OutcomeCode(StrEnum):
    """The codes of an outcome."""

    ACCEPTED = "ACCEPTED"
    DUPLICATE = "DUPLICATE"
    CONFLICT = "CONFLICT"
    LATE = "LATE"
    REJECTED = "REJECTED"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a record: the error if it is refused, or how late usage is billed.

    A duplicate has the revision of the stored record that it repeats.
    """

    code: OutcomeCode
    error: UsageError | None = None
    late: LateUsage | None = None
    revision: int = 0
    is_voided: bool = False

    @property
    def is_kept(self) -> bool:
        """True if this call stored the record."""
        return self.code in (OutcomeCode.ACCEPTED, OutcomeCode.LATE)


ACCEPTED = Outcome(OutcomeCode.ACCEPTED)


def rejected(error: UsageError) -> Outcome:
    """Return the outcome of a record that is not stored."""
    return Outcome(OutcomeCode.REJECTED, error)


def kept(place: Place) -> Outcome:
    """Return the outcome of a record that is stored and counted at `place`."""
    if place.late is None:
        return ACCEPTED
    shown = place.late.period.since(place.slot.meter.service_start)
    return Outcome(OutcomeCode.LATE, late=place.late._replace(period=shown))


def duplicate_of(content_hash: bytes, first: Stored) -> Outcome | None:
    """Return DUPLICATE if a stored record has or had this content; None if it did not.

    Source: R26 l.
    """
    revision = first.revision_of(content_hash)
    if revision is None:
        return None
    return Outcome(OutcomeCode.DUPLICATE, revision=revision, is_voided=first.is_voided)


def repeated(item: Counted, first: Counted | Stored) -> Outcome:
    """Return DUPLICATE for a record equal to the first one with its id, or else CONFLICT."""
    other = first if isinstance(first, Stored) else _as_stored(first)
    duplicate = duplicate_of(item.content_hash, other)
    if duplicate is not None:
        return duplicate
    # The digests differ already; the fields are compared only to name those that do.
    mine = _as_stored(item)
    pairs = {
        "asset": mine.asset_id == other.asset_id,
        "usage_resource": mine.resource_id == other.resource_id,
        "quantity": mine.quantity == other.quantity,
        "unit_of_measure": mine.unit_id == other.unit_id,
        "usage_time": mine.time == other.time,
        "labels": (mine.labels or {}) == (other.labels or {}),
    }
    fields = ", ".join(name for name, is_equal in pairs.items() if not is_equal)
    record_id = item.usage.record_id
    advice = "it is voided, so use another id" if other.is_voided else "AmendUsage changes it"
    message = f"a record {record_id} with other content is kept already; it differs in {fields};"
    message += f" {advice}"
    facts = {"record_id": record_id, "fields": fields}
    return Outcome(OutcomeCode.CONFLICT, AlreadyExists("EVENT_CONFLICT", message, facts))


@exact
def fold(items: Iterable[tuple[Place, Counted]]) -> list[tuple[Place, Measure]]:
    """Return the measure that records add to each cell, in the order of the cells' keys.

    Always: merging the measures of any partition of the records gives the measures of all of them.
    """
    cells: dict[Place, list[Counted]] = {}
    for place, item in items:
        cells.setdefault(place, []).append(item)
    # Cells come in one order in every call, so that concurrent calls lock their rows in that order.
    folded = [(place, _measure(found)) for place, found in cells.items()]
    return sorted(folded, key=lambda cell: (cell[0].slot.meter.account_id, cell[0].cell_id))


# Memoized, because batches refer to the same days and cells many times.
@memoize(entries=65_536, entry_bytes=1_024)
def _day_and_period(
    zone: str, anchor: date, length: PolicyPeriod, day: date
) -> tuple[Period, Period]:
    start = calendar.local_midnight(zone, day)
    end = calendar.local_midnight(zone, day + calendar.DAY)
    return Period(start, end), calendar.rating_period(zone, anchor, length, start)


@memoize(entries=65_536, entry_bytes=1_024)
def _cell_id(
    wallet_id: WalletId, asset_id: AssetId, starts: tuple[datetime, ...], *more: str
) -> CellId:
    texts = (start.isoformat() for start in starts)
    return CellId(derive(wallet_id, "cell", asset_id, *texts, *more))


def _measure(items: list[Counted]) -> Measure:
    if len(items) == 1:
        only = items[0]
        return Measure.of(only.measured, only.usage.time, only.usage.record_id)
    quantities = [item.measured for item in items]
    last = max(items, key=lambda item: (item.usage.time, item.usage.record_id))
    return Measure(
        sum=sum(quantities, ZERO),
        count=len(items),
        max=max(quantities),
        min=min(quantities),
        last=last.measured,
        last_time=last.usage.time,
        last_record_id=last.usage.record_id,
        first_time=min(item.usage.time for item in items),
        # The database measures it, from all records of the cell.
        held=None,
    )


def _as_stored(item: Counted) -> Stored:
    usage = item.usage
    return Stored(
        usage.asset_id,
        usage.resource_id,
        usage.quantity,
        item.unit_id,
        usage.time,
        usage.labels,
        item.content_hash,
    )
