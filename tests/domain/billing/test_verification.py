"""Verification: each figure that differs is named with what it should be and what it is."""

from dataclasses import replace
from decimal import Decimal

from server.domain.billing.corrections import Booked, changed_lines
from server.domain.billing.verification import (
    Difference,
    Verified,
    different,
    differing_cells,
    differing_lines,
    differing_movements,
    differing_standing,
)
from server.domain.consumption.aggregation import increments
from server.domain.modeling.policies import AggregationMethod, AggregationPolicy
from server.domain.settlement.walk import WalletTerms, settle
from server.domain.settlement.wallet_states import FinalCell
from tests.domain.settlement.summary_words import JANUARY, day, lines, results, whole
from tests.strategies import USD, WALLET, cell, grant, terms

SUM = AggregationPolicy.usual(AggregationMethod.SUM)


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


def booked(line, **more):
    """The booked sums of a line, as it is or with other figures."""
    figures = {"used": line.used, "drawn": line.drawn, "overage": line.overage}
    return Booked(
        id=line.id,
        asset_number=1,
        unit=USD,
        version=None,
        failure="",
        billed_from=JANUARY.start,
        **(figures | {"amount": line.amount} | more),
    )


def compared(line, *, now=None, **stored):
    """Return the differences of a line that is stored with other figures; `now` is another line."""
    known = {line.key.usage: booked(line, **stored)}
    changes = changed_lines(WALLET, (line,) if now is None else now, known)
    name = f"accounts/a/ratableSummaries/{line.id}"
    found = differing_lines("a", changes, known)
    assert {one.name for one in found} <= {name}
    return [(one.what, one.expected, one.found) for one in found]


def test_a_line_is_compared_with_what_is_booked_of_it():
    """5 at 2 are 10."""
    [line] = lines([cell("a", 5, day(1, 5), period=JANUARY)], whole(terms("2")))

    assert compared(line) == []
    assert compared(line, amount=Decimal(8)) == [("amount", "10", "8")]
    assert compared(line, overage=Decimal(4), drawn=Decimal(1)) == [("overage", "5", "4")]
    # What failed can be rated now, and what nothing is left of is booked with something.
    assert compared(line, amount=None) == [("amount", "10", "none")]
    assert compared(line, now=()) == [("overage", "0", "5"), ("amount", "0", "10")]


def test_a_line_that_is_not_booked_is_named():
    [line] = lines([cell("a", 5, day(1, 5), period=JANUARY)], whole(terms("2")))

    found = differing_lines("a", changed_lines(WALLET, [line], {}), {})

    assert [(one.what, one.expected, one.found) for one in found] == [
        ("overage", "5", "none"),
        ("amount", "10", "none"),
    ]


def test_cells_are_compared_with_how_they_are_drawn_now():
    """3 of 5 are included."""
    used = cell("a", 5, day(1, 5), period=JANUARY)
    [result] = results([used], grant("g", 3, day(1, 1)))
    kept = FinalCell(cell=used, quantity=Decimal(5), drawn=Decimal(3), overage=Decimal(2))
    name = f"accounts/a/usageSummaries/{used.id}"

    def differing(stored):
        return named(differing_cells("a", [result], stored))

    assert differing({used.id: kept}) == []
    assert differing({used.id: replace(kept, drawn=Decimal(2))}) == [
        ("drawn quantity", name, "3", "2")
    ]
    assert differing({}) == [
        ("quantity", name, "5", "none"),
        ("drawn quantity", name, "3", "none"),
    ]


def test_entries_that_a_new_walk_would_post_are_named_with_their_cause():
    used = cell("a", 5, day(1, 5), period=JANUARY)
    held = grant("g", 3, day(1, 1))
    terms = WalletTerms(id=WALLET, zone="UTC", aggregation=SUM)
    found = increments([used], SUM, zone="UTC")
    moves = settle(terms, [held], (), found, through=JANUARY.end).movements

    [missing] = differing_movements("a", WALLET, moves)

    assert str(missing) == (
        f"accounts/a/wallets/{WALLET}: the sum of the entries of CELL {used.id} on the grant"
        f" {held.id} is posted, should be -3 more"
    )
    assert differing_movements("a", WALLET, ()) == []


def test_cells_that_begin_final_periods_are_compared_by_what_they_hold():
    used = cell("a", 5, day(1, 5), period=JANUARY)
    held = replace(used, measure=replace(used.measure, count=0))
    other = replace(held, measure=replace(held.measure, last=Decimal(7)))
    name = f"accounts/a/usageSummaries/{used.id}"

    def differing(stored, due, closed=JANUARY.end):
        return named(differing_standing("a", stored, due, closed))

    assert differing([held], [held]) == []
    assert differing([held], [other]) == [("carried over", name, "7", "5")]
    assert differing([held], []) == [("carried over", name, "0", "5")]
    assert differing([], [held]) == [("carried over", name, "5", "0")]
    # Usage is no such cell, and a period that is not final is not compared.
    assert differing([used], []) == []
    assert differing([held], [], JANUARY.start) == []


def test_what_was_verified_adds_up():
    fault = Difference(what="amount", name="a", expected="1", found="2")
    other = replace(fault, name="b")
    one = Verified(accounts=1, wallets=2, entries=3, records=4, findings=(fault,))
    more = Verified(accounts=10, wallets=20, entries=30, records=40, findings=(other,))

    assert one + more == Verified(
        accounts=11, wallets=22, entries=33, records=44, findings=(fault, other)
    )
    assert Verified() + one == one
