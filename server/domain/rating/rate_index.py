"""The index of active rates: the rate of a product's resource on a day, or why there is none.

A price book names one card of each type. The base rate is the entry in force on the day on its BASE
card, the tiers on its TIER card, the adjustments by attribute on its ATTRIBUTE card. A card outside
its own dates has no entries in force. On each card an entry for the selling model wins over one for
all models, and both win over one for all resources of a commitment, which can only adjust.
Currencies are not converted. A refusal names the nearest candidate.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from server.domain.caches import BoundedCache
from server.domain.calendar import Days
from server.domain.errors import FailedPrecondition, NotFound
from server.domain.ids import (
    PriceBookId,
    ProductId,
    RateCardId,
    RateEntryId,
    ResourceId,
    SellingModelId,
    UnitId,
)
from server.domain.rating.cached_terms import MOST_EDGES, CatalogTerms, TermsByDay
from server.domain.rating.rate_cards import (
    PriceBook,
    RateCard,
    RateCardEntry,
    RateCardType,
    in_force,
)
from server.domain.rating.rate_spans import Key, Spans, days_away, first_day
from server.domain.rating.rates import ONE, RateTerms
from server.domain.rating.sales import ALWAYS, NotForSale, Sales

_Chosen = tuple[RateCardEntry | None, RateCardEntry | None, RateCardEntry | None]
_LineKey = tuple[PriceBookId, Key, SellingModelId | None]

BASE, TIER, ATTRIBUTE = RateCardType.BASE, RateCardType.TIER, RateCardType.ATTRIBUTE

Parts = frozenset[RateCardType]
"""The card types from which an answer is made."""

EVERY_PART: Parts = frozenset(RateCardType)


class Missing(StrEnum):
    """The record that would have to exist for a rate to be found."""

    PRICE_BOOK = "PRICE_BOOK"
    RATE_CARD = "RATE_CARD"
    PRODUCT = "PRODUCT"
    USAGE_RESOURCE = "USAGE_RESOURCE"
    CURRENCY = "CURRENCY"
    SELLING_MODEL = "SELLING_MODEL"
    DATE = "DATE"
    PLACE = "PLACE"
    BASE_RATE = "BASE_RATE"


class RateNotFound(FailedPrecondition):
    """There is no rate; `facts["missing"]` names the missing record."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question for the catalog: the price of a unit by this price book on this day."""

    price_book_id: PriceBookId
    product_id: ProductId
    resource_id: ResourceId
    currency_code: str
    day: date
    selling_model_id: SellingModelId | None = None

    @property
    def key(self) -> Key:
        """The subject of the question, on any card."""
        return self.product_id, self.resource_id, self.currency_code


