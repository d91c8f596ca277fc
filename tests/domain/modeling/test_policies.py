"""The order of periods: billing, then rating, then accumulation."""

import pytest

from server.domain.calendar import Cadence, CadenceUnit, PolicyPeriod
from server.domain.errors import FailedPrecondition
from server.domain.modeling.policies import (
    AggregationMethod,
    Combination,
    OveragePolicy,
    check_method,
    check_period_order,
    usual_combination,
)

MONTH, QUARTER = Cadence(CadenceUnit.MONTH), Cadence(CadenceUnit.QUARTER)
WEEK = Cadence(CadenceUnit.WEEK)
YEAR = Cadence(CadenceUnit.YEAR)
DAILY, MONTHLY = PolicyPeriod.DAY, PolicyPeriod.MONTH
WEEKLY, QUARTERLY, YEARLY = PolicyPeriod.WEEK, PolicyPeriod.QUARTER, PolicyPeriod.YEAR


@pytest.mark.parametrize(
    ("billing", "rating", "accumulation"),
    [
        (MONTH, MONTHLY, DAILY),
        (MONTH, DAILY, DAILY),
        (WEEK, DAILY, DAILY),
        (QUARTER, MONTHLY, MONTHLY),
        (QUARTER, QUARTERLY, MONTHLY),
        (YEAR, QUARTERLY, QUARTERLY),
        (Cadence(CadenceUnit.MONTH, 24), YEARLY, YEARLY),
        (MONTH, WEEKLY, DAILY),
        (MONTH, WEEKLY, WEEKLY),
        (WEEK, WEEKLY, DAILY),
        (Cadence(CadenceUnit.WEEK, 2), WEEKLY, WEEKLY),
    ],
)
def test_periods_that_hold_each_other_are_allowed(billing, rating, accumulation):
    check_period_order(billing=billing, rating=rating, accumulation=accumulation)


@pytest.mark.parametrize(
    ("billing", "rating", "accumulation"),
    [
        (MONTH, MONTHLY, MONTHLY),
        (MONTH, QUARTERLY, DAILY),
        (QUARTER, QUARTERLY, QUARTERLY),
        (YEAR, YEARLY, YEARLY),
        (MONTH, DAILY, MONTHLY),
        (WEEK, WEEKLY, WEEKLY),
        (WEEK, DAILY, WEEKLY),
        (WEEK, MONTHLY, DAILY),
        (WEEK, QUARTERLY, DAILY),
        (Cadence(CadenceUnit.DAY, 60), MONTHLY, DAILY),
    ],
)
def test_periods_out_of_order_are_refused(billing, rating, accumulation):
    with pytest.raises(FailedPrecondition) as refusal:
        check_period_order(billing=billing, rating=rating, accumulation=accumulation)

    assert refusal.value.reason == "PERIOD_ORDER"


def test_every_method_has_a_usual_combination():
    found = {method: usual_combination(method) for method in AggregationMethod}

    assert found.pop(AggregationMethod.PEAK) is Combination.HIGHEST
    assert set(found.values()) == {Combination.TOTAL}


@pytest.mark.parametrize("method", list(AggregationMethod))
def test_only_what_is_known_at_the_end_of_its_window_cannot_be_refused_at_a_cap(method):
    for overage in OveragePolicy:
        if (method, overage) == (AggregationMethod.TIME_WEIGHTED, OveragePolicy.BLOCK):
            with pytest.raises(FailedPrecondition, match="only at the end"):
                check_method(method, overage)
        else:
            check_method(method, overage)


def test_a_window_is_no_longer_than_the_rating_period():
    for accumulation in (PolicyPeriod.HOUR, PolicyPeriod.DAY, PolicyPeriod.WEEK):
        check_period_order(
            billing=Cadence(CadenceUnit.MONTH), rating=MONTHLY, accumulation=accumulation
        )
    for accumulation in (PolicyPeriod.QUARTER, PolicyPeriod.YEAR):
        with pytest.raises(FailedPrecondition, match="cannot hold"):
            check_period_order(
                billing=Cadence(CadenceUnit.YEAR), rating=MONTHLY, accumulation=accumulation
            )
