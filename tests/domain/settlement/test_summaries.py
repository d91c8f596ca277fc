"""Lines that can be rated, and lines that can be invoiced."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.domain.ids import ProcedureId
from server.domain.modeling.policies import OveragePolicy
from server.domain.modeling.units import LIMIT
from server.domain.rating.compiled_rating import SHIPPED_VERSION, CompiledRating
from server.domain.rating.procedures.elements import (
    BaseRate,
    FormulaElement,
    ListFunction,
    ListOperation,
    RatingSetting,
)
from server.domain.rating.rates import Adjustment, AdjustmentKind, RateSegment, Tier, TierMode
from server.domain.settlement.ratable_lines import ratable_lines
from tests import strategies
from tests.domain.settlement.summary_words import (
    FEBRUARY,
    JANUARY,
    MARCH,
    day,
    lines,
    owed,
    results,
)
from tests.strategies import ASSET, USD, WALLET, cell, grant, terms


def override(value):
    return Adjustment(kind=AdjustmentKind.OVERRIDE, value=Decimal(value))


@dataclass(frozen=True)
class ByPeriod:
    """The version that rates each period, or none."""

    versions: Mapping[datetime, CompiledRating]

    def of(self, line_id, origin_start):
        return self.versions.get(origin_start)


def fixed_price(name, price):
    """A version of a tenant's procedure under which a unit costs the same, whatever its terms."""
    elements = (RatingSetting(), BaseRate(), FormulaElement(expression=str(price)))
    return tenant_version(name, elements)


def tenant_version(name, elements):
    version = replace(SHIPPED_VERSION, procedure_id=ProcedureId(name), elements=elements)
    return CompiledRating.of(version)


def flat(price, **more):
    return {ASSET: (RateSegment(start=day(1, 1), terms=terms(price, **more)),)}


@pytest.mark.parametrize(
    ("granted", "used", "price", "overage", "amount"),
    [
        (4000, 4500, "0.75", 500, "375.00"),
        (2, 102, "1.25", 100, "125.00"),
        (0, 2, "10", 2, "20.00"),
        (4000, 4100, "0", 100, "0.00"),
        (10000, 300, "1", 0, "0.00"),
    ],
)
def test_usage_beyond_the_grant_becomes_an_invoice_line(granted, used, price, overage, amount):
    cells = [cell("a", used, day(1, 10), period=JANUARY)]

    (line,) = owed(lines(cells, flat(price), grant("g", granted, day(1, 1), day(2, 1))))

    assert (line.used, line.overage) == (used, overage)
    assert str(line.amount) == amount


def test_free_overage_is_on_the_line_at_nothing():
    segment = RateSegment(start=day(1, 1), terms=terms("0.75"), overage=OveragePolicy.FREE)
    cells = [cell("a", 500, day(1, 10), period=JANUARY)]

    (line,) = owed(lines(cells, {ASSET: (segment,)}))

    assert (line.overage, line.amount) == (500, 0)


def test_a_rate_amended_in_the_middle_of_a_period_makes_two_lines():
    # 10 becomes 9 on 15 January.
    rates = {
        ASSET: (
            RateSegment(start=day(1, 1), end=day(1, 15), terms=terms("10")),
            RateSegment(start=day(1, 15), terms=terms("9")),
        )
    }
    cells = [cell(n, 2, day(1, n), period=JANUARY) for n in (14, 15)]

    first, second = owed(lines(cells, rates))

    assert (first.amount, second.amount) == (20, 18)


def test_the_volume_tier_is_picked_on_the_whole_period():
    override = Adjustment(kind=AdjustmentKind.OVERRIDE, value=Decimal(1))
    tiers = (Tier(lower=Decimal(100), upper=None, adjustment=override),)
    cells = [cell(n, 60, day(1, n), period=JANUARY) for n in (1, 2)]

    (line,) = lines(cells, flat("5", tiers=tiers))

    assert (line.tier_quantity, line.amount) == (120, 120)


def test_usage_is_rated_by_the_terms_of_its_own_time_in_the_tiers_of_its_period():
    """All 130 of January pick the tier from 100 on; February costs 7 a unit."""
    override = Adjustment(kind=AdjustmentKind.OVERRIDE, value=Decimal(1))
    tiers = (Tier(lower=Decimal(100), upper=None, adjustment=override),)
    rates = {
        ASSET: (
            RateSegment(
                start=day(1, 1),
                end=day(2, 1),
                terms=terms("5", tiers=tiers, mode=TierMode.GRADUATED),
            ),
            RateSegment(start=day(2, 1), terms=terms("7")),
        )
    }
    cells = [
        cell("feb", 1, day(2, 5), period=FEBRUARY),
        cell("more", 50, day(1, 5), period=JANUARY),
        cell("jan", 80, day(1, 4), period=JANUARY),
    ]

    january, february = lines(cells, rates)

    assert (january.key.is_correction, january.key.origin_start) == (False, JANUARY.start)
    assert january.amount == 100 * 5 + 30 * 1
    assert (january.tier_quantity, february.amount) == (130, 7)


