"""The parts of the catalog's rate that a negotiated rate or negotiated tiers keep."""

from dataclasses import replace
from decimal import Decimal

import pytest

from server.domain.calendar import PolicyPeriod
from server.domain.errors import UsageError
from server.domain.ids import ResourceId, UnitId
from server.domain.modeling.policies import (
    AggregationMethod,
    AggregationPolicy,
    Combination,
    LatePolicy,
    OveragePolicy,
    RatingFrequency,
)
from server.domain.modeling.sold_policies import SoldPolicies, WalletPolicies
from server.domain.rating.rates import Rate, RateParts, RateTerms, Tier, TierBounds, TierMode
from server.domain.selling.negotiation import Negotiated, check_negotiated, negotiate
from server.domain.selling.sales import LineResource
from tests.domain.procedure_words import tier
from tests.strategies import USD

CALLS = ResourceId("calls")
CREDIT = UnitId("credit")
PACKAGE = Rate(value=Decimal(300), per=Decimal(100), unit=USD, is_package=True)
LISTED = RateTerms(
    unit=USD,
    rate=PACKAGE,
    tiers=(tier(0, None, "PERCENTAGE", 50),),
    bounds=TierBounds.UPPER_INCLUSIVE,
    mode=TierMode.GRADUATED,
)
TIERS_ONLY = replace(LISTED, rate=None, per=Decimal(10), tiers=(tier(0, None, "OVERRIDE", 5),))
STEPS = (tier(0, 10, "OVERRIDE", 6), tier(11, None, "OVERRIDE", 3))
CLOSED = (tier(0, 10, "OVERRIDE", 6), tier(10, None, "OVERRIDE", 3))
POLICIES = SoldPolicies(
    wallet=WalletPolicies(
        unit_id=UnitId("call"),
        aggregation=AggregationPolicy(
            method=AggregationMethod.SUM, period=PolicyPeriod.DAY, combine=Combination.TOTAL
        ),
        rating=RatingFrequency(period=PolicyPeriod.MONTH),
        late=LatePolicy.NEXT_PERIOD,
    ),
    overage=OveragePolicy.CHARGE,
)
BOTH = (TierBounds.UPPER_INCLUSIVE, TierMode.GRADUATED)


def parts(value: object, **named: object) -> RateParts:
    return RateParts(value=Decimal(str(value)), **named)


def wish(
    rate: RateParts | None = None, tiers: tuple[Tier, ...] | None = None, **named: object
) -> Negotiated:
    return Negotiated(resource_id=CALLS, rate=rate, tiers=tiers, **named)


def sold(terms: RateTerms) -> LineResource:
    return LineResource(resource_id=CALLS, unit_scale=0, policies=POLICIES, terms=terms)


def agreed(terms: RateTerms, said: Negotiated) -> RateTerms:
    found = negotiate(sold(terms), said).terms
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("named", "changed"),
    [
        ({}, {}),
        ({"per": Decimal(50)}, {"per": Decimal(50)}),
        ({"is_package": False}, {"is_package": False}),
        ({"is_package": True, "unit": USD}, {}),
    ],
)
def test_a_rate_keeps_the_parts_that_were_not_named(named, changed):
    found = agreed(LISTED, wish(parts(250, **named)))

    assert found.negotiated_rate == replace(PACKAGE, value=Decimal(250), **changed)
    assert (found.rate, found.negotiated_tiers) == (PACKAGE, None)
    assert (found.bounds, found.mode) == BOTH


def test_a_rate_where_there_are_only_tiers_is_for_the_units_of_these():
    found = agreed(TIERS_ONLY, wish(parts(4)))

    assert found.negotiated_rate == Rate(value=Decimal(4), per=Decimal(10), unit=USD)


def test_a_rate_is_in_the_token_of_the_catalog():
    found = agreed(RateTerms(unit=CREDIT, rate=Rate(value=Decimal(5), unit=CREDIT)), wish(parts(4)))

    assert found.negotiated_rate == Rate(value=Decimal(4), unit=CREDIT)


@pytest.mark.parametrize(
    ("named", "bounds", "mode", "tiers"),
    [
        ({}, *BOTH, CLOSED),
        ({"mode": TierMode.VOLUME}, TierBounds.UPPER_INCLUSIVE, TierMode.VOLUME, CLOSED),
        (
            {"bounds": TierBounds.LOWER_INCLUSIVE},
            TierBounds.LOWER_INCLUSIVE,
            TierMode.GRADUATED,
            STEPS,
        ),
    ],
)
def test_tiers_keep_the_bounds_and_the_mode_that_were_not_named(named, bounds, mode, tiers):
    found = agreed(LISTED, wish(None, STEPS, **named))

    assert (found.bounds, found.mode, found.negotiated_tiers) == (bounds, mode, tiers)
    assert found.negotiated_rate is None


def test_no_tiers_leave_the_rate_alone():
    found = agreed(LISTED, wish(None, ()))

    assert (found.effective_rate, found.effective_tiers) == (PACKAGE, ())


@pytest.mark.parametrize(
    ("terms", "said", "reason", "field"),
    [
        (TIERS_ONLY, wish(None, ()), "RATE_NOT_FOUND", "clear_tiers"),
        (LISTED, wish(parts(1, unit=CREDIT)), "CURRENCY_MISMATCH", "rate.currency_code"),
        (
            LISTED,
            wish(None, STEPS, bounds=TierBounds.LOWER_INCLUSIVE),
            "TIERS_INVALID",
            "tiers.tiers[1]",
        ),
    ],
)
def test_what_leaves_no_rate_or_does_not_fit_is_refused(terms, said, reason, field):
    with pytest.raises(UsageError) as caught:
        check_negotiated((said,), {CALLS: sold(terms)}, currency_code=USD, path="line")

    assert caught.value.reason == reason
    assert caught.value.facts["field"] == f"line.negotiated_rates[0].{field}"


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        (LISTED, wish(None, ())),
        (TIERS_ONLY, wish(parts(4), ())),
        (LISTED, wish(parts(4), STEPS)),
        (TIERS_ONLY, wish(None, STEPS)),
    ],
)
def test_what_leaves_a_rate_is_not_refused(terms, said):
    check_negotiated((said,), {CALLS: sold(terms)}, currency_code=USD, path="line")
