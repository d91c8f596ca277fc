"""Placement: the cell of usage, and how it is billed if its rating period is final."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.calendar import Delay, PolicyPeriod
from server.domain.consumption.placement import (
    KnownPeriods,
    cell_of,
    is_closed,
    late_usage,
    place_of,
    places_of,
    takes_late,
)
from server.domain.consumption.recording import Counted, LateUsage, Meter, Place, Slot, Usage
from server.domain.consumption.uniques import as_counted, unique_value, window_key
from server.domain.errors import FailedPrecondition
from server.domain.ids import (
    AccountId,
    AssetId,
    RecordId,
    ResourceId,
    UnitClassId,
    UnitId,
    WalletId,
)
from server.domain.modeling.policies import LatePolicy, RatingFrequency
from server.domain.modeling.units import Unit

NOW = datetime(2024, 6, 20, 12, tzinfo=UTC)
EACH = Unit(id=UnitId("each"), class_id=UnitClassId("count"), factor=Decimal(1), scale=0)
METER = Meter(
    account_id=AccountId("acme"),
    asset_id=AssetId(UUID(int=5)),
    resource_id=ResourceId("calls"),
    wallet_id=WalletId(UUID(int=6)),
    unit=EACH,
    zone="Europe/Berlin",
    anchor=date(2024, 1, 15),
    service_start=datetime(2024, 1, 14, 23, tzinfo=UTC),
    frequency=RatingFrequency(period=PolicyPeriod.MONTH, delay=Delay(3)),
    late_policy=LatePolicy.NEXT_PERIOD,
    is_hourly=False,
    start=NOW - timedelta(days=800),
    end=None,
)
POLICIES = st.sampled_from(LatePolicy)
TIMES = st.integers(0, 170).map(lambda days: NOW - timedelta(days=days))
DIMENSIONS = st.sampled_from(["", '{"region":"eu"}', '{"region":"us"}'])


def slot_at(time: datetime, late: LatePolicy = LatePolicy.NEXT_PERIOD) -> Slot:
    meter = replace(METER, late_policy=late)
    return Slot(meter, *meter.day_and_period(time))


def item_at(slot: Slot, dimensions: str = "", **labels: str) -> Counted:
    usage = Usage(
        slot.meter.account_id,
        RecordId("r"),
        slot.meter.asset_id,
        slot.meter.resource_id,
        Decimal(7),
        EACH.id,
        slot.day.start,
        labels or None,
    )
    return Counted(usage, EACH.id, b"", Decimal(7), "7", "7", slot, dimensions)


def known(slot: Slot, *, is_open: bool) -> KnownPeriods:
    """Return the known periods: the slot's own is open, or final."""
    late = late_usage(slot, first_open=None, is_invoiced=False, now=NOW)
    return KnownPeriods(
        opened={slot.period_key} if is_open else set(),
        late={slot.period_key: late} if takes_late(slot) and not is_open else {},
    )


@given(TIMES, POLICIES, st.booleans(), DIMENSIONS)
def test_usage_of_a_final_period_is_late_or_refused_as_the_policy_says(
    time: datetime, policy: LatePolicy, is_open: bool, dimensions: str
):
    slot = slot_at(time, policy)

    place = place_of(item_at(slot, dimensions), known(slot, is_open=is_open))

    if policy is LatePolicy.REJECT and not is_open:
        assert isinstance(place, FailedPrecondition)
        assert place.reason == "PERIOD_CLOSED"
        assert place.facts["period_start_time"] == slot.period.start.isoformat()
        return
    assert isinstance(place, Place)
    assert (place.slot, place.dimensions) == (slot, dimensions)
    assert (place.late is None) is is_open
    if place.late is not None:
        assert place.late.policy is policy


