"""Replay: what of sold terms stays at other rates, and when usage is drawn and rated anew."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from server.domain.billing.replay import (
    FinalUsage,
    Pair,
    Total,
    at_other_rates,
    drawn_again,
    is_drawn_alike,
    line_before,
    not_reproduced,
    rated_again,
    tokens_again,
    totals,
)
from server.domain.consumption.cells import Measure
from server.domain.errors import NotFound, Unimplemented
from server.domain.ids import ProcedureId, RecordId, UnitId
from server.domain.modeling.policies import AggregationMethod, AggregationPolicy
from server.domain.rating.compiled_rating import (
    SHIPPED,
    SHIPPED_VERSION,
    AsRated,
    CompiledRating,
)
from server.domain.rating.procedures.elements import BaseRate, FormulaElement, RatingSetting
from server.domain.rating.rates import RateSegment, RateTerms, TierBounds, TierMode
from server.domain.rating.sold_terms import WalletRateSources
from server.domain.settlement.walk import WalletTerms
from server.domain.settlement.wallet_states import WalletState, rated, walked
from tests import strategies
from tests.domain.procedure_words import price, tier
from tests.domain.rating.addition_words import pack
from tests.strategies import ASSET, WALLET, cell, entitlement, terms

EURO = UnitId("EUR")
USD = UnitId("USD")
JANUARY, FEBRUARY, MARCH = strategies.months("UTC", 3)
TERMS = WalletTerms(
    id=WALLET, zone="UTC", aggregation=AggregationPolicy.usual(AggregationMethod.SUM)
)
MONTHLY_100 = entitlement()
LISTED = (tier(0, None, "PERCENTAGE", 10),)
AGREED = (tier(0, 50, "PERCENTAGE", 20), tier(50, None, "PERCENTAGE", 30))


def day(month, number):
    return datetime(2024, month, number, tzinfo=UTC)


def pair(rated, replayed, unit=USD):
    def amount(figure):
        return None if figure is None else Decimal(figure)

    return Pair(unit=unit, rated=amount(rated), replayed=amount(replayed))


@pytest.mark.parametrize(
    ("rated", "replayed", "difference"),
    [(10, 12, 2), (12, 10, -2), (None, 5, None), (5, None, None)],
)
def test_a_difference_needs_both_amounts(rated, replayed, difference):
    assert pair(rated, replayed).difference == difference


def test_totals_add_up_what_has_both_amounts_unit_by_unit():
    pairs = [pair(10, 12), pair(1, 2, EURO), pair(5, 1), pair(None, 7), pair(7, None, EURO)]

    assert totals(pairs) == (
        Total(unit=EURO, rated=Decimal(1), replayed=Decimal(2), count=1),
        Total(unit=USD, rated=Decimal(15), replayed=Decimal(13), count=2),
    )


def other_terms(sold, there):
    """Return the terms of an asset and of a pack, sold at `sold`, at the rates of a book."""
    segment = RateSegment(start=day(1, 1), terms=sold)
    extra = replace(pack("extra", 1, (day(1, 5), None)), terms=sold)
    sources = WalletRateSources(own={ASSET: (segment,)}, additions=(extra,))
    found = {(ASSET, day(1, 1)): there, (extra.asset_id, day(1, 5)): there}
    moved = at_other_rates(sources, found)
    [own] = moved.own[ASSET]
    assert own.terms == moved.additions[0].terms
    return own.terms


def test_an_agreed_rate_and_agreed_tiers_win_over_those_of_the_book():
    book = terms("7", tiers=LISTED, bounds=TierBounds.UPPER_INCLUSIVE, mode=TierMode.GRADUATED)
    rate_only = terms("5", negotiated_rate=price(4), attributes={"region": "eu"}, agreed_on=ASSET)
    both = replace(rate_only, negotiated_tiers=AGREED)

    assert other_terms(rate_only, book) == replace(
        book, negotiated_rate=price(4), attributes={"region": "eu"}, agreed_on=ASSET
    )
    assert other_terms(both, book) == replace(
        book,
        negotiated_rate=price(4),
        negotiated_tiers=AGREED,
        attributes={"region": "eu"},
        agreed_on=ASSET,
        # Agreed tiers are meant as they were agreed, not as the tiers of the book.
        bounds=TierBounds.LOWER_INCLUSIVE,
        mode=TierMode.VOLUME,
    )


def test_what_was_listed_goes_and_what_the_book_lacks_is_only_what_was_agreed():
    book = terms("7")
    missing = NotFound(reason="RATE_NOT_FOUND", message="no rate")
    agreed = terms("5", tiers=LISTED, negotiated_rate=price(4))

    assert other_terms(terms("5", tiers=LISTED), book) == book
    assert other_terms(None, book) == book
    for nothing in (None, missing):
        assert other_terms(terms("5"), nothing) is None
        assert other_terms(None, nothing) is None
        assert other_terms(agreed, nothing) == RateTerms(
            unit=USD, rate=None, negotiated_rate=price(4)
        )


def test_an_agreed_rate_in_another_unit_does_not_hold_in_the_book():
    book = RateTerms(unit=EURO, rate=replace(price(7), unit=EURO))

    assert other_terms(terms("5", negotiated_rate=price(4)), book) == book


def test_what_a_unit_takes_from_a_commitment_depends_on_its_tiers_and_their_bounds():
    plain, discount = terms("5"), terms("5", tiers=AGREED)
    upper = replace(discount, bounds=TierBounds.UPPER_INCLUSIVE)

    assert is_drawn_alike({ASSET: discount}, {ASSET: terms("9", tiers=AGREED)})
    assert is_drawn_alike({ASSET: plain}, {ASSET: None})
    assert is_drawn_alike({ASSET: plain}, {})
    assert not is_drawn_alike({ASSET: discount}, {ASSET: plain})
    assert not is_drawn_alike({ASSET: discount}, {})
    assert not is_drawn_alike({}, {ASSET: discount})
    assert not is_drawn_alike({ASSET: discount}, {ASSET: upper})
    assert not is_drawn_alike({ASSET: discount}, {ASSET: terms("5", tiers=LISTED)})


def tokens(name, amount, period=JANUARY):
    return cell(name, amount, period.start, period=period)


def again(known, before, after, closed=JANUARY.end):
    """Return the tokens of each final cell, or None."""
    found = tokens_again(
        known, {one.id: one for one in before}, {one.id: one for one in after}, closed=closed
    )
    return None if found is None else {one.id: one.measure.sum for one in found}


def test_final_tokens_become_those_of_the_other_rates():
    """The 10 of a become 15, b costs nothing any more, c costs tokens now, d was used directly."""
    a, b, d = tokens("a", 10), tokens("b", 20), tokens("d", 40)
    dearer, c = replace(a, measure=tokens("x", 15).measure), tokens("c", 30)

    assert again([a, b, d], [a, b], [dearer, c]) == {d.id: 40, a.id: 15, c.id: 30}
    # A cell that costs the same is the stored one, also with the record that is behind it.
    same = replace(a, measure=Measure.of(Decimal(10), day(1, 9), RecordId("r")))
    kept = tokens_again([a], {a.id: a}, {a.id: same}, closed=JANUARY.end)
    assert kept == (a,)


def test_tokens_of_a_period_that_is_not_closed_are_not_final():
    a, later = tokens("a", 10), tokens("b", 20, FEBRUARY)

    assert again([a], [a], [a, later]) == {a.id: 10}
    assert again([a], [a], [a, later], closed=FEBRUARY.end) == {a.id: 10, later.id: 20}
    assert again([], [], [a], closed=None) == {}
    # b cost tokens before as well, and these are not final.
    assert again([a], [a, later], [a, later], closed=FEBRUARY.end) == {a.id: 10}


def test_stored_tokens_that_the_usage_did_not_cost_are_not_replayed():
    a = tokens("a", 10)

    for after in ([a], []):
        assert again([a], [replace(a, measure=tokens("x", 11).measure)], after) is None


def used(*quantities, held=(MONTHLY_100,), commitments=None):
    """Return a wallet and its final usage of January: quantities on the 1st, 2nd and so on."""
    cells = tuple(
        cell(n, quantity, day(1, n), period=JANUARY) for n, quantity in enumerate(quantities, 1)
    )
    wallet = WalletState(
        terms=TERMS,
        grants=(),
        entitlements=held,
        cells=cells,
        period=JANUARY,
        rates={ASSET: (RateSegment(start=day(1, 1), terms=terms("2")),)},
        commitments=commitments or {},
    )
    results = walked(wallet, cells, through=JANUARY.end).results
    return wallet, FinalUsage(cells=cells, results=results)


def paid(results):
    return [(result.drawn, result.overage) for result in results]


def test_the_stored_drawdown_is_used_while_nothing_changes_it():
    """100 are included. Stored is that 30 of 40 were drawn, which no walk would give."""
    wallet, usage = used(40)
    [result] = usage.results
    odd = replace(usage, results=(replace(result, drawn=Decimal(30), overage=Decimal(10)),))

    assert drawn_again(wallet, odd, usage.cells[::-1], {}) == odd.results
    with pytest.raises(Unimplemented) as tokens_differ:
        drawn_again(wallet, odd, (), {})
    with pytest.raises(Unimplemented) as discount_differs:
        drawn_again(wallet, odd, usage.cells, {ASSET: terms("5", tiers=LISTED)})
    assert tokens_differ.value.reason == discount_differs.value.reason == "NOT_SUPPORTED"
    assert "tokens" in tokens_differ.value.message
    assert "discount" in discount_differs.value.message


def test_more_usage_or_another_discount_is_drawn_anew():
    """100 are included: of 90 and 20 more 10 are beyond. At 50 % off all of 110 is paid for."""
    half = terms("5", tiers=(tier(0, None, "PERCENTAGE", 50),))
    held = (entitlement(refresh=None),)
    wallet, usage = used(90, held=held)
    more = used(90, 20)[1].cells

    assert paid(drawn_again(wallet, usage, more, {})) == [(90, 0), (10, 10)]
    assert paid(drawn_again(wallet, usage, more, {ASSET: half})) == [(90, 0), (20, 0)]
    # The stored drawdown is proved by the terms that it was made with.
    discounted, before = used(90, 20, held=held, commitments={ASSET: half})
    assert paid(drawn_again(discounted, before, before.cells, {})) == [(90, 0), (10, 10)]


def priced(name, amount):
    """A version of a tenant's procedure under which every unit costs the same."""
    elements = (RatingSetting(), BaseRate(), FormulaElement(expression=str(amount)))
    return CompiledRating.of(
        replace(SHIPPED_VERSION, procedure_id=ProcedureId(name), elements=elements)
    )


