"""Guided setup: names of policies, which one is chosen, what is done with a record."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from server.domain.audit import Audit
from server.domain.calendar import Cadence, CadenceUnit, Delay, DelayUnit, PolicyPeriod
from server.domain.errors import FailedPrecondition, InvalidArgument, NotFound, Unimplemented
from server.domain.ids import PolicyId
from server.domain.modeling.catalog import (
    Aggregation,
    CatalogState,
    Overage,
    RatingFrequencyPolicy,
    Refresh,
    Rollover,
    StoredRecord,
)
from server.domain.modeling.policies import (
    AggregationMethod,
    Combination,
    LatePolicy,
    OveragePolicy,
)
from server.domain.modeling.setup import (
    NAMELESS,
    Action,
    SetupStep,
    check_size,
    chosen,
    conflicts,
    decide,
    derived_id,
    placed,
    refusal,
)

DAILY, MONTHLY = PolicyPeriod.DAY, PolicyPeriod.MONTH
SUM, PEAK = AggregationMethod.SUM, AggregationMethod.PEAK
ACTIVE, DRAFT, INACTIVE = CatalogState.ACTIVE, CatalogState.DRAFT, CatalogState.INACTIVE
QUARTERLY = Refresh(id=NAMELESS, display_name="", interval=Cadence(CadenceUnit.QUARTER, 2))


def aggregation(
    method: AggregationMethod = SUM,
    period: PolicyPeriod = DAILY,
    combine: Combination = Combination.TOTAL,
) -> Aggregation:
    return Aggregation(id=NAMELESS, display_name="", method=method, period=period, combine=combine)


def frequency(delay: Delay, late: LatePolicy = LatePolicy.NEXT_PERIOD) -> RatingFrequencyPolicy:
    return RatingFrequencyPolicy(
        id=NAMELESS, display_name="", period=MONTHLY, delay=delay, late=late
    )


def kept(
    policy_id: str, state: CatalogState = ACTIVE, **changes: object
) -> StoredRecord[Aggregation]:
    content = replace(aggregation(), id=PolicyId(policy_id), **changes)  # type: ignore[arg-type]
    return StoredRecord(content, state, 1, Audit.at(datetime(2026, 1, 1, tzinfo=UTC)))


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (aggregation(), "sum-daily"),
        (aggregation(PEAK, MONTHLY, Combination.HIGHEST), "peak-monthly"),
        (aggregation(PEAK, DAILY, Combination.TOTAL), "peak-daily-total"),
        (frequency(Delay(3)), "monthly-after-3-days"),
        (frequency(Delay(12, DelayUnit.HOURS)), "monthly-after-12-hours"),
        (frequency(Delay(0), LatePolicy.REJECT), "monthly-after-0-days-reject"),
        (Overage(id=NAMELESS, display_name="", overage=OveragePolicy.CHARGE), "overage-charge"),
        (QUARTERLY, "refresh-2-quarter"),
        (Rollover(id=NAMELESS, display_name="", max_rollovers=None), "rollover-unlimited"),
        (Rollover(id=NAMELESS, display_name="", max_rollovers=1), "rollover-1"),
    ],
)
def test_an_id_tells_the_settings(policy, expected):
    assert derived_id(policy) == expected
    assert chosen(policy, []).id == expected


@pytest.mark.parametrize(
    ("known", "named", "expected"),
    [
        ([kept("mine", DRAFT)], None, "mine"),
        ([kept("a", DRAFT), kept("b"), kept("c")], None, "b"),
        ([kept("a"), kept("b", DRAFT)], "b", "b"),
        ([kept("a", display_name="Added up")], None, "a"),
        ([kept("gone", INACTIVE)], None, "sum-daily"),
        ([kept("other", method=PEAK)], "other", "sum-daily"),
        ([kept("Sum-Daily", method=PEAK)], None, "sum-daily-2"),
        ([kept("sum-daily", INACTIVE), kept("sum-daily-2", method=PEAK)], None, "sum-daily-3"),
    ],
    ids=[
        "the one there is",
        "an active one first",
        "the one that is named",
        "whatever its title",
        "not a withdrawn one",
        "not another one",
        "its id is taken",
        "the next one too",
    ],
)
def test_a_policy_is_chosen_by_its_settings(known, named, expected):
    assert chosen(aggregation(), known, named=named).id == expected


@pytest.mark.parametrize(
    ("is_there", "is_shared", "differing", "is_in_other_state", "action", "fields"),
    [
        (False, True, (), False, Action.CREATED, ()),
        (True, True, (), False, Action.REUSED, ()),
        (True, False, (), False, Action.UNCHANGED, ()),
        (True, False, ("scale", "factor"), False, Action.CONFLICT, ("scale", "factor")),
        (True, True, (), True, Action.CONFLICT, ("state",)),
        (True, True, ("scale",), True, Action.CONFLICT, ("scale", "state")),
    ],
)
def test_what_is_done_with_a_record(
    is_there, is_shared, differing, is_in_other_state, action, fields
):
    step = decide(
        "products/p",
        is_there=is_there,
        is_shared=is_shared,
        differing=differing,
        is_in_other_state=is_in_other_state,
    )

    assert step == SetupStep(name="products/p", action=action, fields=fields)
    assert conflicts([step]) == ((step,) if fields else ())


def test_a_refusal_names_every_record_and_its_fields():
    found = [
        SetupStep(name="unitsOfMeasure/gb", action=Action.CONFLICT, fields=("factor", "scale")),
        SetupStep(name="products/p", action=Action.CONFLICT, fields=("display_name",)),
    ]

    error = refusal(found)

    assert isinstance(error, FailedPrecondition)
    assert error.reason == "SETUP_CONFLICT"
    assert error.message == "unitsOfMeasure/gb is there and differs in factor, scale (and 1 more)"
    assert [(one.field, one.description) for one in error.violations] == [
        ("unitsOfMeasure/gb", "differs in factor, scale"),
        ("products/p", "differs in display_name"),
    ]


def test_a_description_has_at_most_two_hundred_records():
    check_size(200)
    with pytest.raises(InvalidArgument) as caught:
        check_size(201)

    assert (caught.value.reason, caught.value.facts["got"]) == ("TOO_MANY_ITEMS", "201")


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("unit_class.kind", "unit_classes[2].kind"),
        ("unit_class_id", "unit_classes[2].name"),
        ("parent", "unit_classes[2].name"),
        ("unit_class", "unit_classes[2]"),
    ],
)
def test_a_fault_of_one_record_is_placed_in_the_description(field, expected):
    wrong = InvalidArgument.at(field, "RANGE", "is wrong", limit="1")

    error = placed(wrong, "unit_classes[2]")

    assert [one.field for one in error.violations] == [expected]
    assert error.message == f"{expected}: is wrong"
    assert error.facts == {"field": expected, "limit": "1"}


def test_other_refusals_say_where_they_come_from():
    missing = placed(NotFound.of("UnitClass", "unitClasses/x"), "usage_resources[0]")
    text = "refresh_policy.interval: not yet"
    later = Unimplemented("NOT_SUPPORTED", text, {"field": "refresh_policy.interval"})

    assert missing.facts == {"name": "unitClasses/x", "field": "usage_resources[0]"}
    assert placed(later, "grants[0].refresh").message == "grants[0].refresh.interval: not yet"