class CatalogRates:
    """An index of active entries: an answer takes one look-up and one bisection for each card.

    With a selling model it takes one more of each; an answer given before takes one of each in all.
    Entries of one card, product, resource, currency and selling model never overlap. The index does
    not change after it is made, except for the answers that it caches. From an older index it
    reuses the entries of unchanged cards. What cannot be bought by `sales` has no answer.
    """

    def __init__(
        self,
        books: Iterable[PriceBook],
        cards: Iterable[RateCard],
        entries: Iterable[RateCardEntry],
        kept: "KeptCards | None" = None,
        sales: Sales = ALWAYS,
    ) -> None:
        self._sales = sales
        by_id = {card.id: card for card in cards}
        self._books = {
            book.id: {by_id[card_id].type: by_id[card_id] for card_id in book.card_ids}
            for book in books
        }
        self._spans = {card_id: Spans() for card_id in by_id} | dict(kept or {})
        # Spans take their entries in the order of their starts.
        for entry in sorted(entries, key=first_day):
            self._spans.setdefault(entry.card_id, Spans()).add(entry)
        # Keyed by the identity of entries, which exist as long as the index: hashing costs more.
        self._terms: BoundedCache[tuple[int, int, int], CatalogTerms] = BoundedCache(
            "discovery.catalog_terms", entries=50_000, entry_bytes=1_024
        )
        self._lines: BoundedCache[_LineKey, TermsByDay] = BoundedCache(
            "discovery.catalog_lines", entries=50_000, entry_bytes=20 * MOST_EDGES
        )

    def all_but(self, changed: Collection[RateCardId]) -> "KeptCards":
        """Return the entries of the cards that have not changed, for the next index."""
        return {card_id: spans for card_id, spans in self._spans.items() if card_id not in changed}

    def find(self, question: Question, parts: Parts = EVERY_PART) -> CatalogTerms:
        """Return the terms from these parts.

        Raises `RateNotFound` (RATE_NOT_FOUND); for what cannot be bought, `NotForSale`
        (RESOURCE_INACTIVE) and SELLING_MODEL_NOT_FOUND.
        """
        # Before the look-up: the cache does not tell models without entries apart.
        if question.selling_model_id is not None:
            self._sales.check_model(question.selling_model_id)
        if parts is not EVERY_PART:
            # Not cached: the key of the cache does not include the parts.
            return self._find_sold(question, parts)
        key = self._line_key(question)
        line = self._lines.get(key)
        known = None if line is None else line.at(question.day)
        if known is not None:
            return known
        found = self._find_sold(question, parts)
        self._line_of(key).keep(question.day, found)
        return found

    def around(self, question: Question) -> Days:
        """Return the days around a question's day on which its answer is the same."""
        return self._line_of(self._line_key(question)).around(question.day)

    def is_for_sale(self, question: Question) -> bool:
        """Return whether the subject of a question can be bought on its day."""
        with suppress(NotForSale, NotFound):
            if question.selling_model_id is not None:
                self._sales.check_model(question.selling_model_id)
            self._sales.check(question.product_id, question.resource_id, question.day)
            return True
        return False

    def _find_sold(self, question: Question, parts: Parts) -> CatalogTerms:
        """Return the terms of what can be bought; without any rate, that is the error."""
        found = self._find(question, parts)
        self._sales.check(question.product_id, question.resource_id, question.day)
        return found

    def _find(self, question: Question, parts: Parts) -> CatalogTerms:
        cards: Mapping[RateCardType, RateCard] | None = self._books.get(question.price_book_id)
        if cards is None:
            fault = f"there is no price book {question.price_book_id}"
            raise _not_found(question, Missing.PRICE_BOOK, fault)
        if parts is not EVERY_PART:
            cards = _only(cards, parts)
        base, tier, attribute = self._chosen(cards, question)
        entries = (id(base), id(tier), id(attribute))
        # Many questions choose the same entries and share one object for their terms.
        known = self._terms.get(entries)
        if known is not None:
            return known
        if base is None and (tier is None or not tier.stands_alone):
            raise self._why(cards, tier, question)
        if base is not None and tier is not None:
            _check_per(base, tier, question)
        found = _terms(base, tier, attribute, question.currency_code)
        self._terms.put(entries, found)
        return found

    def _line_key(self, question: Question) -> _LineKey:
        """Return the cache key without the day, and without a selling model that has no entries."""
        book_id, key, model = question.price_book_id, question.key, question.selling_model_id
        # A model without entries gets the answer for all models. One shared key keeps the cache
        # small.
        if model is not None:
            cards = self._books.get(book_id, {}).values()
            if not any(self._spans[card.id].knows(key, model) for card in cards):
                model = None
        return book_id, key, model

    def _line_of(self, asked: _LineKey) -> TermsByDay:
        """Return the cached answers of a question, with the days on which the answer may change.

        Callers ask only after an answer was found. Unknown names are not cached, so that the cache
        stays bounded.
        """
        line = self._lines.get(asked)
        if line is None:
            book_id, key, model = asked
            cards = self._books[book_id].values()
            spans = (span for card in cards for span in self._spans[card.id].of(key, model))
            edges = [(entry.start, entry.end) for span in spans for entry in span]
            edges += [(card.start, card.end) for card in cards]
            edges += self._sales.edges(*key[:2])
            line = TermsByDay(day for edge in edges for day in edge if day is not None)
            if line.edges <= MOST_EDGES:
                self._lines.put(asked, line)
        return line

    def parts(self, but_of: "CatalogRates | None" = None) -> Iterator[object]:
        """Yield each span and entry that `but_of` does not share, to be released one by one."""
        for card_id, spans in self._spans.items():
            if but_of is not None and but_of._spans.get(card_id) is spans:
                continue
            for span in (*spans.for_all.values(), *spans.own.values()):
                yield span
                yield from span

    def find_addition(self, question: Question, parts: Parts = EVERY_PART) -> CatalogTerms | None:
        """Return the terms that adjust an anchor, which may have no rate of their own, or None."""
        cards = _only(self._books.get(question.price_book_id, {}), parts)
        base, tier, attribute = self._chosen(cards, question)
        if base or tier or attribute:
            return _terms(base, tier, attribute, question.currency_code)
        return None

    def chosen(self, question: Question) -> set[RateEntryId]:
        """Return the entries in force on the cards of the book, whether or not they make a rate."""
        cards = self._books.get(question.price_book_id, {})
        return {entry.key for entry in self._chosen(cards, question) if entry is not None}

    def candidates(self, question: Question) -> Iterator[tuple[RateCard, RateCardEntry]]:
        """Yield every active entry for the product's resource on the cards of the book."""
        product_id, resource_id = question.product_id, question.resource_id
        for card in self._books.get(question.price_book_id, {}).values():
            spans = self._spans[card.id]
            for unit in sorted(spans.units(product_id, resource_id)):
                for span in spans.all_of((product_id, resource_id, unit)):
                    for entry in span:
                        yield card, entry

    def _chosen(self, cards: Mapping[RateCardType, RateCard], question: Question) -> _Chosen:
        key = question.key
        return (
            self._entry(cards.get(BASE), question, key),
            self._entry(cards.get(TIER), question, key),
            self._entry(cards.get(ATTRIBUTE), question, key),
        )

    def _entry(self, card: RateCard | None, question: Question, key: Key) -> RateCardEntry | None:
        if card is None or not in_force(card.start, card.end, question.day):
            return None
        return self._spans[card.id].at(key, question.selling_model_id, question.day)

    def _why(
        self,
        cards: Mapping[RateCardType, RateCard],
        tier: RateCardEntry | None,
        question: Question,
    ) -> RateNotFound:
        if tier is not None:
            fault = f"the tiers of {tier.key} adjust a rate, and there is none"
            return _not_found(question, Missing.BASE_RATE, fault, entry=tier.key)
        card = cards.get(BASE) or cards.get(TIER) or next(iter(cards.values()), None)
        if card is None:
            fault = "the price book has no card that is looked at"
            return _not_found(question, Missing.RATE_CARD, fault)
        if not in_force(card.start, card.end, question.day):
            fault = f"the rate card {card.id} applies {span_text(card.start, card.end)}"
            return _not_found(question, Missing.RATE_CARD, fault, rate_card=card.id)
        return self._why_not_on(card, question)

    def _why_not_on(self, card: RateCard, question: Question) -> RateNotFound:
        product_id, resource_id = question.product_id, question.resource_id
        facts = {"rate_card": str(card.id)}
        spans = self._spans[card.id]
        # From the widest to the narrowest, so that the refusal names the first thing that is
        # missing.
        if product_id not in spans.products:
            fault = f"the rate card {card.id} has no active entry for the product"
            return _not_found(question, Missing.PRODUCT, fault, **facts)
        currencies = spans.units(product_id, resource_id)
        if not currencies:
            fault = f"the rate card {card.id} has no active entry for that resource of the product"
            return _not_found(question, Missing.USAGE_RESOURCE, fault, **facts)
        if question.currency_code not in currencies:
            facts["currencies"] = ", ".join(sorted(currencies))
            fault = f"the rate card {card.id} has it in {facts['currencies']}"
            return _not_found(question, Missing.CURRENCY, fault, **facts)
        spans_of = spans.of(question.key, question.selling_model_id)
        near = [span.nearest(question.day) for span in spans_of]
        if not near:
            fault = f"the rate card {card.id} has it for other selling models only"
            return _not_found(question, Missing.SELLING_MODEL, fault, **facts)
        nearest = min(near, key=lambda entry: days_away(entry, question.day))
        facts |= {"nearest": nearest.key, "nearest_dates": span_text(nearest.start, nearest.end)}
        fault = f"the nearest is {nearest.key}, which applies {facts['nearest_dates']}"
        return _not_found(question, Missing.DATE, fault, **facts)


