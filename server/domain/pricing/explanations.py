"""Why the others lost: every candidate for a question that did not win, and the reason.

Candidates are the active entries for the product's resource on the cards of the book, what the
asset was sold under, and what was added to it. Nothing here decides what wins; `discovery` and
`additions` do.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from heapq import nsmallest

from server.domain.calendar import local_date, local_midnight
from server.domain.exact import plain
from server.domain.ids import AssetId, RateEntryId, SellingModelId
from server.domain.modelling.policies import CommitmentRate
from server.domain.pricing.comparison import Compared, compared
from server.domain.pricing.discovery import Asked, AssetRates, Held, Source
from server.domain.pricing.finders import SHIPPED_FINDER, SOURCES, Finder
from server.domain.pricing.procedures.elements import LookupSource
from server.domain.pricing.rate_cards import RateCard, RateCardEntry, in_force
from server.domain.pricing.rate_index import (
    CatalogueRates,
    Question,
    RateNotFound,
    days_away,
    span_text,
)
from server.domain.pricing.raters import SHIPPED_VERSIONS, Rater, Versions
from server.domain.pricing.rates import Rate, RateTerms
from server.domain.selling.additions import Addition, chosen_pack, is_negotiated

# What one question is told; how many more there are is counted.
MOST_LOSERS = 50


class Why(StrEnum):
    """Why a candidate lost. Those that came nearest are first, and are told first."""

    ASSET_FIRST = "ASSET_FIRST"
    PLACE_LATER = "PLACE_LATER"
    NOT_LOOKED_AT = "NOT_LOOKED_AT"
    NEGOTIATED = "NEGOTIATED"
    ADDITION_FIRST = "ADDITION_FIRST"
    NOT_NEGOTIATED = "NOT_NEGOTIATED"
    STARTED_EARLIER = "STARTED_EARLIER"
    NOT_CHEAPER = "NOT_CHEAPER"
    NOT_LOWEST = "NOT_LOWEST"
    NO_QUANTITY = "NO_QUANTITY"
    ENDS_WITH_COMMITMENT = "ENDS_WITH_COMMITMENT"
    SELLING_MODEL_FIRST = "SELLING_MODEL_FIRST"
    NO_BASE_RATE = "NO_BASE_RATE"
    NOT_IN_FORCE = "NOT_IN_FORCE"
    CARD_NOT_IN_FORCE = "CARD_NOT_IN_FORCE"
    OTHER_SELLING_MODEL = "OTHER_SELLING_MODEL"
    OTHER_CURRENCY = "OTHER_CURRENCY"


WORDS = {
    Why.ASSET_FIRST: "the asset has a rate of its own, which goes before the catalogue's",
    Why.PLACE_LATER: "{finder} looks in {place} after the place that has an answer",
    Why.NOT_LOOKED_AT: "{finder} does not look in {place}",
    Why.NEGOTIATED: "another was negotiated in its place",
    Why.ADDITION_FIRST: "a pack was added to the asset, whose rate goes before the asset's own",
    Why.NOT_NEGOTIATED: "it was not negotiated, and another in force was",
    Why.STARTED_EARLIER: "another pack started later",
    Why.NOT_CHEAPER: "another pack that started with it is cheaper, or as cheap and was first",
    Why.NOT_LOWEST: "it does not make the quantity cheaper than all others do",
    Why.NO_QUANTITY: "a commitment is compared when a quantity is asked for",
    Why.ENDS_WITH_COMMITMENT: "its policy says that its rate ends with what was committed to",
    Why.SELLING_MODEL_FIRST: "it is for all, and there is one for the selling model",
    Why.NO_BASE_RATE: "it adjusts a base rate for as many units, and none applies",
    Why.NOT_IN_FORCE: "it applies {dates}",
    Why.CARD_NOT_IN_FORCE: "its rate card applies {dates}",
    Why.OTHER_SELLING_MODEL: "it is for the selling model {model}",
    Why.OTHER_CURRENCY: "it is in {unit}",
}
RANKS = {why: rank for rank, why in enumerate(Why)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Loser:
    """A candidate that did not win: where it is, what it says, when, and why it lost.

    Of the catalogue it has an entry, of an asset or an addition an asset, perhaps both.
    """

    why: Why
    words: str
    source: Source
    unit: str
    rate: Rate | None
    entry: RateEntryId | None = None
    asset_id: AssetId | None = None
    selling_model_id: SellingModelId | None = None
    start: date | None = None
    end: date | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """The losers that came nearest, and how many more there were."""

    losers: tuple[Loser, ...] = ()
    omitted: int = 0


def explained(
    asked: Asked,
    today: date,
    rates: CatalogueRates,
    sold: Mapping[Held, AssetRates | None],
    versions: Versions = SHIPPED_VERSIONS,
    finder: Finder = SHIPPED_FINDER,
) -> Explanation:
    """Who else could have answered the question where `finder` looks, and why they did not.

    Commitments are compared as `versions` of the rating procedure price them.
    """
    day = asked.day or today
    losers: list[Loser] = []
    won: RateTerms | None = None
    question = asked.in_catalogue(today)
    listed = set() if question is None else _won(question, rates, finder)
    beaten = _beaten(LookupSource.ASSET, finder, {LookupSource.CATALOG_RATES} if listed else set())
    owned = None if asked.held is None else sold.get(asked.held)
    if asked.held is not None and owned is not None:
        won = owned.on(day, asked.currency_code)
        if won is not None and asked.attributes is not None:
            won = won.used_with(asked.attributes)
        rater = versions.on(owned.rated_from(day)) if asked.quantity is not None else None
        own = _Own(asked, asked.held[1], owned, day, won, rater, finder, beaten)
        losers += _of_asset(own)
    others: list[Loser] = []
    total = 0
    if question is not None:
        told = {one.entry for one in losers if one.source is Source.CATALOG}
        has_own = won is not None and beaten is None
        catalogue = _Catalogue(question, rates, listed, has_own, finder)
        total, others = _of_catalogue(catalogue, told)
    found = [*losers, *others]
    omitted = max(0, len(losers) + total - MOST_LOSERS)
    return Explanation(tuple(found[:MOST_LOSERS]), omitted)


def _beaten(place: LookupSource, finder: Finder, answering: set[LookupSource]) -> Why | None:
    """Why nothing of a place wins, whatever is there; None where something may."""
    if place not in finder.places:
        return Why.NOT_LOOKED_AT
    before = finder.places[: finder.places.index(place)]
    return None if answering.isdisjoint(before) else Why.PLACE_LATER


@dataclass(frozen=True, slots=True)
class _Catalogue:
    """A question for the catalogue, the entries that answer it, and whether an asset did before."""

    question: Question
    rates: CatalogueRates
    won: set[RateEntryId]
    has_own: bool
    finder: Finder


def _of_catalogue(catalogue: _Catalogue, told: set[RateEntryId | None]) -> tuple[int, list[Loser]]:
    """How many entries lost, and those that came nearest."""
    question, finder = catalogue.question, catalogue.finder
    candidates = list(catalogue.rates.candidates(question))
    chosen = catalogue.rates.chosen(question)
    with_model = {
        card.id for card, entry in candidates if entry.key in chosen and entry.selling_model_id
    }
    lost: list[tuple[int, int, RateEntryId, RateCard, RateCardEntry, Why]] = []
    for card, entry in candidates:
        key = entry.key
        why = _why(catalogue, card, entry, key in chosen, card.id in with_model)
        if why is not None and key not in told:
            lost.append((RANKS[why], days_away(entry, question.day), key, card, entry, why))
    nearest = nsmallest(MOST_LOSERS, lost, key=lambda one: one[:3])
    return len(lost), [_loser(card, entry, why, finder) for *_, card, entry, why in nearest]


def _won(question: Question, rates: CatalogueRates, finder: Finder) -> set[RateEntryId]:
    """The entries that make a rate of the catalogue, as far as it is looked in."""
    if LookupSource.CATALOG_RATES not in finder.places:
        return set()
    with suppress(RateNotFound):
        terms = rates.find(question, finder.parts).terms
        found = (terms.base_entry, terms.tier_entry, terms.attribute_entry)
        return {entry for entry in found if entry is not None}
    return set()


def _why(
    catalogue: _Catalogue,
    card: RateCard,
    entry: RateCardEntry,
    is_chosen: bool,
    is_for_model: bool,
) -> Why | None:
    """Why an entry lost; None for one that won. Of its card the chosen one is that of the day."""
    question = catalogue.question
    if entry.key in catalogue.won:
        return Why.ASSET_FIRST if catalogue.has_own else None
    if is_chosen and card.type not in catalogue.finder.parts:
        return Why.NOT_LOOKED_AT
    if entry.currency_code != question.currency_code:
        return Why.OTHER_CURRENCY
    if entry.selling_model_id not in (None, question.selling_model_id):
        return Why.OTHER_SELLING_MODEL
    if not in_force(card.start, card.end, question.day):
        return Why.CARD_NOT_IN_FORCE
    if not in_force(entry.start, entry.end, question.day):
        return Why.NOT_IN_FORCE
    return Why.SELLING_MODEL_FIRST if is_for_model and not is_chosen else Why.NO_BASE_RATE


def _loser(card: RateCard, entry: RateCardEntry, why: Why, finder: Finder) -> Loser:
    span = card if why is Why.CARD_NOT_IN_FORCE else entry
    words = WORDS[why].format(
        dates=span_text(span.start, span.end),
        model=entry.selling_model_id,
        unit=entry.currency_code,
        finder=finder.words,
        place=SOURCES[card.type],
    )
    return Loser(
        why=why,
        words=words,
        source=Source.CATALOG,
        unit=entry.currency_code,
        rate=entry.rate,
        entry=entry.key,
        selling_model_id=entry.selling_model_id,
        start=entry.start,
        end=entry.end,
    )


@dataclass(frozen=True, slots=True)
class _Own:
    """What an asset says to a question; `won` is what it would answer, `beaten` why it does not."""

    asked: Asked
    asset_id: AssetId
    rates: AssetRates
    day: date
    won: RateTerms | None
    rater: Rater | None
    finder: Finder
    beaten: Why | None


def _of_asset(of: _Own) -> Iterator[Loser]:
    """What the asset was sold under and what was added to it, as far as it did not win."""
    asked, rates, won = of.asked, of.rates, of.won
    midnight = local_midnight(rates.zone, of.day)
    own = rates.own_at(midnight)
    pack = chosen_pack(own, midnight, rates.additions)
    if won is not None and of.beaten is None:
        yield from _replaced(won)
    for stretch in rates.stretches:
        why = _why_not_own(asked, stretch.terms, stretch.is_open(midnight), pack) or of.beaten
        if why is not None:
            span = stretch.start, stretch.end
            yield _asset_loser(why, of.asset_id, of, span, stretch.terms)
    alone = compared(asked.quantity, won, rates.overage, of.rater)
    for one in rates.additions:
        why = _why_not_added(one, midnight, own, pack, asked.quantity, alone) or of.beaten
        if why is not None and one.terms is not None:
            span, amount = (one.start, one.end), alone.amounts.get(one.asset_id)
            yield _asset_loser(why, one.asset_id, of, span, one.terms, amount)


def _replaced(terms: RateTerms) -> Iterator[Loser]:
    """What the catalogue said, where something else was agreed."""
    replaced = (
        (terms.base_entry, terms.rate, terms.negotiated_rate is not None),
        (terms.tier_entry, None, terms.negotiated_tiers is not None),
    )
    for entry, listed, is_replaced in replaced:
        if is_replaced and entry is not None:
            yield Loser(
                why=Why.NEGOTIATED,
                words=WORDS[Why.NEGOTIATED],
                source=Source.CATALOG,
                unit=terms.unit,
                rate=listed,
                entry=entry,
            )


def _why_not_own(
    asked: Asked, terms: RateTerms, is_open: bool, pack: Addition | None
) -> Why | None:
    if asked.currency_code not in (None, terms.unit):
        return Why.OTHER_CURRENCY
    if not is_open:
        return Why.NOT_IN_FORCE
    return None if pack is None else Why.ADDITION_FIRST


def _why_not_added(
    one: Addition,
    at: datetime,
    own: RateTerms | None,
    pack: Addition | None,
    quantity: Decimal | None,
    alone: Compared,
) -> Why | None:
    if one is pack:
        return None
    if not one.is_open(at) or own is None:
        return Why.NOT_IN_FORCE
    if one.terms is None or one.terms.unit != own.unit:
        return Why.OTHER_CURRENCY
    if one.commitment is CommitmentRate.BOUNDED:
        return Why.ENDS_WITH_COMMITMENT
    if one.commitment is CommitmentRate.LOWEST:
        return _why_not_committed(one.asset_id, quantity, alone)
    if pack is None or (is_negotiated(pack.terms) and not is_negotiated(one.terms)):
        return Why.NOT_NEGOTIATED
    return Why.STARTED_EARLIER if one.start < pack.start else Why.NOT_CHEAPER


def _why_not_committed(asset_id: AssetId, quantity: Decimal | None, alone: Compared) -> Why | None:
    if quantity is None:
        return Why.NO_QUANTITY
    return None if asset_id == alone.lowest else Why.NOT_LOWEST


def _asset_loser(
    why: Why,
    asset_id: AssetId,
    of: _Own,
    span: tuple[datetime, datetime | None],
    terms: RateTerms,
    amount: Decimal | None = None,
) -> Loser:
    zone, (first, last) = of.rates.zone, span
    start, end = local_date(zone, first), None if last is None else local_date(zone, last)
    words = WORDS[why].format(
        dates=span_text(start, end),
        unit=terms.unit,
        finder=of.finder.words,
        place=LookupSource.ASSET,
    )
    if why is Why.NOT_LOWEST and amount is not None:
        words = f"{words}: {plain(amount)}"
    return Loser(
        why=why,
        words=words,
        source=Source.ASSET,
        unit=terms.unit,
        rate=terms.effective_rate,
        entry=terms.base_entry or terms.tier_entry,
        asset_id=asset_id,
        start=start,
        end=end,
    )
