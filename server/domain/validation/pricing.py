"""The rules of a product's rates: each resource has exactly one rate, and it can be sold.

A rate prices a resource by itself if it is a base rate, or if its tiers all override. An offer is a
price book and a currency in which a resource has such a rate.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from server.domain.errors import Violation
from server.domain.ids import PriceBookId, RateCardId, ResourceId, SellingModelId
from server.domain.modeling.catalog import CatalogState
from server.domain.rating.rate_cards import RateCardEntry
from server.domain.validation.rules import Finding, Rule, Severity
from server.domain.validation.setups import (
    EffectiveDays,
    Metered,
    Setup,
    charged,
    entry_name,
    gaps,
    overlaps,
)

# In every time zone a day is longer than this, so a longer gap is at least one day.
TOLERATED = timedelta(hours=12)

Offer = tuple[PriceBookId, str]
Key = tuple[RateCardId, ResourceId, str]


@dataclass(frozen=True, slots=True)
class _Hole:
    """Days on which a resource is sold and an offer has no rate, with the entries beside them.

    With a selling model, only sales under that model have no rate.
    """

    metered: Metered
    offer: Offer
    model: SellingModelId | None
    days: EffectiveDays
    before: RateCardEntry | None
    after: RateCardEntry | None

    @property
    def finding(self) -> Finding:
        book, currency = self.offer
        under = f" under {self.model}" if self.model else ""
        text = f"{self.metered.id} has no rate in {currency} by {book}{under} {self.days}"
        beside = (entry_name(one) for one in (self.before, self.after) if one)
        return Finding(text, (*beside, self.metered.name))


def _offers(setup: Setup, metered: Metered) -> dict[Offer, list[RateCardEntry]]:
    """Return the entries that price a resource by themselves on some of its days, by offer."""
    found: defaultdict[Offer, list[RateCardEntry]] = defaultdict(list)
    for entry in setup.entries_of(metered.id):
        if entry.stands_alone and setup.priced_days(entry).meets(setup.sold_days(metered)):
            for book in setup.books:
                if entry.card_id in book.card_ids:
                    found[book.id, entry.currency_code].append(entry)
    return dict(sorted(found.items()))


def _holes(setup: Setup) -> Iterator[_Hole]:
    for metered in charged(setup):
        for offer, found in _offers(setup, metered).items():
            for model, entries in _by_model(found):
                spans = [setup.priced_days(entry) for entry in entries]
                ending = {days.end: entry for days, entry in zip(spans, entries, strict=True)}
                starting = {days.start: entry for days, entry in zip(spans, entries, strict=True)}
                for hole in gaps(setup.sold_days(metered), spans):
                    if hole.end - hole.start > TOLERATED:
                        before, after = ending.get(hole.start), starting.get(hole.end)
                        yield _Hole(metered, offer, model, hole, before, after)


def _by_model(
    entries: list[RateCardEntry],
) -> Iterator[tuple[SellingModelId | None, list[RateCardEntry]]]:
    """Yield the entries for each selling model: those for all models, and the model's own."""
    models = {entry.selling_model_id for entry in entries}
    for model in sorted(models, key=lambda one: one or ""):
        yield model, [entry for entry in entries if entry.selling_model_id in (None, model)]


def _effectivity_mismatch(setup: Setup) -> Iterator[Finding]:
    for metered in setup.resources:
        for entry in setup.entries_of(metered.id):
            days = setup.priced_days(entry)
            if not days.meets(metered.days):
                text = f"it applies {days}, and {metered.id} is sold {metered.days}"
                yield Finding(text, (entry_name(entry), metered.name))


def _rate_missing(setup: Setup) -> Iterator[Finding]:
    for metered in charged(setup):
        entries = setup.entries_of(metered.id)
        if not any(setup.priced_days(entry).meets(metered.span) for entry in entries):
            text = f"{metered.id} has no rate in force {setup.sold_days(metered)}"
            yield Finding(text, (metered.name,))


def _currency_unit_missing(setup: Setup) -> Iterator[Finding]:
    for entry in setup.entries:
        if entry.currency_code in setup.unitless_currencies:
            text = f"it is in {entry.currency_code}, which is not an active unit of money"
            yield Finding(text, (entry_name(entry), f"unitsOfMeasure/{entry.currency_code}"))


def _rate_gap(setup: Setup) -> Iterator[Finding]:
    for hole in _holes(setup):
        if hole.before and hole.after:
            yield hole.finding


def _rate_starts_late(setup: Setup) -> Iterator[Finding]:
    for hole in _holes(setup):
        if hole.before is None:
            yield hole.finding


def _rate_ends_early(setup: Setup) -> Iterator[Finding]:
    for hole in _holes(setup):
        if hole.before and hole.after is None and hole.metered.days.end != date.max:
            yield hole.finding


def _rate_runs_out(setup: Setup) -> Iterator[Finding]:
    for hole in _holes(setup):
        if hole.before and hole.after is None and hole.metered.days.end == date.max:
            yield hole.finding


