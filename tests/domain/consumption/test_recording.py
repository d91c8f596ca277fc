"""Recording: how records fold into cells, what makes them equal, where they belong."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.calendar import Delay, PolicyPeriod
from server.domain.consumption.cells import Measure, merged
from server.domain.consumption.intake import AHEAD, DEFAULT_WINDOW, Intake
from server.domain.consumption.placement import period_closed
from server.domain.consumption.recording import (
    ACCEPTED,
    OWN_UNIT,
    Counted,
    LateUsage,
    Meter,
    OutcomeCode,
    Place,
    Refused,
    Slot,
    Stored,
    Usage,
    fold,
    kept,
    repeated,
)
from server.domain.errors import FailedPrecondition, InvalidArgument, NotFound
from server.domain.ids import (
    AccountId,
    AssetId,
    CellId,
    RecordId,
    ResourceId,
    UnitClassId,
    UnitId,
    WalletId,
    derive,
)
from server.domain.modeling.policies import LatePolicy, RatingFrequency
from server.domain.modeling.units import Unit

NOW = datetime(2024, 3, 20, 12, tzinfo=UTC)
ACME = AccountId("acme")
CALLS = ResourceId("calls")
ASSET = AssetId(UUID(int=5))
WALLET = WalletId(UUID(int=6))


def unit(name: str, factor: int, scale: int = 3, of: str = "count") -> Unit:
    return Unit(id=UnitId(name), class_id=UnitClassId(of), factor=Decimal(factor), scale=scale)


EACH, DOZEN, GRAM = unit("each", 1), unit("dozen", 12), unit("gram", 1, of="mass")
UNITS = {DOZEN.id: (DOZEN, True), GRAM.id: (GRAM, True), UnitId("old"): (DOZEN, False)}


def meter(
    zone: str = "Europe/Berlin", end: datetime | None = None, is_hourly: bool = False
) -> Meter:
    return Meter(
        account_id=ACME,
        asset_id=ASSET,
        resource_id=CALLS,
        wallet_id=WALLET,
        unit=EACH,
        zone=zone,
        anchor=date(2024, 1, 15),
        service_start=datetime(2024, 1, 15, tzinfo=UTC),
        frequency=RatingFrequency(period=PolicyPeriod.MONTH, delay=Delay(3)),
        late_policy=LatePolicy.NEXT_PERIOD,
        is_hourly=is_hourly,
        start=NOW - timedelta(days=800),
        end=end,
    )


def intake(**more: object) -> Intake:
    return Intake(NOW, {(ACME, ASSET, CALLS): meter(**more)}, UNITS)


def usage(
    name: object = "r",
    quantity: Decimal | int | str = 1,
    time: datetime = NOW,
    *,
    unit_id: UnitId = OWN_UNIT,
    labels: dict[str, str] | None = None,
) -> Usage:
    return Usage(ACME, RecordId(str(name)), ASSET, CALLS, Decimal(quantity), unit_id, time, labels)


def assessed(item: Usage) -> Counted:
    found = intake().assess(item)
    assert isinstance(found, Counted), found
    return found


def refusal(item: Usage, **more: object) -> str:
    found = intake(**more).assess(item)
    assert isinstance(found, Refused), found
    return getattr(found.error, "reason", "")


records = st.lists(
    st.builds(
        usage,
        st.uuids(),
        st.decimals(min_value="0.001", max_value=1000, places=3),
        st.integers(0, 5 * 86400).map(lambda seconds: NOW - timedelta(seconds=seconds)),
    ),
    max_size=30,
    unique_by=lambda item: item.record_id,
)


def cells(items: list[Usage], at: Intake | None = None) -> dict[CellId, Measure]:
    door = at or intake()
    counted = [door.assess(item) for item in items]
    placed = [(Place.of(item.slot), item) for item in counted if isinstance(item, Counted)]
    places = {place.slot: place for place, _ in placed}
    return {
        place.cell_id: measure for place, measure in fold((places[i.slot], i) for _, i in placed)
    }


@given(records, st.randoms(use_true_random=False))
def test_folding_does_not_depend_on_the_order_of_records(items, chance):
    shuffled = list(items)
    chance.shuffle(shuffled)

    assert cells(shuffled) == cells(items)


@given(records, st.data())
def test_folding_in_parts_and_merging_them_is_folding_at_once(items, data):
    cut = data.draw(st.integers(0, len(items)))

    first, second = cells(items[:cut]), cells(items[cut:])

    parts = {
        key: merged([part[key] for part in (first, second) if key in part])
        for key in first.keys() | second.keys()
    }
    assert parts == cells(items)


@given(records)
def test_every_record_lies_in_its_day_and_every_day_in_its_period(items):
    door = intake()
    for item in items:
        slot = door.assess(item).slot

        assert slot.day.contains(item.time)
        assert slot.period.start <= slot.day.start < slot.day.end <= slot.period.end
        assert slot is door.assess(item).slot


def test_a_cell_is_a_civil_day_of_the_zone_in_a_month_from_the_anchor():
    slot = assessed(usage(time=datetime(2024, 3, 14, 23, 30, tzinfo=UTC))).slot

    assert slot.day.start == datetime(2024, 3, 14, 23, tzinfo=UTC)
    assert slot.period.start == datetime(2024, 3, 14, 23, tzinfo=UTC)
    assert slot.period.end == datetime(2024, 4, 14, 22, tzinfo=UTC)


def next_period(slot: Slot) -> LateUsage:
    following = slot.meter.with_freeze(slot.meter.period_of(slot.period.end))
    return LateUsage(LatePolicy.NEXT_PERIOD, following)


def test_the_id_of_a_cell_is_derived_from_what_it_is_about():
    slot = assessed(usage()).slot

    starts = (slot.day.start.isoformat(), slot.period.start.isoformat())
    due = derive(WALLET, "cell", ASSET, *starts)
    # Whenever usage arrives, it is counted in the cell of its own day.
    assert Place.of(slot).cell_id == Place.of(slot, next_period(slot)).cell_id == due


def test_late_usage_says_which_period_bills_it():
    slot = assessed(usage()).slot

    assert kept(Place.of(slot)) is ACCEPTED
    late = kept(Place.of(slot, next_period(slot)))
    assert (late.code, late.late) == (OutcomeCode.LATE, next_period(slot))
    assert period_closed(slot).reason == "PERIOD_CLOSED"


def test_equal_content_is_a_duplicate_however_it_is_written():
    first = assessed(usage("x", "1.50", labels={"a": "1", "b": "2"}))
    same = assessed(usage("x", "1.5", unit_id=EACH.id, labels={"b": "2", "a": "1"}))

    outcome = repeated(same, first)
    assert (outcome.code, outcome.revision) == (OutcomeCode.DUPLICATE, 1)
    assert assessed(usage("x", labels={})).content_hash == assessed(usage("x")).content_hash


def test_content_of_any_revision_is_a_duplicate_that_names_it():
    """R26 l, also of a record that was voided since."""
    first, second, third, other = (assessed(usage("x", n)) for n in (1, 2, 3, 4))
    stored = Stored(
        third.usage.asset_id,
        third.usage.resource_id,
        third.usage.quantity,
        third.unit_id,
        third.usage.time,
        None,
        third.content_hash,
        3,
        True,
        {first.content_hash: 1, second.content_hash: 2},
    )

    outcomes = [repeated(one, stored) for one in (first, second, third)]
    conflict = repeated(other, stored)

    assert [(one.code, one.revision, one.is_voided) for one in outcomes] == [
        (OutcomeCode.DUPLICATE, n, True) for n in (1, 2, 3)
    ]
    assert (conflict.code, conflict.revision) == (OutcomeCode.CONFLICT, 0)
    assert "another id" in conflict.error.message


@given(
    st.sampled_from(
        [
            ("quantity", {"quantity": 2}),
            ("usage_time", {"time": NOW - timedelta(microseconds=1)}),
            ("labels", {"labels": {"a": "1"}}),
            ("unit_of_measure", {"unit_id": DOZEN.id}),
        ]
    )
)
def test_a_conflict_names_the_field_that_differs(case):
    field, changed = case

    outcome = repeated(assessed(usage("x", **changed)), assessed(usage("x")))

    assert outcome.code is OutcomeCode.CONFLICT
    assert outcome.error.facts == {"record_id": "x", "fields": field}


def test_labels_cannot_be_written_so_that_they_look_like_others():
    one = assessed(usage(labels={"a": 'b", "c": "d'}))
    two = assessed(usage(labels={"a": "b", "c": "d"}))

    assert one.content_hash != two.content_hash


def test_usage_in_another_unit_of_the_class_is_counted_in_the_wallets():
    item = assessed(usage(quantity="2.5", unit_id=DOZEN.id))

    assert (item.quantity, item.sent_text, item.counted_text) == (30, "2.5", "30")
    assert (item.measured, item.ratio) == (Decimal("2.5"), (12, 1))
    assert assessed(usage(quantity="0.000000000001")).quantity == Decimal("0.000000000001")
    assert refusal(usage(unit_id=GRAM.id)) == "UNIT_CLASS_MISMATCH"
    assert refusal(usage(unit_id=UnitId("old"))) == "UNIT_INACTIVE"
    assert refusal(usage(unit_id=UnitId("none"))) == "UNIT_OF_MEASURE_NOT_FOUND"


def test_time_has_bounds_by_the_tenants_clock_and_they_are_told():
    moment = timedelta(microseconds=1)

    assessed(usage(time=NOW + AHEAD))
    assessed(usage(time=NOW - DEFAULT_WINDOW))
    assert refusal(usage(time=NOW + AHEAD + moment)) == "TIMESTAMP_IN_FUTURE"
    old = intake().assess(usage(time=NOW - DEFAULT_WINDOW - moment))
    assert isinstance(old, Refused)
    assert isinstance(old.error, InvalidArgument)
    assert old.error.reason == "TIMESTAMP_TOO_OLD"
    assert old.error.facts["oldest"] == (NOW - DEFAULT_WINDOW).isoformat()


def test_the_window_is_the_tenants_and_the_refusal_says_how_to_change_it():
    week = replace(intake(), window=timedelta(days=7))
    years = replace(intake(), window=timedelta(days=799))

    assert isinstance(week.assess(usage(time=NOW - timedelta(days=7))), Counted)
    assert isinstance(years.assess(usage(time=NOW - timedelta(days=799))), Counted)
    old = week.assess(usage(time=NOW - timedelta(days=7, seconds=1)))
    assert isinstance(old, Refused)
    assert isinstance(old.error, InvalidArgument)
    assert "7 days behind" in old.error.message
    assert "usage_window_days" in old.error.message
    assert old.error.facts["window_days"] == "7"


def test_usage_belongs_to_the_time_in_which_the_asset_has_the_resource():
    end = NOW - timedelta(hours=1)

    assert refusal(usage(time=end), end=end) == "RESOURCE_NOT_ENTITLED"
    assert isinstance(intake(end=end).assess(usage(time=end - timedelta(seconds=1))), Counted)


def test_what_was_never_sold_is_refused_at_once():
    with pytest.raises(NotFound, match="accounts/acme/assets/"):
        Intake(NOW, {}, {}).assess(usage())
    with pytest.raises(FailedPrecondition, match="usageResources/calls was not sold"):
        Intake(NOW, {(ACME, ASSET, CALLS): None}, {}).assess(usage())


def test_a_period_freezes_after_its_delay():
    # Berlin's 15 February is over at 23:00 UTC on the 14th of March; three days are waited.
    february = meter().period_of(datetime(2024, 2, 20, tzinfo=UTC))

    assert february.end == datetime(2024, 3, 14, 23, tzinfo=UTC)
    assert meter().with_freeze(february).freeze == datetime(2024, 3, 17, 23, tzinfo=UTC)