@given(st.lists(st.tuples(TIMES, DIMENSIONS), min_size=1, max_size=20))
def test_records_of_one_cell_share_one_place_in_any_order(said: list[tuple[datetime, str]]):
    slots = {time: slot_at(time) for time, _ in said}
    items = [item_at(slots[time], dimensions) for time, dimensions in said]
    closed = [slot for slot in slots.values() if is_closed(slot, NOW - timedelta(days=60))]
    periods = KnownPeriods(
        opened={one.period_key for one in slots.values()} - {one.period_key for one in closed},
        late={
            one.period_key: late_usage(one, first_open=None, is_invoiced=True, now=NOW)
            for one in closed
        },
    )

    forth = list(places_of(items, periods))
    back = list(places_of(items[::-1], periods))[::-1]

    assert [one.cell_id for one in forth] == [one.cell_id for one in back]
    by_cell = {one.cell_id: one for one in forth}
    assert all(one is by_cell[one.cell_id] for one in forth)
    keys = {(item.slot.day, item.dimensions) for item in items}
    assert len(by_cell) == len(keys)


@given(TIMES, DIMENSIONS)
def test_late_usage_is_counted_in_the_cell_of_usage_in_time(time: datetime, dimensions: str):
    slot = slot_at(time)

    own = place_of(item_at(slot, dimensions), known(slot, is_open=True))
    late = place_of(item_at(slot, dimensions), known(slot, is_open=False))

    assert own.cell_id == late.cell_id
    assert (own.late, late.late.policy) == (None, LatePolicy.NEXT_PERIOD)


@given(TIMES)
def test_a_cell_is_in_the_period_of_its_usage_however_late(time: datetime):
    slot = slot_at(time)
    place = place_of(item_at(slot), known(slot, is_open=False))
    assert isinstance(place, Place)
    assert place.late is not None

    cell = cell_of(item_at(slot), place, 3)

    assert (cell.id, cell.asset_number) == (place.cell_id, 3)
    assert (cell.start, cell.end) == (slot.day.start, slot.day.end)
    assert cell.period == slot.period
    assert (cell.measure.sum, cell.measure.count) == (Decimal(7), 1)


@given(TIMES, POLICIES, st.booleans(), st.booleans())
def test_a_difference_is_billed_in_place_until_it_is_invoiced_and_otherwise_in_what_is_open(
    time: datetime, policy: LatePolicy, is_invoiced: bool, is_open: bool
):
    slot = slot_at(time, policy)
    following = METER.with_freeze(METER.period_of(slot.period.end))

    found = late_usage(
        slot, first_open=following if is_open else None, is_invoiced=is_invoiced, now=NOW
    )

    if policy is LatePolicy.REOPEN and not is_invoiced:
        assert found == LateUsage(LatePolicy.REOPEN, METER.with_freeze(slot.period))
        return
    # Without an open period, the one around now is opened.
    around = following if is_open else METER.with_freeze(METER.period_of(NOW))
    assert found == LateUsage(LatePolicy.NEXT_PERIOD, around)


@pytest.mark.parametrize(
    ("policy", "takes"),
    [(LatePolicy.REJECT, False), (LatePolicy.NEXT_PERIOD, True), (LatePolicy.REOPEN, True)],
)
def test_only_one_policy_refuses_late_usage(policy: LatePolicy, takes: bool):
    assert takes_late(slot_at(NOW, policy)) is takes


def test_a_period_is_closed_by_those_that_are_final_up_to_its_end():
    slot = slot_at(NOW)

    assert not is_closed(slot, None)
    assert not is_closed(slot, slot.period.start)
    assert is_closed(slot, slot.period.end)


def test_of_equal_values_in_a_window_the_first_counts_one():
    meter = replace(METER, unique_label="user", unique_period=PolicyPeriod.MONTH)
    first, other = (Slot(meter, *meter.day_and_period(NOW - timedelta(days=n))) for n in (0, 1))
    elsewhere = Slot(meter, *meter.day_and_period(NOW - timedelta(days=40)))
    one, two, three = (item_at(slot, user="ann") for slot in (first, other, elsewhere))

    assert unique_value(one) == (meter.wallet_id, meter.asset_id, window_key(one), "ann")
    assert unique_value(one) == unique_value(two) != unique_value(three)
    assert (as_counted(one, True).quantity, as_counted(two, False).quantity) == (1, 0)
    assert as_counted(two, False).counted_text == "0"


def test_what_counts_quantities_has_no_values():
    item = item_at(slot_at(NOW), user="ann")

    assert unique_value(item) is None
    assert as_counted(item, False) is item
