"""The order of periods: billing, then rating, then accumulation."""

import pytest

from server.domain.calendar import Cadence, CadenceUnit, PolicyPeriod
from server.domain.errors import FailedPrecondition
from server.domain.policies import (
    AggregationMethod,
    AggregationPolicy,
    Combination,
    check_period_order,
    usual_combination,
)

MONTH, QUARTER = Cadence(CadenceUnit.MONTH), Cadence(CadenceUnit.QUARTER)
WEEK = Cadence(CadenceUnit.WEEK)
DAILY, MONTHLY = PolicyPeriod.DAILY, PolicyPeriod.MONTHLY


@pytest.mark.parametrize(
    ("billing", "rating", "accumulation"),
    [
        (MONTH, MONTHLY, DAILY),
        (MONTH, DAILY, DAILY),
        (WEEK, DAILY, DAILY),
        (QUARTER, MONTHLY, MONTHLY),
    ],
)
def test_periods_that_hold_each_other_are_allowed(billing, rating, accumulation):
    check_period_order(billing=billing, rating=rating, accumulation=accumulation)


@pytest.mark.parametrize(
    ("billing", "rating", "accumulation"),
    [
        (MONTH, MONTHLY, MONTHLY),
        (MONTH, DAILY, MONTHLY),
        (WEEK, MONTHLY, DAILY),
        (Cadence(CadenceUnit.DAY, 60), MONTHLY, DAILY),
    ],
)
def test_periods_out_of_order_are_refused(billing, rating, accumulation):
    with pytest.raises(FailedPrecondition) as refusal:
        check_period_order(billing=billing, rating=rating, accumulation=accumulation)

    assert refusal.value.reason == "PERIOD_ORDER"


def test_every_method_has_a_usual_combination():
    assert {method: usual_combination(method) for method in AggregationMethod} == {
        AggregationMethod.SUM: Combination.SUM,
        AggregationMethod.PEAK: Combination.MAX,
    }
    assert AggregationPolicy.usual(AggregationMethod.PEAK).combine is Combination.MAX