def test_the_parts_of_a_line_are_rated_by_the_version_that_rated_the_line():
    """January cost 3 a unit by the tenant's version; the other rates change in the middle."""
    wallet, usage = used(10, 20, held=())
    cells = (usage.cells[0], replace(usage.cells[1], start=day(1, 20), end=day(1, 21)))
    results = walked(wallet, cells, through=JANUARY.end).results
    [line] = rated(wallet, results)
    own = AsRated({line.id: priced("own", 3)}, SHIPPED)
    split = {
        ASSET: (
            RateSegment(start=day(1, 1), end=day(1, 15), terms=terms("7")),
            RateSegment(start=day(1, 15), terms=terms("8")),
        )
    }

    parts = rated_again(wallet, results, split, own)
    shipped = rated_again(wallet, results, split, AsRated({}, SHIPPED))

    assert [(part.key.segment_start, part.amount) for part in parts] == [
        (day(1, 1), 30),
        (day(1, 15), 60),
    ]
    assert {line_before(wallet, part.key) for part in parts} == {line.id}
    assert [part.amount for part in rated_again(wallet, results, wallet.rates, own)] == [90]
    # Without a version that rated them, parts are rated by the one in force.
    assert [part.amount for part in shipped] == [70, 160]


def test_a_part_belongs_to_the_line_of_the_segment_that_it_starts_in():
    """The terms changed on the 15th, so there are two lines; the book changes on the 20th."""
    wallet, usage = used(10, 20, held=())
    cells = (usage.cells[0], replace(usage.cells[1], start=day(1, 25), end=day(1, 26)))
    results = walked(wallet, cells, through=JANUARY.end).results

    def cut(number):
        return {
            ASSET: (
                RateSegment(start=day(1, 1), end=day(1, number), terms=terms("7")),
                RateSegment(start=day(1, number), terms=terms("8")),
            )
        }

    sold = replace(wallet, rates=cut(15))
    lines = rated(sold, results)

    parts = rated_again(sold, results, cut(20), AsRated({}, SHIPPED))

    assert [line_before(sold, part.key) for part in parts] == [line.id for line in lines]


def test_a_replay_that_does_not_reproduce_the_stored_amounts_is_refused():
    assert not_reproduced().reason == "NOT_SUPPORTED"


def test_a_line_without_terms_is_where_its_usage_was():
    wallet, usage = used(10, held=())
    [line] = rated(replace(wallet, rates={}), usage.results)

    later = replace(wallet, rates={ASSET: (RateSegment(start=day(1, 15), terms=terms("2")),)})

    assert line.failure == "RATE_NOT_FOUND"
    assert line_before(replace(wallet, rates={}), line.key) == line.id
    assert line_before(later, line.key) == line.id
