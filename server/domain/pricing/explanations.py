"""Why the others lost: every candidate for a question that did not win, and the reason.

Candidates are the active entries for the product's resource on the cards of the book, what the
asset was sold under, and what was added to it. Nothing here decides what wins; `discovery` and
`additions` do.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from heapq import nsmallest

from server.domain.calendar import local_date, local_midnight
from server.domain.exact import plain
from server.domain.ids import AssetId, RateEntryId, SellingModelId
from server.domain.modelling.policies import CommitmentRate, OveragePolicy
from server.domain.pricing.discovery import Asked, AssetRates, Held, Source
from server.domain.pricing.procedures.state import Line
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
from server.domain.pricing.rating import RatingFailed
from server.domain.selling.additions import Addition, chosen, chosen_agreement, is_negotiated

# What one question is told; how many more there are is counted.
MOST_LOSERS = 50


class Why(StrEnum):
    """Why a candidate lost. Those that came nearest are first, and are told first."""

    ASSET_FIRST = "ASSET_FIRST"
    TARGET_FIRST = "TARGET_FIRST"
    NEGOTIATED = "NEGOTIATED"
    ADDITION_FIRST = "ADDITION_FIRST"
    ASSET_NEGOTIATED = "ASSET_NEGOTIATED"
    RATE_FIXED = "RATE_FIXED"
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
    Why.NEGOTIATED: "another was negotiated in its place",
    Why.TARGET_FIRST: "what was agreed for the target goes before the catalogue's",
    Why.ADDITION_FIRST: "a pack was added, whose rate goes before this one",
    Why.ASSET_NEGOTIATED: "what was negotiated for the asset itself goes before the target's",
    Why.RATE_FIXED: "the asset's rate is fixed; nothing that is agreed for the target changes it",
    Why.NOT_NEGOTIATED: "it was not negotiated, and another in force was",
    Why.STARTED_EARLIER: "another {kind} started later",
    Why.NOT_CHEAPER: "another {kind} that started with it is cheaper, or as cheap and was first",
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
    most: int = MOST_LOSERS,
) -> Explanation:
    """Who else could have answered the question, and why they did not.

    Commitments are compared as `versions` of the rating procedure price them.
    """
    day = asked.day or today
    losers: list[Loser] = []
    won: RateTerms | None = None
    beaten: Why | None = None
    owned = None if asked.held is None else sold.get(asked.held)
    if asked.held is not None and owned is not None:
        won = owned.on(day, asked.currency_code)
        if won is not None and asked.attributes is not None:
            won = won.used_with(asked.attributes)
        if won is not None:
            beaten = Why.ASSET_FIRST if won.agreed_on is None else Why.TARGET_FIRST
        rater = versions.on(owned.rated_from(day)) if asked.quantity is not None else None
        losers += _of_asset(asked, asked.held[1], owned, day, won, rater)
    question = asked.in_catalogue(today)
    others: list[Loser] = []
    total = 0
    if question is not None:
        told = {one.entry for one in losers if one.source is Source.CATALOG}
        total, others = _of_catalogue(question, rates, beaten, told, most)
    found = [*losers, *others]
    return Explanation(tuple(found[:most]), max(0, len(losers) + total - most))


def _of_catalogue(
    question: Question,
    rates: CatalogueRates,
    beaten: Why | None,
    told: set[RateEntryId | None],
    most: int,
) -> tuple[int, list[Loser]]:
    """How many entries lost, and those that came nearest."""
    candidates = list(rates.candidates(question))
    won = _won(question, rates)
    with_model = {
        card.id for card, entry in candidates if entry.key in won and entry.selling_model_id
    }
    lost: list[tuple[int, int, RateEntryId, RateCard, RateCardEntry, Why]] = []
    for card, entry in candidates:
        key = entry.key
        why = _why(question, card, entry, key in won, beaten, card.id in with_model)
        if why is not None and key not in told:
            lost.append((RANKS[why], days_away(entry, question.day), key, card, entry, why))
    nearest = nsmallest(most, lost, key=lambda one: one[:3])
    return len(lost), [_loser(card, entry, why) for _, _, _, card, entry, why in nearest]


def _won(question: Question, rates: CatalogueRates) -> set[RateEntryId | None]:
    with suppress(RateNotFound):
        terms = rates.find(question).terms
        return {terms.base_entry, terms.tier_entry, terms.attribute_entry} - {None}
    return set()


def _why(
    question: Question,
    card: RateCard,
    entry: RateCardEntry,
    has_won: bool,
    beaten: Why | None,
    is_for_model: bool,
) -> Why | None:
    """Why an entry lost; None for one that won, unless what was sold has `beaten` the catalogue."""
    if has_won:
        return beaten
    if entry.currency_code != question.currency_code:
        return Why.OTHER_CURRENCY
    if entry.selling_model_id not in (None, question.selling_model_id):
        return Why.OTHER_SELLING_MODEL
    if not in_force(card.start, card.end, question.day):
        return Why.CARD_NOT_IN_FORCE
    if not in_force(entry.start, entry.end, question.day):
        return Why.NOT_IN_FORCE
    return Why.SELLING_MODEL_FIRST if is_for_model else Why.NO_BASE_RATE


def _loser(card: RateCard, entry: RateCardEntry, why: Why) -> Loser:
    span = card if why is Why.CARD_NOT_IN_FORCE else entry
    words = WORDS[why].format(
        dates=span_text(span.start, span.end),
        model=entry.selling_model_id,
        unit=entry.currency_code,
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


def _of_asset(
    asked: Asked,
    asset_id: AssetId,
    rates: AssetRates,
    day: date,
    won: RateTerms | None,
    rater: Rater | None,
) -> Iterator[Loser]:
    """What the asset was sold under and what was added to it, as far as it did not win."""
    midnight = local_midnight(rates.zone, day)
    own = rates.own_at(midnight)
    winner = chosen(own, midnight, rates.competing)
    agreed = chosen_agreement(own, midnight, rates.competing)
    if won is not None:
        yield from _replaced(won)
    for stretch in rates.stretches:
        why = _why_not_own(asked, stretch.terms, stretch.is_open(midnight), winner)
        if why is not None:
            sold = Addition(
                asset_id=asset_id, start=stretch.start, end=stretch.end, terms=stretch.terms
            )
            yield _asset_loser(why, sold, stretch.terms, rates.zone)
    compared = _compared(asked.quantity, won, rates.overage, rater)
    for one in rates.additions:
        why = _not_there(one, midnight, own)
        if why is None and one.is_agreed:
            why = _why_not_agreed(one, winner, agreed, rates.is_fixed)
        elif why is None:
            why = _why_not_added(one, winner, asked.quantity, compared)
        if why is not None and one.terms is not None:
            amount = compared.amounts.get(one.asset_id)
            yield _asset_loser(why, one, one.terms, rates.zone, amount)


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
    asked: Asked, terms: RateTerms, is_open: bool, winner: Addition | None
) -> Why | None:
    if asked.currency_code not in (None, terms.unit):
        return Why.OTHER_CURRENCY
    if not is_open:
        return Why.NOT_IN_FORCE
    if winner is None:
        return None
    return Why.TARGET_FIRST if winner.is_agreed else Why.ADDITION_FIRST


def _not_there(one: Addition, at: datetime, own: RateTerms | None) -> Why | None:
    """Why something that was added does not compete at all."""
    if not one.is_open(at) or own is None:
        return Why.NOT_IN_FORCE
    if one.terms is None or one.terms.unit != own.unit:
        return Why.OTHER_CURRENCY
    return None


def _why_not_agreed(
    one: Addition, winner: Addition | None, best: Addition | None, is_fixed: bool
) -> Why | None:
    """Why something that was agreed for the target lost to the `best` such, a pack or the asset."""
    if one is winner:
        return None
    if is_fixed:
        return Why.RATE_FIXED
    if best is None:
        return Why.ASSET_NEGOTIATED
    if one is best:
        return Why.ADDITION_FIRST
    return Why.STARTED_EARLIER if one.start < best.start else Why.NOT_CHEAPER


def _why_not_added(
    one: Addition,
    winner: Addition | None,
    quantity: Decimal | None,
    compared: "_Compared",
) -> Why | None:
    if one is winner:
        return None
    if one.commitment is CommitmentRate.BOUNDED:
        return Why.ENDS_WITH_COMMITMENT
    if one.commitment is CommitmentRate.LOWEST:
        return _why_not_committed(one.asset_id, quantity, compared)
    if winner is None or winner.is_agreed:
        return Why.NOT_NEGOTIATED
    if is_negotiated(winner.terms) and not is_negotiated(one.terms):
        return Why.NOT_NEGOTIATED
    return Why.STARTED_EARLIER if one.start < winner.start else Why.NOT_CHEAPER


def _why_not_committed(
    asset_id: AssetId, quantity: Decimal | None, compared: "_Compared"
) -> Why | None:
    if quantity is None:
        return Why.NO_QUANTITY
    return None if asset_id == compared.lowest else Why.NOT_LOWEST


@dataclass(frozen=True, slots=True)
class _Compared:
    """What a quantity comes to with each commitment alone, and which of them is used, if any."""

    amounts: Mapping[AssetId, Decimal]
    lowest: AssetId | None = None


def _compared(
    quantity: Decimal | None,
    won: RateTerms | None,
    overage: OveragePolicy,
    rater: Rater | None,
) -> _Compared:
    if quantity is None or won is None or not won.committed or rater is None:
        return _Compared({})
    amounts: dict[AssetId, Decimal] = {}
    for committed in won.committed:
        alone = replace(won, committed=(committed,))
        amount = _amount(quantity, alone, overage, rater)
        if committed.commitment is not None and amount is not None:
            amounts[committed.commitment] = amount
    best = min(amounts, key=lambda asset_id: (amounts[asset_id], asset_id), default=None)
    without = _amount(quantity, replace(won, committed=()), overage, rater)
    if best is not None and without is not None and amounts[best] >= without:
        best = None
    return _Compared(amounts, best)


def _amount(
    quantity: Decimal, terms: RateTerms, overage: OveragePolicy, rater: Rater
) -> Decimal | None:
    line = Line(quantity=quantity, terms=terms, tier_quantity=quantity, overage=overage)
    with suppress(RatingFailed):
        return rater.price(line).amount
    return None


def _asset_loser(
    why: Why, sold: Addition, terms: RateTerms, zone: str, amount: Decimal | None = None
) -> Loser:
    kind = "agreement for the target" if sold.is_agreed else "pack"
    start, end = (
        local_date(zone, sold.start),
        None if sold.end is None else local_date(zone, sold.end),
    )
    words = WORDS[why].format(dates=span_text(start, end), unit=terms.unit, kind=kind)
    if why is Why.NOT_LOWEST and amount is not None:
        words = f"{words}: {plain(amount)}"
    return Loser(
        why=why,
        words=words,
        source=Source.TARGET if sold.is_agreed else Source.ASSET,
        unit=terms.unit,
        rate=terms.effective_rate,
        entry=terms.base_entry or terms.tier_entry,
        asset_id=sold.asset_id,
        start=start,
        end=end,
    )
