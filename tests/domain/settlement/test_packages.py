"""Packages: each that is begun is charged once, at the rate of the units that began it."""

from collections import defaultdict
from dataclasses import replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from server.domain.consumption.aggregation import increments
from server.domain.consumption.dimensions import dimensions_text
from server.domain.modeling.policies import OveragePolicy
from server.domain.rating.rates import AttributeRow, Rate, RateTerms, Tier
from server.domain.settlement.ratable_lines import ratable_lines
from server.domain.settlement.walk import settle
from tests.domain.procedure_words import by, tier
from tests.domain.settlement.summary_words import (
    HALF,
    JANUARY,
    TERMS,
    amounts,
    day,
    halves,
    lines,
    results,
    used,
    whole,
)
from tests.strategies import USD, WALLET, cell, grant, terms


def package(value: object, per: int = 100, **more: object) -> RateTerms:
    rate = Rate(value=Decimal(str(value)), per=Decimal(per), unit=USD, is_package=True)
    return RateTerms(unit=USD, rate=rate, **more)


def test_usage_goes_on_in_packages_of_its_own_rate_only():
    """50 at ten each began none; 40 began one, which 60 more fill and 1 more does not."""
    rates = halves(terms("10"), package(300))
    own = [used(50, 5), used(40, 20)]

    found = [lines([*own, *more], rates) for more in ([], [used(60, 21)], [used(61, 21)])]

    assert [amounts(one) for one in found] == [[500, 300], [500, 300], [500, 600]]
    assert [one[1].steps[-1].inputs["packages"] for one in found] == ["1", "1", "2"]


def test_labels_go_on_in_the_package_that_others_began():
    """50 without a label began a package of 300 that 40 of the US go on in."""
    [_, us] = lines([used(50, 5), used(40, 6, region="us")], whole(package(300)))

    assert us.amount == 0
    told = us.steps[-1]
    assert (told.inputs["packages"], told.inputs["units_before"]) == ("0", "50")
    assert told.note == "units go on in a package that others before them began"


def test_rating_usage_again_finds_the_packages_as_they_were():
    """90 began a package, of which 10 are left: 10 more fill it, however often it is rated."""
    settled = results([used(90, 5), used(10, 21)])

    asked = [
        amounts(ratable_lines(WALLET, settled, halves(package(300), package("300.00"))))
        for _ in range(3)
    ]

    assert asked == [[300, 0]] * 3


def test_what_costs_another_rate_in_a_region_begins_packages_of_its_own():
    row = AttributeRow(attributes=(("region", "eu"),), adjustment=by("OVERRIDE", 500))
    cells = [used(40, 5, region="eu"), used(40, 6, region="us"), used(40, 7), used(40, 8)]

    found = lines(cells, whole(package(300, adjustments=(row,))))

    assert [(line.key.dimensions, line.amount) for line in found] == [
        ("", 300),
        ('{"region":"eu"}', 500),
        ('{"region":"us"}', 300),  # the last twenty of forty begin a second package of 300
    ]


def test_a_package_goes_on_where_new_terms_charge_the_same():
    found = lines([used(50, 5), used(40, 20)], halves(package(300), package("300.00")))

    assert amounts(found) == [300, 0]


def test_what_was_free_began_no_package_that_others_could_use():
    rates = halves(package(300), package(300), overage=OveragePolicy.FREE)

    assert amounts(lines([used(50, 5), used(40, 20)], rates)) == [0, 300]


def test_usage_that_another_tier_charges_begins_packages_of_that():
    """With the 101st unit all are charged by the other tier: 400 for one package, not 500."""
    tiers = (tier(0, 101, "OVERRIDE", 500), tier(101, None, "OVERRIDE", 400))
    rates = whole(package(500, 500, tiers=tiers))

    assert amounts(lines([used(100, 5)], rates)) == [500]
    assert amounts(lines([used(100, 5), used(1, 6)], rates)) == [400]


def test_overage_is_in_the_tier_of_a_commitment_that_all_usage_is_in():
    """100 granted and 10 beyond are 110 used: with one more the tier from 111 on holds."""
    discounts = (
        Tier(lower=Decimal(0), upper=Decimal(111), adjustment=by("PERCENTAGE", 10)),
        Tier(lower=Decimal(111), upper=None, adjustment=by("PERCENTAGE", 50)),
    )
    committed = replace(terms("10", tiers=discounts), rate=None)
    rates = whole(replace(terms("10"), committed=(committed,)))
    included = grant("g", 100, day(1, 1), day(2, 1))

    assert amounts(lines([used(110, 5)], rates, included)) == [90]
    assert amounts(lines([used(110, 5), used(1, 6)], rates, included)) == [55]


REGIONS = {"": 300, "eu": 500, "us": 300}
acts = st.lists(
    st.tuples(
        st.integers(1, 28),
        st.integers(1, 150),
        st.sampled_from(sorted(REGIONS)),
    ),
    max_size=8,
    unique_by=lambda act: act[0],
)


@given(acts, st.sampled_from([7, 100]), st.booleans())
@settings(max_examples=100)
def test_each_package_that_is_begun_is_charged_once(acts, per, is_free):
    row = AttributeRow(attributes=(("region", "eu"),), adjustment=by("OVERRIDE", 500))
    price = package(300, per, adjustments=(row,))
    policy = OveragePolicy.FREE if is_free else OveragePolicy.CHARGE
    rates = halves(price, replace(price, base_entry="base/later"), overage=policy)
    cells = [
        replace(
            cell(on, quantity, day(1, on), period=JANUARY),
            dimensions=dimensions_text(("region",), {"region": region} if region else None),
        )
        for on, quantity, region in acts
    ]

    settled = settle(
        TERMS, (), (), increments(cells, TERMS.aggregation, zone="UTC"), through=JANUARY.end
    ).results
    together = ratable_lines(WALLET, settled, rates)

    units = defaultdict(int)
    for on, quantity, region in acts:
        if on >= HALF.day or not is_free:
            units[REGIONS[region]] += quantity
    assert sum(amounts(together)) == sum(-(-n // per) * price for price, n in units.items())