def test_without_a_rate_there_is_a_failure_and_nothing_to_invoice():
    found = lines([cell("a", 5, day(1, 5), period=JANUARY)], {})

    assert (found[0].amount, found[0].failure) == (None, "RATE_NOT_FOUND")
    [line] = owed(found)
    assert (line.is_whole, line.used, line.amount) == (False, 5, 0)


def test_assets_are_rounded_apart_and_a_total_is_the_sum_of_lines():
    cells = [cell(n, 1, day(1, n), period=JANUARY, asset=n) for n in (1, 2)]
    rates = {c.asset_id: (RateSegment(start=day(1, 1), terms=terms("0.005")),) for c in cells}

    found = owed(lines(cells, rates))

    assert [line.amount for line in found] == [Decimal("0.01"), Decimal("0.01")]
    assert sum(line.amount for line in found) == Decimal("0.02")
    assert [line.exact_amount for line in found] == [Decimal("0.005")] * 2


def test_graduated_tiers_go_on_in_the_next_segment_after_the_overage_of_the_one_before():
    """30 are included. 80 + 40 used are 50 + 40 beyond: 20 of the 40 are below 70, 20 above."""
    tiers = (
        Tier(lower=Decimal(0), upper=Decimal(70), adjustment=override(5)),
        Tier(lower=Decimal(70), upper=None, adjustment=override(1)),
    )
    graduated = terms("5", tiers=tiers, mode=TierMode.GRADUATED)
    rates = {
        ASSET: (
            RateSegment(start=day(1, 1), end=day(1, 15), terms=graduated),
            RateSegment(start=day(1, 15), terms=graduated),
        )
    }
    cells = [cell("a", 80, day(1, 5), period=JANUARY), cell("b", 40, day(1, 20), period=JANUARY)]

    found = lines(cells, rates, grant("g", 30, day(1, 1), day(2, 1)))

    assert [(line.before, line.overage, line.amount) for line in found] == [
        (0, 50, 50 * 5),
        (50, 40, 20 * 5 + 20 * 1),
    ]
    assert {(line.tier_quantity, line.origin_used) for line in found} == {(90, 120)}


def test_all_usage_of_a_period_makes_one_line_whatever_the_order():
    """January has 10 included: 10 + 30 + 40 beyond, of which 60 at 5 and 20 at 1."""
    tiers = (
        Tier(lower=Decimal(0), upper=Decimal(60), adjustment=override(5)),
        Tier(lower=Decimal(60), upper=None, adjustment=override(1)),
    )
    cells = [
        cell("later", 40, day(1, 7), period=JANUARY),
        cell("own", 20, day(1, 5), period=JANUARY),
        cell("more", 30, day(1, 6), period=JANUARY),
    ]
    rates = flat("5", tiers=tiers, mode=TierMode.GRADUATED)

    [found] = lines(cells, rates, grant("g", 10, day(1, 1), day(2, 1)))

    assert (found.before, found.tier_quantity, found.origin_used) == (0, 80, 90)
    assert (found.drawn, found.overage, found.amount) == (10, 80, 60 * 5 + 20 * 1)
    assert found.cell_ids == (cells[1].id, cells[2].id, cells[0].id)


def test_usage_that_adds_up_to_too_many_digits_fails_and_other_lines_do_not():
    half = LIMIT / 2
    cells = [
        cell("a", half, day(1, 5), period=JANUARY),
        cell("b", half, day(1, 20), period=JANUARY),
        cell("c", 3, day(1, 5), period=JANUARY, asset=2),
    ]
    segments = (
        RateSegment(start=day(1, 1), end=day(1, 15), terms=terms("5")),
        RateSegment(start=day(1, 15), terms=terms("5")),
    )
    rates = {one.asset_id: segments for one in cells}

    found = lines(cells, rates)

    assert [(line.amount, line.failure) for line in found] == [
        (None, "AGGREGATE_OVERFLOW"),
        (None, "AGGREGATE_OVERFLOW"),
        (15, None),
    ]
    assert str(ASSET) in found[0].failure_text


def test_included_usage_of_too_many_digits_fails_as_well():
    cells = [cell("a", LIMIT, day(1, 5), period=JANUARY)]

    [line] = lines(cells, flat("5"), grant("g", LIMIT, day(1, 1), day(2, 1)))

    assert (line.overage, line.failure) == (0, "AGGREGATE_OVERFLOW")


