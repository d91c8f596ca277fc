"""Placement: the rating period and the cell that take usage.

Usage goes to its own rating period while that is open. Later usage follows the late policy of its
wallet: its own period is reopened, or the first open period takes it, or it is refused. Recording,
preview and all other callers place usage with these functions.
"""

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from server.domain.calendar import Period, RatingPeriod, freeze_time
from server.domain.consumption.cells import Cell, Measure
from server.domain.consumption.recording import (
    Counted,
    LateUsage,
    Meter,
    PeriodKey,
    Place,
    Slot,
    WalletKey,
)
from server.domain.errors import FailedPrecondition
from server.domain.modeling.policies import LatePolicy
from server.domain.modeling.units import Ratio

INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPeriods:
    """The rating periods that can take usage.

    `opened` take usage, including those that late usage reopens, which are in `reopened`.
    `first_open` takes the late usage of each wallet that has any.
    """

    opened: Set[PeriodKey]
    reopened: Mapping[PeriodKey, RatingPeriod] = field(default_factory=dict)
    first_open: Mapping[WalletKey, RatingPeriod] = field(default_factory=dict)


def place_of(item: Counted, periods: KnownPeriods) -> Place | FailedPrecondition:
    """Return the cell for a record, or PERIOD_CLOSED if it comes too late.

    Never: two places of one cell in one call; `places_of` caches them.
    """
    slot = item.slot
    # Reopened periods are among these; for them the place also records that the usage was late.
    if slot.period_key in periods.opened:
        reopened = periods.reopened.get(slot.period_key)
        late = None if reopened is None else LateUsage(LatePolicy.REOPEN, reopened)
    elif takes_late(slot):
        late = LateUsage(LatePolicy.NEXT_PERIOD, periods.first_open[slot.meter.wallet])
    else:
        return period_closed(slot)
    return Place.of(slot, late, item.dimensions, item.ratio)


def places_of(
    items: Iterable[Counted], periods: KnownPeriods
) -> Iterator[Place | FailedPrecondition]:
    """Return the place of each record, one object for each cell, or its refusal."""
    found: dict[tuple[Slot, str, Ratio], Place | FailedPrecondition] = {}
    for item in items:
        # Places are compared by identity when records are folded, so a cell needs one place only.
        key = (item.slot, item.dimensions, item.ratio)
        place = found.get(key)
        if place is None:
            place = found[key] = place_of(item, periods)
        yield place


def period_closed(slot: Slot) -> FailedPrecondition:
    """Return the refusal of late usage where the policy rejects it."""
    period = slot.period.since(slot.meter.service_start)
    start, end = period.start.isoformat(), period.end.isoformat()
    return FailedPrecondition(
        "PERIOD_CLOSED",
        f"the rating period from {start} to {end} is closed and its wallet takes no late usage",
        {"period_start_time": start, "period_end_time": end, "policy": LatePolicy.REJECT},
    )


def takes_late(slot: Slot) -> bool:
    """Return whether the slot's wallet accepts usage of a closed period."""
    return slot.meter.late_policy is not LatePolicy.REJECT


def may_reopen(slot: Slot) -> bool:
    """Return whether late usage of a slot may reopen its own period."""
    return slot.meter.late_policy is LatePolicy.REOPEN


def is_closed(slot: Slot, closed_until: datetime | None) -> bool:
    """Return whether the slot's own period is final; periods become final in order of time."""
    return closed_until is not None and slot.period.start < closed_until


def first_open(meter: Meter, closed_until: datetime, now: datetime) -> RatingPeriod:
    """Return the period to open for late usage of a wallet without an open one."""
    return meter.with_freeze(meter.first_unfrozen(closed_until, now))


def reopened_period(
    meter: Meter, period: Period, *, now: datetime, next_freeze: datetime | None
) -> RatingPeriod:
    """Return a final period as it is reopened.

    It freezes after the rating delay, but before the following period does.
    """
    due = freeze_time(meter.zone, max(period.end, now), meter.frequency.delay)
    if next_freeze is not None:
        # Periods of a wallet close in order of time, so this one must be due first.
        due = max(now, min(due, next_freeze - INSTANT))
    return RatingPeriod(period.start, period.end, due)


def cell_of(item: Counted, place: Place, asset_number: int) -> Cell:
    """Return the usage of one record as a cell of its own."""
    usage, slot = item.usage, item.slot
    is_own = place.period_start == slot.period.start
    return Cell(
        id=place.cell_id,
        wallet_id=slot.meter.wallet_id,
        asset_id=usage.asset_id,
        asset_number=asset_number,
        dimensions=place.dimensions,
        start=slot.day.start,
        end=slot.day.end,
        origin_start=slot.period.start,
        period=slot.period if is_own else slot.meter.period_of(place.period_start),
        measure=Measure.of(item.measured, usage.time, usage.record_id),
        ratio=place.ratio,
    )