KeptCards = Mapping[RateCardId, Spans]
"""The entries of unchanged cards, passed from one index to the next."""


def _only(cards: Mapping[RateCardType, RateCard], parts: Parts) -> Mapping[RateCardType, RateCard]:
    return {kind: card for kind, card in cards.items() if kind in parts}


def _entry_key(entry: RateCardEntry | None) -> RateEntryId | None:
    return None if entry is None else entry.key


def _terms(
    base: RateCardEntry | None,
    tier: RateCardEntry | None,
    attribute: RateCardEntry | None,
    currency_code: str,
) -> CatalogTerms:
    parts = [entry for entry in (base, tier, attribute) if entry is not None]
    tiers = {} if tier is None else {"tiers": tier.tiers, "bounds": tier.bounds, "mode": tier.mode}
    terms = RateTerms(
        unit=UnitId(currency_code),
        per=ONE if tier is None else tier.per,
        rate=None if base is None else base.rate,
        base_entry=_entry_key(base),
        tier_entry=_entry_key(tier),
        adjustments=() if attribute is None else attribute.adjustments,
        attribute_entry=_entry_key(attribute),
        # The first part comes last, so that its values win.
        custom_fields={k: v for part in reversed(parts) for k, v in part.custom_fields},
        **tiers,  # type: ignore[arg-type]
    )
    limits = [part.max_discount_percent for part in parts if part.max_discount_percent is not None]
    return CatalogTerms(
        terms=terms,
        is_fixed=not all(part.is_negotiable for part in parts),
        max_discount_percent=min(limits, default=None),
    )


