"""Flat amounts and package sizes of tiers: once for an asset and rating period, in full."""

from collections import defaultdict
from dataclasses import replace
from decimal import Decimal
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.domain.calendar import Period
from server.domain.consumption.cells import Cell
from server.domain.ids import CellId, derive
from server.domain.modeling.policies import OveragePolicy
from server.domain.rating.procedures.elements import BaseRate, GraduatedTiers, VolumeTiers
from server.domain.rating.rates import RateTerms, Tier, TierMode, pick
from tests.domain.procedure_words import cost, line, run, tier
from tests.domain.settlement.summary_words import (
    FEBRUARY,
    JANUARY,
    MARCH,
    amounts,
    halves,
    lines,
    used,
    whole,
)
from tests.strategies import USD, cell, terms


def flat(lower: int, upper: int | None, value: object, **more: object) -> Tier:
    """A tier that overrides, with a flat amount, a package size or neither."""
    parts = {name: Decimal(str(part)) for name, part in more.items()}
    return replace(tier(lower, upper, "OVERRIDE", value), **parts)


PLAN = (flat(0, 100, 1, flat=20), flat(100, 1000, "0.50", flat=30), flat(1000, None, "0.10"))


def graduated(*tiers: Tier, **more: object) -> RateTerms:
    return RateTerms(unit=USD, rate=None, tiers=tiers, mode=TierMode.GRADUATED, **more)


def volume(*tiers: Tier, **more: object) -> RateTerms:
    return RateTerms(unit=USD, rate=None, tiers=tiers, **more)


@pytest.mark.parametrize(
    ("quantity", "graduated_cost", "volume_cost"),
    [
        # Each tier entered: 20 + 60; 20 + 30 + 100 + 25. The tier picked: 20 + 60; 30 + 75.
        ("60", "80", "80"),
        ("100", "120", "80"),
        ("150", "175", "105"),
        ("1000", "600", "100"),
        ("1200", "620", "120"),
    ],
)
def test_a_flat_amount_is_added_to_what_the_units_cost(quantity, graduated_cost, volume_cost):
    assert cost(quantity, graduated(*PLAN)).amount == Decimal(graduated_cost)
    assert cost(quantity, volume(*PLAN)).amount == Decimal(volume_cost)


def test_the_waterfall_tells_the_number_the_units_and_the_amount_of_each_tier():
    found = cost(150, graduated(*PLAN))

    *tiers, amount = found.steps
    assert [
        (step.inputs["tier"], step.inputs["quantity"], step.outputs["amount"]) for step in tiers
    ] == [("1", "100", "100"), ("2", "50", "25")]
    assert [step.inputs["flat_amount"] for step in tiers] == ["20", "30"]
    assert amount.inputs == {
        "quantity": "150",
        "parts": "100 + 25",
        "tiers": "1 + 2",
        "quantities": "100 + 50",
        "flat_amounts": "20 + 30",
    }
    assert amount.outputs == {"amount": "175", "net_unit_rate": "1.166666666667", "unit": "USD"}


def test_a_tier_has_packages_of_its_own_size():
    """250 are one package of 100 at 9, and two of 80 at 5 for the other 150: 9 + 10 + 7 flat."""
    tiers = (flat(0, 100, 9, package=100), flat(100, None, 5, package=80, flat=7))

    found = cost(250, graduated(*tiers))

    assert found.amount == 26
    assert found.steps[-1].inputs["packages"] == "1 + 2"
    assert cost(250, volume(*tiers)).amount == 4 * 5 + 7


def test_packages_of_the_base_rate_apply_where_a_tier_names_no_size():
    base = replace(terms("300").rate, per=Decimal(100), is_package=True)
    tiers = (tier(0, 200, "PERCENTAGE", 10), flat(200, None, 5, package=10))
    price = RateTerms(unit=USD, rate=base, tiers=tiers, mode=TierMode.GRADUATED)

    assert cost(215, price).amount == 2 * 270 + 2 * 5


def test_a_negative_percentage_is_a_surcharge():
    price = replace(terms("2"), tiers=(tier(0, None, "PERCENTAGE", -25),))

    assert cost(10, price).amount == 25


def test_the_first_line_that_enters_is_charged_and_no_other():
    """Regions share the tiers: 60 and 60 enter the first once and the second with 20."""
    cells = [used(60, 5, region="eu"), used(60, 6, region="us")]

    found = lines(cells, whole(graduated(*PLAN)))

    assert amounts(found) == [60 + 20, 40 + 10 + 30]
    assert amounts(lines(cells, whole(volume(*PLAN)))) == [30 + 30, 30]


def test_more_usage_is_charged_for_the_tiers_that_it_is_first_to_enter():
    rates = whole(graduated(*PLAN))

    own = lines([used(90, 5)], rates)
    more = lines([used(90, 5), used(20, 6)], rates)

    assert (amounts(own), amounts(more)) == ([90 + 20], [100 + 20 + 5 + 30])
    assert [line.flat_tiers for line in (*own, *more)] == [(0,), (0, 100)]


