"""Finders: where is looked, in which order, and which version looks on a day."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.errors import FailedPrecondition
from server.domain.rating.compiled_discovery import (
    SHIPPED_DISCOVERY,
    SHIPPED_DISCOVERY_VERSIONS,
    CompiledDiscovery,
    DiscoveryVersions,
)
from server.domain.rating.discovery import DiscoveryQuestion, Source, answer
from server.domain.rating.explanations import explained
from server.domain.rating.procedures.elements import LookupSource
from server.domain.rating.rate_cards import PriceBook, RateCard, RateCardType
from server.domain.rating.rate_index import EVERY_PART, CatalogRates, Question, RateNotFound
from server.domain.rating.rates import Rate
from server.domain.rating.rejected_candidates import Why
from tests.domain.rating.addition_words import agreed, day
from tests.domain.rating.index_words import (
    ASSET,
    FEBRUARY,
    JANUARY,
    MARCH,
    entry,
    index,
    tier,
    version,
)
from tests.domain.rating.index_words import sold as sold_at

RATES, TIERS, ATTRIBUTES = (
    LookupSource.CATALOG_RATES,
    LookupSource.CATALOG_TIERS,
    LookupSource.CATALOG_ATTRIBUTES,
)
STACKS = st.permutations(list(LookupSource)).flatmap(
    lambda order: st.integers(0, len(order)).map(lambda count: tuple(order[:count]))
)
BASE, STEPS = entry("usd", "1"), entry("steps", tiers=(tier(0, None, "50", "PERCENTAGE"),))


def discovery_version(*sources):
    return CompiledDiscovery.of(version(*sources))


def asked(*, day=FEBRUARY, quantity=None, held=ASSET, book="book"):
    return DiscoveryQuestion("sms", held, book, "plan" if book else None, "USD", day, quantity)


@given(sources=STACKS, has_own=st.booleans(), is_listed=st.booleans())
def test_the_first_place_of_the_stack_that_has_a_rate_gives_it(sources, has_own, is_listed):
    rates = index(*((BASE, STEPS) if is_listed else ()))
    sold = sold_at() if has_own else {ASSET: None}
    there = {LookupSource.ASSET: has_own, RATES: is_listed}
    looking = discovery_version(*sources)

    expected = next((source for source in sources if there.get(source)), None)

    if expected is None:
        with pytest.raises(RateNotFound) as caught:
            answer(asked(), JANUARY, rates, sold, discovery_version=looking)
        named = caught.value.facts.get("looked_in")
        assert named == (None if looking.is_usual else ", ".join(sources))
        return
    found = answer(asked(), JANUARY, rates, sold, discovery_version=looking)
    assert found.source is (Source.ASSET if expected is LookupSource.ASSET else Source.CATALOG)
    if found.source is Source.CATALOG:
        assert (found.terms.tier_entry is not None) == (TIERS in sources)
    else:
        assert found.terms == sold[ASSET].on(FEBRUARY, "USD").terms


@given(sources=STACKS, has_own=st.booleans(), is_agreed=st.booleans())
def test_a_candidate_wins_or_says_why_it_did_not(sources, has_own, is_agreed):
    """Each is in the answer or among the losers.

    An asset's rate, one that was agreed for its target, a base rate and tiers.
    """
    rates, looking = index(BASE, STEPS), discovery_version(*sources)
    sold = sold_at() if has_own else {ASSET: None}
    other = agreed("other", 2, (day(1), None))
    if has_own and is_agreed:
        sold = {ASSET: replace(sold[ASSET], additions=(other,))}
    try:
        terms = answer(asked(), JANUARY, rates, sold, discovery_version=looking)
    except RateNotFound:
        winners = set()
    else:
        own = {terms.asset_id} - {None}
        assert (terms.source is Source.TARGET) == (terms.asset_id == other.asset_id)
        catalog = {terms.terms.base_entry, terms.terms.tier_entry} - {None}
        winners = own or catalog

    rejected = explained(asked(), JANUARY, rates, sold, discovery_version=looking).rejected

    lost = {one.asset_id or one.entry: one.why for one in rejected}
    candidates = {BASE.key, STEPS.key} | ({ASSET[1]} if has_own else set())
    candidates |= {other.asset_id} if has_own and is_agreed else set()
    assert lost.keys() | winners == candidates
    assert not lost.keys() & winners
    firsts = {Why.ASSET_FIRST, Why.TARGET_FIRST, Why.PLACE_LATER, Why.NOT_LOOKED_AT}
    assert set(lost.values()) <= firsts
    for source, one in (
        (LookupSource.ASSET, ASSET[1]),
        (LookupSource.TARGET, other.asset_id),
        (RATES, BASE.key),
    ):
        assert (lost.get(one) is Why.NOT_LOOKED_AT) == (one in candidates and source not in sources)


@given(sources=STACKS, is_negotiated=st.booleans(), is_fixed=st.booleans())
def test_the_target_goes_before_what_an_asset_took_from_the_catalog_if_it_is_looked_at_first(
    sources, is_negotiated, is_fixed
):
    other, looking = agreed("other", 2, (day(1), None)), discovery_version(*sources)
    own = sold_at()[ASSET]
    [stretch] = own.stretches
    if is_negotiated:
        terms = replace(stretch.terms, negotiated_rate=Rate(value=Decimal(4), unit="USD"))
        stretch = replace(stretch, terms=terms)
    own = replace(own, is_fixed=is_fixed, stretches=(stretch,), additions=(other,))
    places = [one for one in sources if one in (LookupSource.ASSET, LookupSource.TARGET)]
    if LookupSource.ASSET not in places and (is_fixed or not places):
        with pytest.raises(RateNotFound):
            answer(asked(book=None), JANUARY, index(), {ASSET: own}, discovery_version=looking)
        return
    order = [one for one in sources if one in (LookupSource.TARGET, RATES)]
    wins = places[0] is LookupSource.TARGET or (
        order[:1] == [LookupSource.TARGET] and not is_negotiated
    )

    found = answer(asked(book=None), JANUARY, index(), {ASSET: own}, discovery_version=looking)

    assert found.source is (Source.TARGET if wins and not is_fixed else Source.ASSET)
    assert found.terms.effective_rate.value == (
        2 if found.source is Source.TARGET else 4 if is_negotiated else 3
    )


def test_what_is_shipped_is_the_usual_and_any_other_order_is_not():
    assert SHIPPED_DISCOVERY.is_usual
    assert SHIPPED_DISCOVERY.parts is EVERY_PART
    assert SHIPPED_DISCOVERY.name == "procedures/default-discovery/versions/v1"
    assert discovery_version(*LookupSource).is_usual
    for sources in (
        (RATES, LookupSource.ASSET, LookupSource.TARGET, TIERS, ATTRIBUTES),
        (LookupSource.ASSET, RATES, TIERS, ATTRIBUTES),
        (LookupSource.ASSET, LookupSource.TARGET, RATES, TIERS),
    ):
        assert not discovery_version(*sources).is_usual


def test_tiers_without_rates_are_not_looked_at():
    assert discovery_version(LookupSource.ASSET, TIERS, ATTRIBUTES).parts == frozenset()


def test_tiers_that_stand_alone_are_a_rate_only_where_they_are_looked_at():
    alone = index(entry("steps", tiers=(tier(0, None, "5"),)))
    question = Question("book", "plan", "sms", "USD", FEBRUARY)

    assert alone.find(question).terms.tiers
    with pytest.raises(RateNotFound) as caught:
        alone.find(question, frozenset({RateCardType.BASE}))
    assert caught.value.facts["missing"] == "PRODUCT"
    assert alone.find_addition(question, frozenset({RateCardType.BASE})) is None
    assert alone.find_addition(question).terms.tiers


def test_a_book_without_a_card_that_is_looked_at_says_so():
    card = RateCard(id="tiers", type=RateCardType.TIER)
    book = PriceBook(id="book", card_ids=(card.id,))
    rates = CatalogRates([book], [card], [STEPS])

    with pytest.raises(RateNotFound, match="no card that is looked at") as caught:
        rates.find(Question("book", "plan", "sms", "USD", FEBRUARY), frozenset({RateCardType.BASE}))

    assert caught.value.facts["missing"] == "RATE_CARD"


def test_an_answer_found_without_tiers_and_one_with_them_are_kept_apart():
    rates = index(BASE, STEPS)
    question = Question("book", "plan", "sms", "USD", FEBRUARY)

    plain, whole = rates.find(question, frozenset({RateCardType.BASE})), rates.find(question)

    assert (plain.terms.tiers, whole.terms.tiers) == ((), STEPS.tiers)
    assert rates.find(question, frozenset({RateCardType.BASE})) is plain
    assert rates.find(question) is whole


@pytest.mark.parametrize(
    ("day", "name"), [(JANUARY, "low"), (FEBRUARY, "high"), (date(2024, 2, 29), "high")]
)
def test_the_version_of_the_day_with_the_highest_rank_looks(day, name):
    high = CompiledDiscovery.of(version(RATES, id_="high", rank=2, start=FEBRUARY, end=MARCH))
    low = CompiledDiscovery.of(version(RATES, id_="low", rank=1, end=MARCH))

    assert DiscoveryVersions("own", (high, low)).on(day).version.id == name
    with pytest.raises(FailedPrecondition) as caught:
        DiscoveryVersions("own", (high, low)).on(MARCH)
    assert caught.value.reason == "PROCEDURE_NOT_IN_FORCE"
    assert caught.value.facts["procedure"] == "procedures/own"
    assert SHIPPED_DISCOVERY_VERSIONS.on(day) is SHIPPED_DISCOVERY


def test_what_was_sold_is_not_made_cheaper_or_dearer_by_what_is_looked_at():
    at = {ASSET: sold_at("3")[ASSET]}
    three = Decimal(3)

    whole = answer(asked(quantity=three), JANUARY, index(BASE, STEPS), at)
    bare = answer(
        asked(quantity=three),
        JANUARY,
        index(BASE, STEPS),
        at,
        discovery_version=discovery_version(LookupSource.ASSET),
    )

    assert whole.rated.amount == bare.rated.amount == 9


def test_an_asset_that_begins_later_leaves_the_turn_to_the_next_place():
    later = sold_at(start=MARCH)
    looking = discovery_version(LookupSource.ASSET, RATES)

    assert (
        answer(asked(), JANUARY, index(BASE), later, discovery_version=looking).source
        is Source.CATALOG
    )
    own = answer(asked(day=MARCH), JANUARY, index(BASE), later, discovery_version=looking)
    assert own.source is Source.ASSET
