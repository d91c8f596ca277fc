"""Placement: the period that takes usage in, by what is known of periods and the late policy."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.calendar import Delay, PolicyPeriod, RatingPeriod
from server.domain.consumption.placement import (
    KnownPeriods,
    cell_of,
    first_open,
    is_closed,
    may_reopen,
    place_of,
    places_of,
    reopened_period,
    takes_late,
)
from server.domain.consumption.recording import Counted, Meter, Place, Slot, Usage
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


def known(slot: Slot, *, is_open: bool, is_reopened: bool) -> KnownPeriods:
    """Return the known periods: the slot's own, and a later one that is open."""
    own = slot.meter.with_freeze(slot.period)
    return KnownPeriods(
        opened={slot.period_key} if is_open or is_reopened else set(),
        reopened={slot.period_key: own} if is_reopened else {},
        first_open={slot.meter.wallet: first_open(slot.meter, slot.period.end, NOW)},
    )


@given(TIMES, POLICIES, st.booleans(), st.booleans(), DIMENSIONS)
def test_usage_goes_to_its_own_period_or_where_the_late_policy_says(
    time: datetime, policy: LatePolicy, is_open: bool, is_reopened: bool, dimensions: str
):
    slot = slot_at(time, policy)
    periods = known(slot, is_open=is_open, is_reopened=is_reopened)

    place = place_of(item_at(slot, dimensions), periods)

    if is_reopened:
        assert isinstance(place, Place)
        assert place.late == (LatePolicy.REOPEN, slot.meter.with_freeze(slot.period))
        assert place.period_start == slot.period.start
    elif is_open:
        assert isinstance(place, Place)
        assert (place.late, place.period_start) == (None, slot.period.start)
    elif policy is LatePolicy.REJECT:
        assert isinstance(place, FailedPrecondition)
        assert place.reason == "PERIOD_CLOSED"
        assert place.facts["period_start_time"] == slot.period.start.isoformat()
    else:
        following = periods.first_open[slot.meter.wallet]
        assert isinstance(place, Place)
        assert place.late == (LatePolicy.NEXT_PERIOD, following)
        assert place.period_start == following.start > slot.period.start
    if isinstance(place, Place):
        assert place.dimensions == dimensions


@given(st.lists(st.tuples(TIMES, DIMENSIONS), min_size=1, max_size=20))
def test_records_of_one_cell_share_one_place_in_any_order(said: list[tuple[datetime, str]]):
    slots = {time: slot_at(time) for time, _ in said}
    items = [item_at(slots[time], dimensions) for time, dimensions in said]
    closed = [slot for slot in slots.values() if is_closed(slot, NOW - timedelta(days=60))]
    periods = KnownPeriods(
        opened={one.period_key for one in slots.values()} - {one.period_key for one in closed},
        first_open={METER.wallet: first_open(METER, NOW - timedelta(days=60), NOW)},
    )

    forth = list(places_of(items, periods))
    back = list(places_of(items[::-1], periods))[::-1]

    assert [one.cell_id for one in forth] == [one.cell_id for one in back]
    by_cell = {one.cell_id: one for one in forth}
    assert all(one is by_cell[one.cell_id] for one in forth)
    keys = {(item.slot.day, item.dimensions) for item in items}
    assert len(by_cell) == len(keys)


@given(TIMES, DIMENSIONS)
def test_late_usage_has_a_cell_beside_that_of_usage_in_time(time: datetime, dimensions: str):
    slot = slot_at(time)

    own = place_of(item_at(slot, dimensions), known(slot, is_open=True, is_reopened=False))
    late = place_of(item_at(slot, dimensions), known(slot, is_open=False, is_reopened=False))
    again = place_of(item_at(slot, dimensions), known(slot, is_open=False, is_reopened=True))

    assert own.cell_id != late.cell_id
    assert own.cell_id == again.cell_id


@given(TIMES)
def test_a_cell_keeps_when_usage_was_and_which_period_takes_it_in(time: datetime):
    slot = slot_at(time)
    place = place_of(item_at(slot), known(slot, is_open=False, is_reopened=False))
    assert isinstance(place, Place)
    assert place.late is not None

    cell = cell_of(item_at(slot), place, 3)

    assert (cell.id, cell.asset_number) == (place.cell_id, 3)
    assert (cell.start, cell.end) == (slot.day.start, slot.day.end)
    assert cell.origin_start == slot.period.start
    assert (cell.period.start, cell.period.end) == (place.late.period[0], place.late.period[1])
    assert (cell.measure.sum, cell.measure.count) == (Decimal(7), 1)


@given(TIMES)
def test_the_period_opened_for_late_usage_is_the_first_that_is_not_due(closed: datetime):
    found = first_open(METER, closed, NOW)

    before = METER.period_of(found.start - timedelta(microseconds=1))
    assert found.freeze > NOW
    assert found.end > closed
    assert found.start <= closed or METER.freeze_time(before) <= NOW


@given(TIMES, st.none() | st.integers(1, 90))
def test_a_period_opened_again_freezes_before_the_next_one(time: datetime, wait: int | None):
    period = METER.period_of(time)
    next_freeze = None if wait is None else NOW + timedelta(days=wait)

    again = reopened_period(METER, period, now=NOW, next_freeze=next_freeze)

    assert (again.start, again.end) == (period.start, period.end)
    assert again.freeze >= NOW
    assert next_freeze is None or again.freeze < next_freeze


def test_a_period_opened_again_is_due_at_once_where_the_next_one_is():
    period = METER.period_of(NOW - timedelta(days=60))

    again = reopened_period(METER, period, now=NOW, next_freeze=NOW)

    assert again == RatingPeriod(period.start, period.end, NOW)


@pytest.mark.parametrize(
    ("policy", "takes", "reopens"),
    [
        (LatePolicy.REJECT, False, False),
        (LatePolicy.NEXT_PERIOD, True, False),
        (LatePolicy.REOPEN, True, True),
    ],
)
def test_what_late_policies_allow(policy: LatePolicy, takes: bool, reopens: bool):
    slot = slot_at(NOW, policy)

    assert (takes_late(slot), may_reopen(slot)) == (takes, reopens)


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