def _check_per(base: RateCardEntry, tier: RateCardEntry, question: Question) -> None:
    """Raise RATE_NOT_FOUND if tiers count other units than the base rate that they override."""
    assert base.rate is not None, base
    if tier.per not in (ONE, base.rate.per):
        fault = f"the tiers of {tier.key} are for {tier.per} units, the rate of {base.key} is not"
        facts = {"entry": tier.key, "per": str(tier.per), "base_entry": base.key}
        raise _not_found(question, Missing.BASE_RATE, fault, **facts)


def span_text(start: date | None, end: date | None) -> str:
    """Return a span of days as text."""
    if start is None and end is None:
        return "always"
    if end is None:
        return f"from {start} on"
    return f"before {end}" if start is None else f"from {start} and before {end}"


def _not_found(question: Question, missing: Missing, fault: str, **facts: str) -> RateNotFound:
    about = f"{question.resource_id} of {question.product_id} in {question.currency_code}"
    return RateNotFound(
        "RATE_NOT_FOUND",
        f"no rate for {about} on {question.day}: {fault}",
        {
            "price_book": question.price_book_id,
            "product": question.product_id,
            "usage_resource": question.resource_id,
            "currency_code": question.currency_code,
            "date": question.day.isoformat(),
            "missing": missing,
            **({"selling_model": question.selling_model_id} if question.selling_model_id else {}),
            **facts,
        },
    )
