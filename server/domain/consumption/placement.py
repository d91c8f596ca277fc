"""Placement: the cell that takes usage, and how usage of a final period is billed.

Usage goes to the cell of its own day, whenever it arrives. If its rating period is final, the late
policy of its wallet decides whether it is taken, and where the difference that it makes is billed.
While its asset is being loaded, it is taken in any case.
Recording, preview and all other callers place usage with these functions. Source: R26 b, h.
"""

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime

from server.domain.calendar import RatingPeriod
from server.domain.consumption.cells import Cell, Measure
from server.domain.consumption.recording import (
    Counted,
    LateUsage,
    PeriodKey,
    Place,
    Slot,
)
from server.domain.errors import FailedPrecondition
from server.domain.modeling.policies import LatePolicy
from server.domain.modeling.units import Ratio


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPeriods:
    """The rating periods that are open, and how usage of final ones is billed.

    Usage of a period that is in neither is refused.
    """

    opened: Set[PeriodKey]
    late: Mapping[PeriodKey, LateUsage] = field(default_factory=dict)


def place_of(item: Counted, periods: KnownPeriods) -> Place | FailedPrecondition:
    """Return the cell for a record, or PERIOD_CLOSED if it comes too late.

    Never: two places of one cell in one call; `places_of` caches them.
    """
    slot = item.slot
    late = periods.late.get(slot.period_key)
    if late is None and slot.period_key not in periods.opened:
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


def late_usage(
    slot: Slot, *, first_open: RatingPeriod | None, is_invoiced: bool, now: datetime
) -> LateUsage:
    """Return how usage of a final period is billed, as far as it is known now.

    REOPEN changes the lines of its own period while none of them is invoiced. Otherwise the
    difference is billed with the first open period of the wallet, or with the one around now.
    """
    meter = slot.meter
    if meter.late_policy is LatePolicy.REOPEN and not is_invoiced:
        return LateUsage(LatePolicy.REOPEN, meter.with_freeze(slot.period))
    around = first_open or meter.with_freeze(meter.period_of(now))
    return LateUsage(LatePolicy.NEXT_PERIOD, around)


def is_closed(slot: Slot, closed_until: datetime | None) -> bool:
    """Return whether the slot's own period is final; periods become final in order of time."""
    return closed_until is not None and slot.period.start < closed_until


def cell_of(item: Counted, place: Place, asset_number: int) -> Cell:
    """Return the usage of one record as a cell of its own."""
    usage, slot = item.usage, item.slot
    return Cell(
        id=place.cell_id,
        wallet_id=slot.meter.wallet_id,
        asset_id=usage.asset_id,
        asset_number=asset_number,
        dimensions=place.dimensions,
        start=slot.day.start,
        end=slot.day.end,
        period=slot.period,
        measure=Measure.of(item.measured, usage.time, usage.record_id),
        ratio=place.ratio,
    )