def _rate_overlap(setup: Setup) -> Iterator[Finding]:
    for entry, other in overlaps(setup):
        text = f"{entry.id} and {other.id} of {entry.card_id} apply on the same days"
        entering, there = (entry, other) if entry.state is CatalogState.DRAFT else (other, entry)
        refused = Violation(
            entry_name(entering), "RATE_OVERLAP", f"overlaps {entry_name(there)} on some days"
        )
        yield Finding(text, (entry_name(entry), entry_name(other)), refused)


def _price_book_missing(setup: Setup) -> Iterator[Finding]:
    sold = {card_id for book in setup.books for card_id in book.card_ids}
    for entry in setup.entries:
        if entry.card_id not in sold:
            text = f"no price book has {entry.card_id}, so no sale can use this rate"
            yield Finding(text, (entry_name(entry), f"rateCards/{entry.card_id}"))


def _offered(setup: Setup) -> dict[ResourceId, set[Offer]]:
    """Return the offers of each charged resource that has any."""
    found: defaultdict[ResourceId, set[Offer]] = defaultdict(set)
    for metered in charged(setup):
        if metered.token_id is None:
            found[metered.id] |= set(_offers(setup, metered))
    return {resource_id: offers for resource_id, offers in found.items() if offers}


def _not_sellable(setup: Setup) -> Iterator[Finding]:
    offered = _offered(setup)
    if offered and not set.intersection(*offered.values()):
        named = "; ".join(f"{id_} by {_listed(offers)}" for id_, offers in offered.items())
        text = f"no price book has rates in one currency for all resources: {named}"
        names = (f"{setup.name}/usageResources/{resource_id}" for resource_id in offered)
        yield Finding(text, (setup.name, *names))


def _currency_incomplete(setup: Setup) -> Iterator[Finding]:
    offered = _offered(setup)
    # Without any complete offer, NOT_SELLABLE reports the product instead.
    everywhere = set.intersection(*offered.values()) if offered else set()
    for book, currency in sorted(set().union(*offered.values()) - everywhere if everywhere else ()):
        lacking = [id_ for id_, offers in offered.items() if (book, currency) not in offers]
        text = f"by {book} in {currency} there is no rate for {', '.join(lacking)}"
        names = (f"{setup.name}/usageResources/{resource_id}" for resource_id in lacking)
        yield Finding(text, (*names, f"priceBooks/{book}"))


def _listed(offers: set[Offer]) -> str:
    return ", ".join(f"{book} in {currency}" for book, currency in sorted(offers))


RATES = (
    Rule(
        "EFFECTIVITY_MISMATCH",
        Severity.ERROR,
        "A rate applies on some of the days on which its resource is sold.",
        "Give the entry, its card or the product's resource dates that meet.",
        _effectivity_mismatch,
    ),
    Rule(
        "RATE_MISSING",
        Severity.ERROR,
        "Every resource whose overage is charged has a rate in force.",
        "Create an entry for the product and resource, and activate the product.",
        _rate_missing,
    ),
    Rule(
        "CURRENCY_UNIT_MISSING",
        Severity.ERROR,
        "A tenant with units of money has one for every currency that the product is sold in.",
        "Create the unit in a class of money, or activate it again by ChangeStates.",
        _currency_unit_missing,
    ),
    Rule(
        "RATE_GAP",
        Severity.WARNING,
        "There is no day between two rates of a resource.",
        "Move the end of the earlier entry to the day on which the later one starts.",
        _rate_gap,
    ),
    Rule(
        "RATE_STARTS_LATE",
        Severity.WARNING,
        "The first rate of a resource applies from the first day on which it is sold.",
        "Add an entry for the days before, from the first day of the product's resource.",
        _rate_starts_late,
    ),
    Rule(
        "RATE_ENDS_EARLY",
        Severity.WARNING,
        "The last rate of a resource applies until the resource is no longer sold.",
        "End the entry, or its card, when the product's resource ends, or add another.",
        _rate_ends_early,
    ),
    Rule(
        "RATE_RUNS_OUT",
        Severity.WARNING,
        "A resource that is sold without an end has a rate without an end.",
        "Add an entry that follows the last one.",
        _rate_runs_out,
    ),
    Rule(
        "RATE_OVERLAP",
        Severity.ERROR,
        "The entries of a card for one resource and currency apply one at a time.",
        "End the earlier entry as the later one starts, by SupersedeRateCardEntry.",
        _rate_overlap,
    ),
    Rule(
        "PRICE_BOOK_MISSING",
        Severity.ERROR,
        "Every rate is on a card of some price book.",
        "Create a price book with the card.",
        _price_book_missing,
    ),
    Rule(
        "NOT_SELLABLE",
        Severity.ERROR,
        "Some price book has rates in one currency for all resources that are charged.",
        "Add the entries that are missing in one currency.",
        _not_sellable,
    ),
    Rule(
        "CURRENCY_INCOMPLETE",
        Severity.WARNING,
        "A currency that has a rate for one resource has one for all.",
        "Add the entries that are missing in the currency.",
        _currency_incomplete,
    ),
)
