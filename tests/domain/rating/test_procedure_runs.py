"""Runs of procedures: time, the order of lines, and that the shipped one is what a rate is."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from server.domain.exact import Rounding
from server.domain.rating.procedures.elements import (
    Assignment,
    AttributeAdjustment,
    BaseRate,
    DiscountKind,
    FormulaElement,
    GraduatedTiers,
    ListFunction,
    ListGroup,
    ListOperation,
    ManualDiscount,
    RoundRate,
    Stop,
    VolumeTiers,
)
from server.domain.rating.procedures.programs import compiled
from server.domain.rating.procedures.shipped import NEGOTIABLE
from server.domain.rating.procedures.waterfall import Rated, RatingFailed
from server.domain.rating.rates import TierMode
from tests import strategies
from tests.domain.procedure_words import cost, line, rates, run, terms

GROUP = ListGroup(
    condition="overage_quantity > 100",
    elements=(ManualDiscount(kind=DiscountKind.PERCENTAGE, value=Decimal(10)),),
)


class Watch:
    """A clock that goes on by so much whenever somebody looks."""

    def __init__(self, *milliseconds: float) -> None:
        self.now, self.left = 0, list(milliseconds)

    def __call__(self) -> int:
        self.now += int((self.left.pop(0) if self.left else 0) * 1_000_000)
        return self.now


def test_a_line_that_takes_too_long_fails_and_no_other():
    watch = Watch(0, 5_001, 0, 5_000)  # of the first line, then of the second

    slow, fast = run([BaseRate(), Stop()], line(1, "10"), line(1, "10"), clock=watch)

    assert rates([slow, fast]) == ["TIME_LIMIT", "10"]
    assert slow.facts == {"element": "BASE_RATE"}


def test_the_time_of_all_elements_of_a_line_is_limited_too():
    elements = [BaseRate(), *(Assignment(variable="x", value=Decimal(1)) for _ in range(2))]
    watch = Watch(*(0, 4_000, 0, 1_000) * 3)

    assert rates(run(elements, line(1), line(1), clock=watch)) == ["TIME_LIMIT", "1"]


def test_a_line_that_was_too_slow_is_in_no_list():
    total = ListOperation(function=ListFunction.SUM, source="overage_quantity", variable="total")
    watch = Watch(*(0, 0) * 3, *(0, 5_001), *(0, 0) * 2)

    outcomes = run(
        [BaseRate(), total, FormulaElement(expression="total")],
        line(9),
        line(4),
        line(5),
        clock=watch,
    )

    assert rates(outcomes) == ["TIME_LIMIT", "9", "9"]


lists = st.lists(
    st.tuples(strategies.quantities(200, 0), strategies.tier_sets(), st.sampled_from(TierMode)),
    max_size=6,
)


@given(lists)
def test_the_shipped_procedure_is_what_a_rate_is(sold):
    lines = [line(n, terms("2", tiers=tiers, mode=mode)) for n, tiers, mode in sold]

    outcomes = compiled(NEGOTIABLE[1]).run(lines)

    for one, found in zip(lines, outcomes, strict=True):
        alone = cost(one.quantity, one.terms)
        assert found == alone
        assert compiled(NEGOTIABLE[1]).run([one]) == (found,)


@given(lists, st.randoms(use_true_random=False))
def test_the_order_of_lines_does_not_matter(sold, random):
    elements = [
        BaseRate(),
        VolumeTiers(),
        GraduatedTiers(),
        GROUP,
        ListOperation(function=ListFunction.SUM, source="net_unit_rate", variable="total"),
        FormulaElement(expression="net_unit_rate + total"),
    ]
    lines = [line(n, terms("2", tiers=tiers, mode=mode)) for n, tiers, mode in sold]
    places = list(range(len(lines)))
    random.shuffle(places)

    in_order, shuffled = run(elements, *lines), run(elements, *(lines[at] for at in places))

    for found, at in zip(shuffled, places, strict=True):
        if isinstance(found, RatingFailed):
            assert found.reason == in_order[at].reason
        else:
            assert found == in_order[at]


@given(st.integers(0, 5), st.decimals(0, 100, places=2), strategies.quantities(50, 0))
def test_no_amount_is_zero_unless_the_rate_or_the_quantity_is(kind, value, quantity):
    elements = [
        BaseRate(),
        RoundRate(mode=Rounding.UP, places=2),
        FormulaElement(expression="net_unit_rate * 2"),
        AttributeAdjustment(),
        Stop(),
    ][: kind + 1]

    for outcome in run(elements, line(quantity, str(value))):
        assert isinstance(outcome, Rated)
        assert (outcome.amount == 0) == (quantity == 0 or value == 0)
