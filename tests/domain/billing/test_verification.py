"""Verification: each figure that differs is named with what it should be and what it is."""

from dataclasses import replace
from decimal import Decimal

from server.domain.billing.verification import (
    Difference,
    Verified,
    different,
    differing_packages,
)
from server.domain.rating.procedures.packages import Packaged
from server.domain.rating.rates import RateSegment
from tests.domain.procedure_words import price
from tests.domain.settlement.summary_words import JANUARY, day, lines
from tests.strategies import ASSET, cell, terms


def named(differences):
    return [(one.what, one.name, one.expected, one.found) for one in differences]


def test_only_figures_that_differ_are_named():
    assert list(different("amount", "a", Decimal("1.50"), Decimal("1.5"))) == []
    assert list(different("amount", "a", None, None)) == []
    assert named(different("amount", "a", Decimal("1.50"), Decimal(2))) == [
        ("amount", "a", "1.5", "2")
    ]
    assert named(different("amount", "a", None, Decimal(2))) == [("amount", "a", "none", "2")]
    assert named(different("amount", "a", Decimal(2), None)) == [("amount", "a", "2", "none")]
    assert str(Difference(what="amount", name="a", expected="1", found="2")) == (
        "a: amount is 2, should be 1"
    )


def test_packages_of_one_rate_are_compared_by_all_their_units():
    """The line has 40 and 20 units at 300 and 5 at 400: 60 and 5 are due."""
    rates = {ASSET: (RateSegment(start=day(1, 1), terms=terms("1")),)}
    [plain] = lines([cell("a", 65, day(1, 5), period=JANUARY)], rates)
    dear, cheap, other = price(400, 100), price(300, 100), price(200, 100)
    packaged = (
        Packaged(cheap, Decimal(40)),
        Packaged(dear, Decimal(5)),
        Packaged(cheap, Decimal(20), Decimal(40)),
    )
    line = replace(plain, packaged=packaged)

    def compared(stored):
        return sorted(named(differing_packages("a", line, stored)))

    assert compared({cheap: Decimal(60), dear: Decimal(5)}) == []
    assert compared({cheap: Decimal(40), other: Decimal(1)}) == [
        ("quantity at 200 USD per 100", "a", "none", "1"),
        ("quantity at 300 USD per 100", "a", "60", "40"),
        ("quantity at 400 USD per 100", "a", "5", "none"),
    ]


def test_what_was_verified_adds_up():
    fault = Difference(what="amount", name="a", expected="1", found="2")
    other = replace(fault, name="b")
    one = Verified(accounts=1, wallets=2, entries=3, records=4, findings=(fault,))
    more = Verified(accounts=10, wallets=20, entries=30, records=40, findings=(other,))

    assert one + more == Verified(
        accounts=11, wallets=22, entries=33, records=44, findings=(fault, other)
    )
    assert Verified() + one == one