def test_a_volume_that_more_usage_takes_to_another_tier_charges_the_flat_amount_of_that_only():
    rates = whole(volume(*PLAN))

    assert amounts(lines([used(90, 5)], rates)) == [90 + 20]
    assert amounts(lines([used(90, 5), used(20, 6)], rates)) == [55 + 30]
    [_, second] = lines([used(90, 5, region="eu"), used(20, 6, region="us")], rates)
    assert second.amount == 10
    told = "a flat amount was charged with other units of the rating period"
    assert second.steps[-1].note == told


def test_new_terms_charge_a_tier_only_if_nobody_was_charged_for_it():
    dear = graduated(*(replace(one, flat=Decimal(99)) for one in PLAN))

    assert amounts(lines([used(50, 5), used(10, 20)], halves(graduated(*PLAN), dear))) == [70, 10]
    assert amounts(lines([used(50, 5), used(10, 20)], halves(terms("1"), dear))) == [50, 109]


def test_usage_that_is_free_or_cannot_be_priced_leaves_the_flat_amount_to_others():
    price = graduated(*PLAN)
    free = halves(price, price, overage=OveragePolicy.FREE)
    unknown = halves(graduated(tier(500, None, "OVERRIDE", 1)), price)

    assert amounts(lines([used(50, 5), used(10, 20)], free)) == [0, 30]
    assert amounts(lines([used(50, 5), used(10, 20)], unknown)) == [None, 30]


def test_usage_that_grants_pay_for_costs_no_flat_amount():
    [found] = lines([used(0, 5)], whole(graduated(*PLAN)))

    assert (found.amount, found.flat_tiers) == (0, ())


def test_a_period_and_an_asset_of_their_own_are_charged_their_own():
    february = cell((5, "own"), 10, FEBRUARY.start, period=FEBRUARY)

    assert amounts(lines([used(10, 5), february], whole(graduated(*PLAN)))) == [30, 30]


@pytest.mark.parametrize(
    ("elements", "price"),
    [
        ((BaseRate(), GraduatedTiers()), graduated(*PLAN)),
        ((BaseRate(), VolumeTiers()), volume(*PLAN)),
    ],
)
def test_a_procedure_of_the_tenant_charges_what_the_shipped_one_does(elements, price):
    shared: set[Decimal] = set()
    both = [line(60, price, tier_quantity=120, flat_tiers=shared) for _ in range(2)]
    both[1] = replace(both[1], before=Decimal(60))

    found = [outcome.amount for outcome in run(elements, *both)]

    assert found == amounts(
        lines([used(60, 5, region="eu"), used(60, 6, region="us")], whole(price))
    )


acts = st.lists(
    st.tuples(
        st.integers(1, 28),
        st.integers(1, 150),
        st.sampled_from(["", "eu", "us"]),
        st.sampled_from([JANUARY, FEBRUARY, MARCH]),
    ),
    min_size=1,
    max_size=8,
)
flats = st.one_of(st.none(), st.integers(1, 50).map(Decimal))
sizes = st.one_of(st.none(), st.sampled_from([1, 7, 30, 100]).map(Decimal))


@st.composite
def tariffs(draw: st.DrawFn) -> tuple[Tier, ...]:
    """Tiers from zero without an end, each at a price of its own."""
    bounds = sorted(draw(st.sets(st.integers(1, 400), max_size=4)))
    ends = [*bounds, None]
    return tuple(
        replace(
            tier(lower, upper, "OVERRIDE", 3 * place + 1), flat=draw(flats), package=draw(sizes)
        )
        for place, (lower, upper) in enumerate(zip([0, *bounds], ends, strict=True))
    )


Act = tuple[int, int, str, Period]


def cells_of(acts: list[Act]) -> list[Cell]:
    found = []
    for place, (on, quantity, region, period) in enumerate(acts):
        made = used(quantity, on, **({"region": region} if region else {}))
        start = made.start.replace(month=period.start.month)
        found.append(
            replace(made, start=start, period=period, id=CellId(derive(made.id, str(place))))
        )
    return found


def used_in(acts: list[Act]) -> list[Decimal]:
    """The quantities of the periods in which something was used."""
    sums: dict[Period, Decimal] = defaultdict(Decimal)
    for _, quantity, _, period in acts:
        sums[period] += quantity
    return list(sums.values())


def units_cost(own: Tier, units: Decimal) -> Decimal:
    count = units if own.package is None else ceil(units / own.package)
    return count * own.adjustment.value


@settings(max_examples=60)
@given(tariffs(), acts)
def test_graduated_lines_cost_what_all_units_of_their_period_cost_at_once(tiers, acts):
    """Units in each tier at its price, and the flat amounts of the tiers entered."""
    found = lines(cells_of(acts), whole(graduated(*tiers)))

    expected = Decimal(0)
    for total in used_in(acts):
        for own in tiers:
            units = (total if own.upper is None else min(own.upper, total)) - own.lower
            if units > 0:
                expected += units_cost(own, units) + (own.flat or 0)
    assert sum(amounts(found)) == expected


@settings(max_examples=60)
@given(tariffs(), acts)
def test_volumes_cost_the_tier_of_all_units_of_their_period_and_its_flat_amount(tiers, acts):
    price = volume(*tiers)

    found = lines(cells_of(acts), whole(price))

    expected = Decimal(0)
    for total in used_in(acts):
        picked = pick(tiers, price.bounds, total)
        assert picked is not None
        expected += units_cost(picked, total) + (picked.flat or 0)
    assert sum(amounts(found)) == expected