def test_each_line_is_rated_by_the_version_of_the_period_of_its_usage():
    """The version of January charges 3, that of February 7; in March there is none."""
    versions = {JANUARY.start: fixed_price("one", 3), FEBRUARY.start: fixed_price("two", 7)}
    cells = [
        cell("jan", 1, day(1, 5), period=JANUARY),
        cell("feb", 1, day(2, 5), period=FEBRUARY),
        cell("mar", 1, day(3, 5), period=MARCH),
    ]

    found = {
        line.key.origin_start: line
        for line in lines(cells, flat("1"), rating_versions=ByPeriod(versions))
    }

    assert [
        (found[one.start].amount, found[one.start].failure) for one in (JANUARY, FEBRUARY, MARCH)
    ] == [
        (3, None),
        (7, None),
        (None, "PROCEDURE_NOT_IN_FORCE"),
    ]
    assert found[JANUARY.start].version == versions[JANUARY.start].key
    assert found[MARCH.start].version is None


def test_a_procedure_that_counts_lines_counts_those_of_one_period():
    """January has three lines, February and March one: the version charges their number."""
    count = ListOperation(function=ListFunction.COUNT, source=None, variable="n")
    elements = (RatingSetting(), BaseRate(), count, FormulaElement(expression="n"))
    counting = tenant_version("own", elements)
    cells = [
        cell("a", 1, day(1, 5), period=JANUARY),
        cell("b", 1, day(1, 5), period=JANUARY, asset=2),
        cell("c", 1, day(2, 5), period=FEBRUARY),
        cell("d", 1, day(1, 6), period=JANUARY, asset=3),
        cell("e", 1, day(3, 5), period=MARCH),
    ]
    rates = {one.asset_id: flat("1")[ASSET] for one in cells}
    versions = {period.start: counting for period in (JANUARY, FEBRUARY, MARCH)}

    found = lines(cells, rates, rating_versions=ByPeriod(versions))

    assert [(line.key.period_start, line.amount) for line in found] == [
        (JANUARY.start, 3),
        (JANUARY.start, 3),
        (JANUARY.start, 3),
        (FEBRUARY.start, 1),
        (MARCH.start, 1),
    ]


def test_a_line_shows_what_a_unit_costs_and_nothing_without_overage():
    """10 included, 3 beyond at 1.00 for the first and 0.50 for each other: 2.00 / 3."""
    tiers = (
        Tier(lower=Decimal(0), upper=Decimal(1), adjustment=override(1)),
        Tier(lower=Decimal(1), upper=None, adjustment=override("0.5")),
    )
    rates = flat("1", tiers=tiers, mode=TierMode.GRADUATED)
    included = grant("g", 10, day(1, 1), day(2, 1))

    [line] = lines([cell("a", 13, day(1, 5), period=JANUARY)], rates, included)
    [beyond] = owed(lines([cell("a", 13, day(1, 5), period=JANUARY)], rates, included))
    [within] = owed(lines([cell("a", 8, day(1, 5), period=JANUARY)], rates, included))

    assert (beyond.used, beyond.drawn, beyond.overage, beyond.amount) == (13, 10, 3, 2)
    assert beyond.unit == USD
    assert beyond.net_unit_rate == line.net_unit_rate == Decimal("0.666666666667")
    assert (within.drawn, within.overage, within.net_unit_rate) == (8, 0, 0)


@given(strategies.usage("UTC", (JANUARY, FEBRUARY, MARCH)), st.integers(0, 200))
@settings(max_examples=50)
def test_lines_account_for_every_unit_and_cell_once(cells, granted):
    held = grant("g", granted, day(1, 1))
    settled = results(cells, held)
    segments = (RateSegment(start=day(1, 1), terms=terms("2")),)
    rates = {one.asset_id: segments for one in cells}

    found = ratable_lines(WALLET, settled, rates)
    liable = owed(found)

    used = sum((r.increment.quantity for r in settled), Decimal(0))
    assert sum(line.used for line in found) == sum(line.used for line in liable) == used
    assert sorted(i for line in found for i in line.cell_ids) == sorted(c.id for c in cells)
    assert len({line.id for line in found}) == len(found)
    assert sum(line.amount for line in liable) == 2 * sum(r.overage for r in settled)
    assert ratable_lines(WALLET, settled[::-1], rates)[:1] == tuple(
        replace(line, cell_ids=line.cell_ids[::-1]) for line in found[:1]
    )


def test_dates_of_segments_are_local_midnights():
    segment = RateSegment(start=day(1, 1), end=day(2, 1), terms=None)

    assert segment.contains(day(1, 31))
    assert not segment.contains(day(2, 1))
    assert day(2, 1).date() == date(2024, 2, 1)
