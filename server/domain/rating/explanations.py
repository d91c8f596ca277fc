"""Explanations: every candidate for a question that was rejected, with the reason.

Candidates are the active entries for the product's resource on the cards of the book, the terms of
the asset, and its additions. Nothing here decides which candidate wins; `discovery` and `additions`
do.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from heapq import nsmallest

from server.domain.errors import NotFound
from server.domain.ids import RateEntryId
from server.domain.rating.compiled_discovery import SHIPPED_DISCOVERY, SOURCES, CompiledDiscovery
from server.domain.rating.compiled_rating import SHIPPED_VERSIONS, RatingVersions
from server.domain.rating.discovery import DiscoveryQuestion, RatesByTarget, Source
from server.domain.rating.procedures.elements import LookupSource
from server.domain.rating.rate_cards import RateCard, RateCardEntry, in_force
from server.domain.rating.rate_index import (
    CatalogRates,
    Question,
    RateNotFound,
    span_text,
)
from server.domain.rating.rate_spans import days_away
from server.domain.rating.rejected_candidates import RANKS, WORDS, RejectedCandidate, Why
from server.domain.rating.rejected_sold_rates import Contest, lost
from server.domain.rating.sales import NotForSale
from server.domain.rating.sold_rates import AssetRates

# The most that one answer lists; the rest is only counted.
MOST_REJECTED = 50


@dataclass(frozen=True, slots=True)
class Explanation:
    """The rejected candidates that came nearest, and the number of further ones."""

    rejected: tuple[RejectedCandidate, ...] = ()
    omitted: int = 0


def explained(
    asked: DiscoveryQuestion,
    today: date,
    rates: CatalogRates,
    sold: RatesByTarget,
    versions: RatingVersions = SHIPPED_VERSIONS,
    discovery_version: CompiledDiscovery = SHIPPED_DISCOVERY,
) -> Explanation:
    """Return the candidates that `discovery_version` rejected for the question, with the reasons.

    Commitments are compared at the prices of `versions` of the rating procedure.
    """
    day = asked.day or today
    question = asked.in_catalog(today)
    # The entries that make the catalog's rate; they lose only to sold terms.
    listed = set() if question is None else _won(question, rates, discovery_version)
    owned = None if asked.held is None else sold.get(asked.held)
    rejected: list[RejectedCandidate] = []
    first: Why | None = None
    if owned is not None:
        rater = versions.on(owned.rated_from(day)) if asked.quantity is not None else None
        contest = Contest.of(asked, day, owned, discovery_version, rater)
        if listed:
            answering = contest.answering | {LookupSource.CATALOG_RATES}
            contest = replace(contest, answering=answering)
        rejected += lost(contest)
        first = _first(contest)
    others: list[RejectedCandidate] = []
    total = 0
    if question is not None:
        # An entry that negotiated terms replaced is in the list already.
        told = {candidate.entry for candidate in rejected if candidate.source is Source.CATALOG}
        catalog = _Catalog(question, rates, listed, first, discovery_version)
        total, others = _of_catalog(catalog, told)
    found = [*rejected, *others]
    omitted = max(0, len(rejected) + total - MOST_REJECTED)
    return Explanation(tuple(found[:MOST_REJECTED]), omitted)


def _first(contest: Contest) -> Why | None:
    """Return why sold terms win over the catalog, or None if they do not."""
    if contest.won is None or contest.won.terms is None:
        return None
    is_agreed = contest.won.terms.agreed_on is not None
    of_asset = isinstance(contest.rates, AssetRates) and not is_agreed
    return Why.ASSET_FIRST if of_asset else Why.TARGET_FIRST


@dataclass(frozen=True, slots=True)
class _Catalog:
    """A question for the catalog, the winning entries, and the reason if sold terms came first."""

    question: Question
    rates: CatalogRates
    won: set[RateEntryId]
    first: Why | None
    discovery_version: CompiledDiscovery


def _of_catalog(
    catalog: _Catalog, told: set[RateEntryId | None]
) -> tuple[int, list[RejectedCandidate]]:
    """Return the number of rejected entries, and those that came nearest."""
    question, discovery_version = catalog.question, catalog.discovery_version
    candidates = list(catalog.rates.candidates(question))
    chosen = catalog.rates.chosen(question)
    winners = {card.id: entry for card, entry in candidates if entry.key in chosen}
    lost: list[tuple[int, int, RateEntryId, RateCard, RateCardEntry, Why]] = []
    for card, entry in candidates:
        key = entry.key
        why = _why(catalog, card, entry, winners.get(card.id))
        if why is not None and key not in told:
            lost.append((RANKS[why], days_away(entry, question.day), key, card, entry, why))
    # A question can have thousands of candidates, of which only the nearest are listed.
    nearest = nsmallest(MOST_REJECTED, lost, key=lambda one: one[:3])
    return len(lost), [
        _rejected(card, entry, why, discovery_version) for *_, card, entry, why in nearest
    ]


def _won(
    question: Question, rates: CatalogRates, discovery_version: CompiledDiscovery
) -> set[RateEntryId]:
    """Return the entries that make the catalog's rate, if the catalog is searched."""
    if LookupSource.CATALOG_RATES not in discovery_version.places:
        return set()
    with suppress(RateNotFound, NotForSale, NotFound):
        terms = rates.find(question, discovery_version.parts).terms
        found = (terms.base_entry, terms.tier_entry, terms.attribute_entry)
        return {entry for entry in found if entry is not None}
    return set()


def _why(
    catalog: _Catalog,
    card: RateCard,
    entry: RateCardEntry,
    chosen: RateCardEntry | None,
) -> Why | None:
    """Return why an entry was rejected, or None. `chosen` is its card's entry of the day."""
    question = catalog.question
    if entry.key in catalog.won:
        return catalog.first
    if entry is chosen and card.type not in catalog.discovery_version.parts:
        return Why.NOT_LOOKED_AT
    if entry.currency_code != question.currency_code:
        return Why.OTHER_CURRENCY
    if entry.selling_model_id not in (None, question.selling_model_id):
        return Why.OTHER_SELLING_MODEL
    if not in_force(card.start, card.end, question.day):
        return Why.CARD_NOT_IN_FORCE
    if not in_force(entry.start, entry.end, question.day):
        return Why.NOT_IN_FORCE
    if chosen is None or entry is chosen:
        is_sold = catalog.rates.is_for_sale(question)
        return Why.NO_BASE_RATE if is_sold else Why.NOT_FOR_SALE
    is_wider = entry.is_blanket and not chosen.is_blanket
    return Why.RESOURCE_FIRST if is_wider else Why.SELLING_MODEL_FIRST


def _rejected(
    card: RateCard, entry: RateCardEntry, why: Why, discovery_version: CompiledDiscovery
) -> RejectedCandidate:
    span = card if why is Why.CARD_NOT_IN_FORCE else entry
    words = WORDS[why].format(
        dates=span_text(span.start, span.end),
        model=entry.selling_model_id,
        unit=entry.currency_code,
        discovery_version=discovery_version.words,
        place=SOURCES[card.type],
    )
    return RejectedCandidate(
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
