"""Standing cells: readings that carry over, and flat amounts that are due without usage."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from server.domain.calendar import PolicyPeriod
from server.domain.consumption.aggregation import combined
from server.domain.consumption.cells import Measure
from server.domain.consumption.gauges import Service
from server.domain.errors import InvalidArgument
from server.domain.modeling.policies import AggregationMethod, AggregationPolicy, OveragePolicy
from server.domain.rating.rates import RateSegment, RateTerms, check_tiers
from server.domain.settlement.standing import standing, with_standing
from server.domain.settlement.walk import WalletTerms
from server.domain.settlement.wallet_states import WalletState, rated, walked
from tests import strategies
from tests.domain.procedure_words import cost, tier
from tests.strategies import ASSET, USD, WALLET, cell

# April has 30 days.
MARCH, APRIL, MAY = strategies.months("UTC", 5)[2:]
WHOLE = AggregationPolicy.usual(AggregationMethod.TIME_WEIGHTED, PolicyPeriod.RATING_PERIOD)
SUM = AggregationPolicy.usual(AggregationMethod.SUM)
FEE = replace(tier(0, 100, "OVERRIDE", 2), flat=Decimal(30), is_flat_due=True)
PLAN = RateTerms(unit=USD, rate=None, tiers=(FEE, tier(100, None, "OVERRIDE", 1)))


def day(number, hour=0, month=4):
    return datetime(2024, month, number, hour, tzinfo=UTC)


def wallet(*cells, policy=WHOLE, period=MAY, **more):
    return WalletState(
        terms=WalletTerms(
            id=WALLET,
            zone="UTC",
            aggregation=policy,
            anchor=date(2024, 1, 1),
            rating=PolicyPeriod.MONTH,
        ),
        grants=(),
        entitlements=(),
        cells=cells,
        period=period,
        **more,
    )


def reading(value, time, period=APRIL, **more):
    start = datetime(time.year, time.month, time.day, tzinfo=UTC)
    one = cell(time.isoformat(), value, start, period=period, **more)
    return replace(one, measure=Measure.of(Decimal(value), time, time.isoformat()))


def test_a_reading_carries_over_until_it_is_zero_or_the_service_ends():
    held = reading(7, day(10))
    gone = [reading(7, day(10), asset=2), reading(0, day(11), asset=2)]
    ended = reading(7, day(10), asset=3)
    services = {
        held.asset_id: Service(1, day(1), None),
        gone[0].asset_id: Service(2, day(1), None),
        ended.asset_id: Service(3, day(1), day(1, month=5)),
    }
    cells = [held, *gone, ended]

    [one] = standing(wallet(*cells, services=services), cells, MAY)

    assert (one.asset_id, one.start, one.measure.last) == (held.asset_id, MAY.start, 7)
    assert combined([one], WHOLE, zone="UTC", services=services) == 7


def test_what_is_not_settled_is_carried_to_the_current_period_once():
    services = {reading(1, day(1)).asset_id: Service(1, day(1, month=3), None)}
    march = reading(4, day(31, month=3), MARCH)

    found = with_standing(wallet(march, services=services))
    again = with_standing(found)

    assert [one.period for one in found.cells] == [MARCH, APRIL, MAY]
    assert {one.id for one in again.cells} == {one.id for one in found.cells}
    # A reading in April is what May begins with.
    changed = with_standing(wallet(march, reading(9, day(2)), services=services))
    assert sorted(one.measure.last for one in changed.cells) == [4, 4, 9, 9]


def sold(terms=PLAN, overage=OveragePolicy.CHARGE, start=None, end=None):
    segment = RateSegment(start=start or day(1, month=1), end=end, terms=terms, overage=overage)
    return {ASSET: (segment,)}


def test_a_flat_amount_is_due_without_usage_in_each_period_of_service():
    services = {ASSET: Service(1, day(16), day(2, month=5))}
    state = wallet(policy=SUM, services=services, rates=sold())

    for period in (APRIL, MAY):
        [one] = standing(state, (), period)
        [line] = rated(state, walked(state, [one], through=period.end).results)
        assert (line.amount, line.used, line.flat_tiers) == (30, 0, (0,))
    # Not before the service, nor after it.
    assert standing(state, (), MARCH) == ()
    assert standing(replace(state, services={ASSET: Service(1, day(1), day(3))}), (), MAY) == ()
    [april] = standing(state, (), APRIL)
    assert april.start == day(16)


@pytest.mark.parametrize(("used", "amount"), [(1, 32), (99, 228), (150, 150)])
def test_it_is_charged_once_with_usage_in_the_tier_and_not_in_another(used, amount):
    state = wallet(policy=SUM, services={ASSET: Service(1, day(1), None)}, rates=sold())
    cells = [*standing(state, (), APRIL), cell("used", used, day(9), period=APRIL)]

    lines = rated(state, walked(state, cells, through=APRIL.end).results)

    assert sum(line.amount for line in lines) == amount


@pytest.mark.parametrize(
    "rates",
    [
        sold(replace(PLAN, tiers=(tier(0, None, "OVERRIDE", 2),))),
        sold(overage=OveragePolicy.FREE),
        sold(None),
    ],
)
def test_nothing_is_due_where_nothing_says_so(rates):
    state = wallet(policy=SUM, services={ASSET: Service(1, day(1), None)}, rates=rates)

    assert standing(state, (), APRIL) == ()


def test_only_the_flat_amount_of_a_first_tier_can_be_due():
    for tiers in (
        (replace(FEE, flat=None),),
        (replace(FEE, lower=Decimal(1)),),
        (tier(0, 5, "OVERRIDE", 1), replace(FEE, lower=Decimal(5))),
    ):
        with pytest.raises(InvalidArgument, match="due without usage"):
            check_tiers(tiers)


def test_a_price_of_nothing_has_the_flat_amount_and_says_so():
    found = cost(0, PLAN)

    assert (found.amount, found.net_unit_rate) == (30, 0)
    assert found.steps[-1].inputs == {"quantity": "0", "flat_amounts": "30"}
