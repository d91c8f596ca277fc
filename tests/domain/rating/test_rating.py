"""Rates, tiers, and what a quantity costs."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.errors import InvalidArgument
from server.domain.exact import round_to
from server.domain.modeling.policies import OveragePolicy
from server.domain.rating.line_rating import Element, RatingFailed
from server.domain.rating.rates import (
    Adjustment,
    AdjustmentKind,
    Rate,
    RateTerms,
    Tier,
    TierBounds,
    TierMode,
    check_tiers,
    close_gaps,
    pick,
)
from tests import strategies
from tests.domain.procedure_words import cost
from tests.strategies import USD, terms

LAST_PLACE = Decimal("1e-22")


def tier(lower, upper, kind, value):
    adjustment = Adjustment(kind=AdjustmentKind(kind), value=Decimal(value))
    upper = None if upper is None else Decimal(upper)
    return Tier(lower=Decimal(lower), upper=upper, adjustment=adjustment)


def after(before, quantity, price):
    """Return the cost of some units after others of the same period."""
    packages = {}
    cost(Decimal(before), price, packages=packages)
    return cost(Decimal(quantity), price, before=Decimal(before), packages=packages)


CPU = RateTerms(
    unit=USD,
    rate=None,
    tiers=(
        tier(1, 1000, "OVERRIDE", "0.0033"),
        tier(1000, 3000, "OVERRIDE", "0.0037"),
        tier(3000, 6000, "OVERRIDE", "0.0041"),
        tier(6000, None, "OVERRIDE", "0.0049"),
    ),
)
STORAGE = replace(
    CPU, tiers=(tier(10, 25, "OVERRIDE", "10.17"), tier(25, 100, "OVERRIDE", "12.21"))
)
STEPPED = (tier(0, 10, "PERCENTAGE", 0), tier(10, 60, "PERCENTAGE", 10))
STEPPED = (*STEPPED, tier(60, 100, "PERCENTAGE", 20))


@pytest.mark.parametrize(
    ("quantity", "price", "amount"),
    [
        (500, "0.75", "375"),
        (100, "1.25", "125"),
        (2, "10", "20"),
    ],
)
def test_overage_costs_its_rate(quantity, price, amount):
    assert cost(quantity, terms(price)).amount == Decimal(amount)


@pytest.mark.parametrize(
    ("quantity", "before", "amount"),
    [
        ("100", "0", "5"),
        ("101", "0", "10"),
        ("0.5", "0", "5"),
        ("50", "150", "0"),
        ("60", "150", "5"),
    ],
)
def test_every_package_that_is_started_costs_its_price(quantity, before, amount):
    by_hundred = RateTerms(
        unit=USD, rate=Rate(value=Decimal(5), per=Decimal(100), unit=USD, is_package=True)
    )

    assert after(before, quantity, by_hundred).amount == Decimal(amount)


@pytest.mark.parametrize(
    ("quantity", "before", "amount"),
    [
        ("57", "0", "90"),  # nine started sevens at 10
        ("58", "0", "120"),  # the 58th starts a package at the rate itself
        ("64", "0", "120"),
        ("65", "0", "150"),
        ("6", "58", "0"),  # a line that goes on in a package that was started
        ("7", "58", "30"),
    ],
)
def test_packages_beyond_the_last_tier_are_counted_from_its_end(quantity, before, amount):
    by_seven = RateTerms(
        unit=USD,
        rate=Rate(value=Decimal(30), per=Decimal(7), unit=USD, is_package=True),
        tiers=(tier(0, 57, "OVERRIDE", 10),),
        per=Decimal(7),
        mode=TierMode.GRADUATED,
    )

    assert after(before, quantity, by_seven).amount == Decimal(amount)


@pytest.mark.parametrize("mode", TierMode)
def test_no_adjustment_pays_for_usage(mode):
    lowered = replace(terms("1", tiers=(tier(0, None, "AMOUNT", "-3"),)), mode=mode)
    committed = replace(terms("1"), committed=(replace(lowered, rate=None),))

    for price in (lowered, committed):
        with pytest.raises(RatingFailed, match="nobody is paid") as refusal:
            cost(10, price)
        assert refusal.value.reason == "RATE_NEGATIVE"


@pytest.mark.parametrize(("quantity", "is_kept"), [(2**63 - 1, True), (2**63, False)])
def test_an_amount_is_what_money_can_say(quantity, is_kept):
    if is_kept:
        assert cost(quantity, terms("1")).amount == quantity
        return
    with pytest.raises(RatingFailed, match="must be below 9223372036854775808") as refusal:
        cost(quantity, terms("1"))
    assert refusal.value.reason == "AMOUNT_RANGE"
    assert [step.element for step in refusal.value.steps] == [Element.BASE_RATE]


def test_free_overage_is_counted_at_nothing_and_says_so():
    rated = cost(500, terms("0.75"), overage=OveragePolicy.FREE)

    assert rated.amount == 0
    assert [step.element for step in rated.steps] == [
        Element.OVERAGE_POLICY,
        Element.AMOUNT,
    ]


def test_each_slice_is_priced_by_its_own_tier():
    price = terms("0.50", tiers=STEPPED, mode=TierMode.GRADUATED)

    rated = cost(100, replace(price, bounds=TierBounds.UPPER_INCLUSIVE))

    slices = [s.outputs["amount"] for s in rated.steps if s.element is Element.GRADUATED_TIER]
    assert slices == ["5", "22.5", "16"]
    assert rated.amount == Decimal("43.5")
    assert rated.net_unit_rate == Decimal("0.435")


def test_one_tier_prices_the_whole_volume():
    assert cost(5000, CPU).amount == Decimal("20.50")
    assert cost(40, STORAGE).amount == Decimal("488.40")


def test_a_signed_amount_is_added_to_the_negotiated_rate():
    tiers = tuple(tier(50 * k, 50 * k + 50, "AMOUNT", 5 * k + 5) for k in range(3))
    price = terms("12", tiers=tiers, negotiated_rate=Rate(value=Decimal(10), unit=USD))

    rated = cost(75, price)

    assert (rated.net_unit_rate, rated.amount) == (20, 1500)
    assert [step.element for step in rated.steps] == [
        Element.BASE_RATE,
        Element.NEGOTIATED_RATE,
        Element.VOLUME_TIER,
        Element.AMOUNT,
    ]
    assert [step.sequence for step in rated.steps] == [1, 2, 3, 4]


def test_negotiated_tiers_replace_those_of_the_catalog():
    price = terms("10", tiers=(tier(0, None, "PERCENTAGE", 50),), negotiated_tiers=())

    assert cost(3, price).amount == 30


def test_a_rate_for_a_thousand_is_divided_last():
    price = RateTerms(unit=USD, rate=Rate(value=Decimal(1), per=Decimal(3), unit=USD))

    assert cost(3, price).amount == 1
    assert cost(1, price).amount == Decimal("0." + "3" * 24)


def test_outside_every_tier_the_rate_itself_applies_and_a_step_says_so():
    price = terms("2", tiers=(tier(10, 20, "OVERRIDE", 1),))

    rated = cost(5, price)
    graduated = cost(25, replace(price, mode=TierMode.GRADUATED))

    assert rated.amount == 10
    assert "outside every tier" in rated.steps[1].note
    assert graduated.amount == 10 * 2 + 10 * 1 + 5 * 2


@pytest.mark.parametrize("mode", TierMode)
def test_outside_every_tier_and_without_a_rate_nothing_is_priced(mode):
    with pytest.raises(RatingFailed) as refusal:
        cost(200, replace(STORAGE, mode=mode))

    assert refusal.value.reason == "NO_TIER_FOR_QUANTITY"


@pytest.mark.parametrize(
    ("price", "quantity", "reason"),
    [
        (None, "1", "RATE_NOT_FOUND"),
        (replace(CPU, tiers=()), "1", "RATE_NOT_FOUND"),
        (replace(CPU, tiers=(tier(0, None, "PERCENTAGE", 10),)), "1", "RATE_NOT_FOUND"),
        (
            terms("9" * 26 + "." + "9" * 12, tiers=(tier(0, None, "PERCENTAGE", "0.01"),)),
            "9" * 26 + "." + "9" * 12,
            "AMOUNT_RANGE",
        ),
    ],
)
def test_what_cannot_be_priced_is_refused_and_never_zero(price, quantity, reason):
    with pytest.raises(RatingFailed) as refusal:
        cost(quantity, price)

    assert refusal.value.reason == reason


def test_nothing_costs_nothing_even_without_a_rate():
    rated = cost(0, None)

    assert rated.amount == 0
    assert rated.steps[-1].note == "nothing to charge"


@given(strategies.tier_sets(), strategies.bounds, strategies.quantities(120, 0))
def test_at_most_one_tier_holds_a_quantity(tiers, bounds, quantity):
    holding = [one for one in tiers if pick((one,), bounds, quantity)]

    assert len(holding) <= 1
    assert pick(tiers, bounds, quantity) == (holding[0] if holding else None)


@pytest.mark.parametrize(("bounds", "price"), [("LOWER_INCLUSIVE", 2), ("UPPER_INCLUSIVE", 1)])
def test_a_quantity_on_a_seam_belongs_to_the_tier_its_bounds_say(bounds, price):
    tiers = (tier(0, 10, "OVERRIDE", 1), tier(10, None, "OVERRIDE", 2))

    holding = [one for one in tiers if pick((one,), TierBounds(bounds), Decimal(10))]

    assert [one.adjustment.value for one in holding] == [price]


@given(strategies.tier_sets(is_whole=True), strategies.quantities(400))
def test_whole_tiers_hold_every_quantity(tiers, quantity):
    check_tiers(tiers)

    assert pick(tiers, TierBounds.LOWER_INCLUSIVE, quantity)
    assert pick(tiers, TierBounds.UPPER_INCLUSIVE, quantity + 1)


@given(strategies.tier_sets(), strategies.quantities(200), strategies.quantities(200))
def test_graduated_parts_cost_what_the_whole_costs(tiers, first, second):
    price = terms("1.25", tiers=tiers, mode=TierMode.GRADUATED)

    whole = cost(first + second, price)
    parts = cost(first, price).amount + cost(second, price, before=first).amount

    assert abs(parts - whole.amount) < LAST_PLACE


@given(strategies.tier_sets(), strategies.quantities(200), strategies.quantities(200))
def test_volume_parts_cost_what_the_whole_costs(tiers, first, second):
    price, whole = terms("1.25", tiers=tiers), first + second

    parts = [cost(part, price, whole=whole).amount for part in (first, second)]

    assert abs(sum(parts) - cost(whole, price).amount) < LAST_PLACE


@given(strategies.tier_sets(), strategies.quantities(400), st.sampled_from(TierMode))
def test_the_amount_has_at_most_24_places_and_its_steps_are_numbered(tiers, quantity, mode):
    rated = cost(quantity, terms("0.000000000007", tiers=tiers, mode=mode))

    assert round_to(rated.amount, 24) == rated.amount
    assert [step.sequence for step in rated.steps] == list(range(1, len(rated.steps) + 1))


@pytest.mark.parametrize(
    ("bounds", "index"),
    [
        ([(0, 10), (9, 20)], 1),
        ([(0, 10), (11, 20)], 1),
        ([(0, 10), (10, 20), (20, 20)], 2),
        ([(5, 1)], 0),
        ([(0, None), (10, None)], 1),
        ([(10, 20), (0, 10)], 1),
        ([(-1, 10)], 0),
    ],
)
def test_tiers_that_do_not_continue_each_other_are_refused_by_index(bounds, index):
    tiers = tuple(tier(lower, upper, "OVERRIDE", 1) for lower, upper in bounds)

    with pytest.raises(InvalidArgument) as refusal:
        check_tiers(tiers)

    assert refusal.value.reason == "TIERS_INVALID"
    assert refusal.value.facts["index"] == str(index)


def test_tiers_written_with_both_ends_inside_close_one_step_only():
    written = tuple(tier(a, b, "OVERRIDE", 1) for a, b in ((0, 10), (11, 60), (61, 100)))
    gapped = tuple(tier(a, b, "OVERRIDE", 1) for a, b in ((0, 10), (12, 60)))

    assert [(t.lower, t.upper) for t in close_gaps(written, scale=0)] == [
        (0, 10),
        (10, 60),
        (60, 100),
    ]
    with pytest.raises(InvalidArgument):
        check_tiers(close_gaps(written, scale=2))
    with pytest.raises(InvalidArgument):
        check_tiers(close_gaps(gapped, scale=0))
