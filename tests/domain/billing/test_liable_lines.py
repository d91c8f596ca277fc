"""Money is rounded once for each asset, resource and billing period in which usage happened."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.billing.closing import Bill, WalletCalendar, corrected, invoice_ready
from server.domain.billing.liable_lines import Billed, LiableLine, shares
from server.domain.billing.verification import BilledLine, differing_shares
from server.domain.calendar import Delay, PolicyPeriod
from server.domain.exact import exact, round_to
from server.domain.modeling.policies import RatingFrequency
from server.domain.settlement.ratable_lines import RatableKey, RatableLine, line_id
from tests import strategies
from tests.domain.settlement.summary_words import lines, whole
from tests.strategies import ASSET, MONTHLY, WALLET, cell, terms

PERIODS = strategies.months("UTC", 4)
CALENDAR = WalletCalendar(
    zone="UTC",
    anchor=date(2024, 1, 1),
    service_start=datetime(2024, 1, 1, tzinfo=UTC),
    billing=MONTHLY,
    frequency=RatingFrequency(period=PolicyPeriod.MONTH, delay=Delay(3)),
)
[RATED] = lines([cell("a", 1, datetime(2024, 1, 5, tzinfo=UTC), period=PERIODS[0])], whole(terms()))
OTHER = cell("b", 1, datetime(2024, 1, 5, tzinfo=UTC), period=PERIODS[0], asset=2).asset_id

PLACES = st.sampled_from([0, 2, 3])
# Many ties and halves: multiples of a quarter of a minor unit, and anything between.
AMOUNTS = st.one_of(
    st.integers(-400, 400).map(lambda n: Decimal(n) / 400),
    st.decimals(-10, 10, places=6),
)


@dataclass(frozen=True)
class Usage:
    """The cost of one rated line; `late` is the number of months until it is handled."""

    origin: int
    late: int
    asset: int
    dimensions: str
    segment: int
    amount: Decimal

    @property
    def handled(self) -> int:
        return min(self.origin + self.late, len(PERIODS) - 1)

    @property
    def line(self) -> RatableLine:
        period, origin = PERIODS[self.handled], PERIODS[self.origin]
        key = RatableKey(
            period.start,
            period != origin,
            origin.start,
            self.asset,
            ASSET if self.asset == 1 else OTHER,
            PERIODS[self.segment].start,
            self.dimensions,
        )
        return replace(RATED, id=line_id(WALLET, key), key=key, amount=self.amount)


USED = st.builds(
    Usage,
    origin=st.integers(0, 3),
    late=st.integers(0, 3),
    asset=st.integers(1, 2),
    dimensions=st.sampled_from(["", "a", "b"]),
    segment=st.integers(0, 1),
    amount=AMOUNTS,
)


def billed_in(
    month: int, used: Iterable[Usage], before: Iterable[LiableLine], places: int
) -> list[LiableLine]:
    """The lines of a month, with only that of the lines before which it asks for."""
    bill = Bill(
        wallet_id=WALLET, calendar=CALENDAR, period=PERIODS[month], currency_code="", places=places
    )
    found = [one.line for one in used if one.handled == month]
    billed = {
        key: sums(line for line in before if line.key.billed_key == key)
        for key in corrected(bill, found)
    }
    return [one.line for one in invoice_ready(bill, found, billed)]


@exact
def sums(of: Iterable[LiableLine]) -> Billed:
    found = list(of)
    zero = Decimal(0)
    return Billed(
        sum((line.exact_amount for line in found), zero), sum((line.amount for line in found), zero)
    )


def stored(made: Iterable[tuple[int, LiableLine]]) -> list[BilledLine]:
    """The lines as they are kept, each with the month that it was made in."""
    return [
        BilledLine(
            name=str(line.key),
            wallet_id=WALLET,
            asset_id=line.key.asset_id,
            origin_end_time=line.key.origin.end,
            end_time=PERIODS[month].end,
            segment_start_time=line.key.segment_start,
            dimensions=line.key.dimensions,
            is_correction=line.key.is_correction,
            exact_amount=line.exact_amount,
            amount=line.amount,
            currency_code="USD",
        )
        for month, line in made
    ]


@pytest.mark.parametrize(
    ("exact_amounts", "places", "expected"),
    [
        # Rounded alone, a thousand times 0.004 came to nothing, and 0.006 to 10.00.
        (["0.004"] * 1000, 2, ["0.01"] * 400 + ["0.00"] * 600),
        (["0.006"] * 1000, 2, ["0.01"] * 600 + ["0.00"] * 400),
        # The largest remainders first: 0.9, 0.6 and 0.5 of a cent are missing two.
        (["1.005", "1.009", "1.006"], 2, ["1.00", "1.01", "1.01"]),
        (["0.4", "0.4", "0.4"], 0, ["1", "0", "0"]),
        (["0.0004", "0.0004"], 3, ["0.001", "0.000"]),
        # A negative total: -0.75 is -1, of which the larger remainder, -0.25, is spared.
        (["-0.5", "-0.25"], 0, ["-1", "0"]),
        (["-0.005"], 2, ["-0.01"]),
        (["0", "0.5"], 0, ["0", "1"]),
    ],
)
def test_minor_units_that_are_missing_go_to_the_largest_remainders(exact_amounts, places, expected):
    found = shares([Decimal(one) for one in exact_amounts], places=places)

    assert [str(one) for one in found] == expected


def test_a_correction_is_what_is_missing_of_the_rounded_total():
    """1.004 was billed as 1.00; 0.004 more make 1.008, of which 0.01 is missing."""
    billed = Billed(Decimal("1.004"), Decimal("1.00"))

    assert shares([Decimal("0.004")], billed, places=2) == [Decimal("0.01")]
    assert shares([Decimal("-0.004")], billed, places=2) == [0]
    # Half a cent owed becomes half a cent due: the only case in which a line is a cent off.
    half = Billed(Decimal("0.005"), Decimal("0.01"))
    assert shares([Decimal("-0.01")], half, places=2) == [Decimal("-0.02")]
    assert shares([Decimal("-0.01"), Decimal(0)], half, places=2) == [
        Decimal("-0.01"),
        Decimal("-0.01"),
    ]


@given(st.lists(AMOUNTS, min_size=1), PLACES)
def test_lines_add_up_to_the_rounded_total_and_none_is_off_by_a_minor_unit(amounts, places):
    found = shares(amounts, places=places)

    assert sum(found) == round_to(sum(amounts), places)
    unit = Decimal(1).scaleb(-places)
    assert all(abs(share - amount) < unit for share, amount in zip(found, amounts, strict=True))
    assert all(share == round_to(share, places) for share in found)


@given(st.lists(AMOUNTS, min_size=1), AMOUNTS, PLACES)
def test_a_correction_is_off_by_a_minor_unit_at_most(amounts, before, places):
    billed = Billed(before, round_to(before, places))

    found = shares(amounts, billed, places=places)

    unit = Decimal(1).scaleb(-places)
    differences = [abs(share - one) for share, one in zip(found, amounts, strict=True)]
    total = before + sum(amounts)
    is_half_turned = abs(before - billed.amount) == abs(total - round_to(total, places)) == unit / 2
    assert max(differences) <= unit
    assert max(differences) < unit or (is_half_turned and (before < 0) != (total < 0))


@given(st.lists(USED, min_size=1), st.randoms(), PLACES)
def test_the_order_of_what_is_billed_changes_nothing(used, random, places):
    shuffled = random.sample(used, len(used))

    for month in range(len(PERIODS)):
        once, again = (billed_in(month, given, (), places) for given in (used, shuffled))
        assert [replace(line, ratable_ids=()) for line in once] == [
            replace(line, ratable_ids=()) for line in again
        ]


@given(st.lists(USED, min_size=1, max_size=30), st.lists(USED, max_size=5), PLACES)
def test_all_that_was_billed_for_a_billing_period_is_its_rounded_total(used, more, places):
    """Also if the lines of each month are replaced, with more usage, before they are invoiced."""
    made: list[tuple[int, LiableLine]] = []
    for month in range(len(PERIODS)):
        before = [line for _, line in made]
        first = billed_in(month, used, before, places)
        again = billed_in(month, [*used, *more], before, places)
        assert sums(first).exact_amount == sum(one.amount for one in used if one.handled == month)
        made += [(month, line) for line in again]

    owed: dict[tuple[int, int], Decimal] = {}
    for one in (*used, *more):
        key = (one.asset, one.origin)
        owed[key] = owed.get(key, Decimal(0)) + one.amount
    for (asset, origin), exact_amount in owed.items():
        of_origin = (
            line
            for _, line in made
            if (line.key.asset_number, line.key.origin) == (asset, PERIODS[origin])
        )
        assert sums(of_origin) == (exact_amount, round_to(exact_amount, places))
    assert differing_shares(stored(made), lambda code: {"USD": places}[code]) == []


def test_verification_names_the_lines_that_have_another_share():
    """The cent of three lines at 0.004 is on the first; late usage of 0.004 adds another."""
    thirds = [Usage(0, 0, 1, name, 0, Decimal("0.004")) for name in ("a", "b", "c")]
    late = Usage(0, 1, 1, "a", 0, Decimal("0.004"))
    january = billed_in(0, thirds, (), 2)
    february = billed_in(1, [late], january, 2)
    made = stored([*((0, line) for line in january), *((1, line) for line in february)])
    assert [str(one.amount) for one in made] == ["0.01", "0.00", "0.00", "0.01"]

    moved = [replace(made[0], amount=Decimal(0)), replace(made[1], amount=Decimal("0.01"))]
    found = differing_shares([*moved, *made[2:]][::-1], lambda _: 2)

    assert [(one.name, one.expected, one.found) for one in found] == [
        (made[0].name, "0.01", "0"),
        (made[1].name, "0", "0.01"),
    ]
    [alone] = differing_shares([*made[:3], replace(made[3], amount=Decimal(0))], lambda _: 2)
    assert (alone.name, alone.expected) == (made[3].name, "0.01")
