"""Price books, rate cards and their entries as values, and the checks of an entry before saving.

A book has at most one card of each type. Dates are civil, ends are exclusive. An absent start or
end means that the span is unbounded. Source: rate cards.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum

from server.domain.errors import (
    AlreadyExists,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
    Subject,
    Violation,
)
from server.domain.ids import (
    PriceBookId,
    ProductId,
    RateCardId,
    RateEntryId,
    ResourceId,
    SellingModelId,
)
from server.domain.limits import value_of
from server.domain.modeling.catalog import CatalogState
from server.domain.rating.rates import (
    ONE,
    AdjustmentKind,
    AttributeRow,
    Rate,
    Tier,
    TierBounds,
    TierMode,
    check_package,
    check_tiers,
    close_gaps,
)

ALL_RESOURCES = ResourceId("")
"""The resource of an entry without one: everything that a commitment discounts."""


class RateCardType(StrEnum):
    """The content of a card's entries."""

    BASE = "BASE"
    TIER = "TIER"
    ATTRIBUTE = "ATTRIBUTE"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceBook:
    """The cards that apply together, at most one of each type, stored by type."""

    id: PriceBookId
    display_name: str = ""
    card_ids: tuple[RateCardId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RateCard:
    """A container of entries of one type, and the days on which it applies."""

    id: RateCardId
    display_name: str = ""
    type: RateCardType
    start: date | None = None
    end: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RateCardEntry:
    """The price of one resource of one product in one currency, for a span of days.

    An entry with a selling model applies to sales under that model, and wins over one without.
    Tiers of a commitment may be for `ALL_RESOURCES`; an entry for the resource itself wins over
    them.

    A base entry has a rate. A tier entry has tiers; without a base rate, their overrides are for
    `per` units, which is 1 on other cards. An attribute entry has adjustments, of which the
    first match applies. `state` is the one it had when it was read, and not a part of its content.
    """

    id: RateEntryId
    card_id: RateCardId
    product_id: ProductId
    resource_id: ResourceId
    selling_model_id: SellingModelId | None = None
    currency_code: str
    rate: Rate | None = None
    per: Decimal = ONE
    tiers: tuple[Tier, ...] = ()
    bounds: TierBounds = TierBounds.LOWER_INCLUSIVE
    mode: TierMode = TierMode.VOLUME
    adjustments: tuple[AttributeRow, ...] = ()
    is_negotiable: bool = True
    max_discount_percent: Decimal | None = None
    custom_fields: tuple[tuple[str, str], ...] = ()
    start: date | None = None
    end: date | None = None
    state: CatalogState = field(default=CatalogState.DRAFT, compare=False)

    @property
    def key(self) -> RateEntryId:
        """The id that is unique among all cards: `card/entry`."""
        return RateEntryId(f"{self.card_id}/{self.id}")

    @property
    def name(self) -> str:
        """The resource name in the API."""
        return f"rateCards/{self.card_id}/entries/{self.id}"

    @property
    def prices(self) -> tuple[RateCardId, ProductId, ResourceId, str, str]:
        """The key that is unique among the entries in force on one day."""
        model = self.selling_model_id or ""
        return self.card_id, self.product_id, self.resource_id, self.currency_code, model

    @property
    def is_blanket(self) -> bool:
        """True if it is for all resources of a commitment."""
        return self.resource_id == ALL_RESOURCES

    @property
    def size(self) -> int:
        """The number of its tiers and adjustments."""
        return len(self.tiers) + len(self.adjustments)

    @property
    def stands_alone(self) -> bool:
        """True if it prices a unit without a base rate."""
        if self.rate is not None:
            return True
        overrides = [t.adjustment.kind is AdjustmentKind.OVERRIDE for t in self.tiers]
        return bool(overrides) and all(overrides)


@dataclass(frozen=True, slots=True, kw_only=True)
class CardSize:
    """The entries and tiers of a card, as a count or a limit; adjustments count as tiers."""

    entries: int
    tiers: int


USUAL_SIZE = CardSize(entries=value_of("rate.card_entries"), tiers=value_of("rate.card_tiers"))


def check_size(card_id: RateCardId, size: CardSize, most: CardSize) -> None:
    """Raise LIMIT_RATE_CARD if a card would exceed its limits."""
    name = f"rateCards/{card_id}"
    counts = (("entries", size.entries, most.entries), ("tiers", size.tiers, most.tiers))
    for what, got, limit in counts:
        if got > limit:
            text = f"{name} would have {got} {what}; a rate card has at most {limit}"
            facts = {"name": name, "limit": str(limit), "got": str(got), "of": what}
            violations = (Violation(name, "LIMIT_RATE_CARD", text),)
            raise ResourceExhausted("LIMIT_RATE_CARD", text, facts, violations)


def check_types(
    card_ids: Iterable[RateCardId], known: Mapping[RateCardId, RateCard]
) -> tuple[RateCardId, ...]:
    """Return the cards of a book in the order of their types.

    Raises RATE_CARD_NOT_FOUND, RATE_CARD_TYPE_TAKEN.
    """
    by_type: dict[RateCardType, RateCardId] = {}
    for card_id in card_ids:
        if card_id not in known:
            raise NotFound.of("RateCard", f"rateCards/{card_id}")
        kind = known[card_id].type
        if kind in by_type:
            raise AlreadyExists(
                "RATE_CARD_TYPE_TAKEN",
                f"{card_id} and {by_type[kind]} are both of type {kind}; a book has one of each",
                {"type": kind, "rate_card": card_id, "other_rate_card": by_type[kind]},
                subject=Subject("RateCard", f"rateCards/{by_type[kind]}"),
            )
        by_type[kind] = card_id
    return tuple(by_type[kind] for kind in sorted(by_type))


def in_force(start: date | None, end: date | None, day: date) -> bool:
    """Return whether `day` is in a span of days."""
    return (start is None or start <= day) and (end is None or day < end)


def overlapping(
    entering: Iterable[RateCardEntry], there: Iterable[RateCardEntry] = ()
) -> list[tuple[RateCardEntry, RateCardEntry]]:
    """Return each entry that would be in force with another one on the same days, with that other.

    An entering entry replaces an entry in force with the same id. If several overlap one, the
    result names the one that ends last.
    """
    new = {entry.key: entry for entry in entering}
    spans = new | {entry.key: entry for entry in there if entry.key not in new}
    found: list[tuple[RateCardEntry, RateCardEntry]] = []
    # One sweep in the order of starts: an entry overlaps if it starts before the latest end so far.
    furthest: RateCardEntry | None = None
    for entry in sorted(
        spans.values(), key=lambda entry: (entry.prices, entry.start or date.min, entry.id)
    ):
        if furthest is None or entry.prices != furthest.prices:
            furthest = entry
            continue
        if (entry.start or date.min) < (furthest.end or date.max):
            pair = (entry, furthest) if entry.key in new else (furthest, entry)
            found.append(pair)
        if (entry.end or date.max) > (furthest.end or date.max):
            furthest = entry
    return found


def tried(entries: Iterable[RateCardEntry]) -> list[RateCardEntry]:
    """Return the entries as if the drafts among them were in force, without overlaps.

    A draft takes its days from active entries, and of two drafts the one that starts later wins.
    """
    found: dict[tuple[str, ...], list[RateCardEntry]] = {}
    # Drafts come last, by start, so each of them cuts the days of the entries before it.
    for entry in sorted(entries, key=_trial_key):
        over = found.setdefault(entry.prices, [])
        found[entry.prices] = [*(part for one in over for part in _outside(one, entry)), entry]
    return [one for same in found.values() for one in same]


def _trial_key(entry: RateCardEntry) -> tuple[bool, date, RateEntryId]:
    return entry.state is CatalogState.DRAFT, entry.start or date.min, entry.id


def _outside(entry: RateCardEntry, of: RateCardEntry) -> Iterable[RateCardEntry]:
    """Yield the parts of an entry's days before and after those of another."""
    if of.start is not None and (entry.start or date.min) < of.start:
        yield replace(entry, end=min(of.start, entry.end or of.start))
    if of.end is not None and of.end < (entry.end or date.max):
        yield replace(entry, start=max(of.end, entry.start or of.end))


def checked(
    entry: RateCardEntry, card: RateCardType, *, scale: int, path: str = "rate_card_entry"
) -> RateCardEntry:
    """Return the entry as a card of this type stores it: gaps of inclusive tiers are closed.

    `scale` is the scale of the resource's unit; for all resources, the finest. Raises
    FIELD_REQUIRED, RATE_CARD_TYPE_MISMATCH, CURRENCY_MISMATCH, TIERS_INVALID, UNIT_SCALE,
    ATTRIBUTES_INVALID.
    """
    says = {
        RateCardType.BASE: ("rate", entry.rate is not None),
        RateCardType.TIER: ("tiers", bool(entry.tiers)),
        RateCardType.ATTRIBUTE: ("adjustments", bool(entry.adjustments)),
    }
    field, is_there = says.pop(card)
    _need(is_there, f"{path}.{field}", f"required on a card of type {card}")
    for field, is_there in says.values():
        _refuse(is_there, f"{path}.{field}", f"a card of type {card} has none")
    # Only tiers have a number of units of their own; a base rate has it in the rate.
    if card is not RateCardType.TIER:
        _refuse(entry.per != ONE, f"{path}.tier_per", f"a card of type {card} has no tiers")
    if card is RateCardType.BASE:
        _check_currency(entry, path)
        if entry.rate is not None:
            check_package(entry.rate, scale=scale, path=f"{path}.rate")
        return entry
    if card is RateCardType.ATTRIBUTE:
        _check_rows(entry.adjustments, f"{path}.adjustments")
        return entry
    if entry.is_blanket:
        _check_adjusts(entry.tiers, f"{path}.tiers.tiers")
    tiers = entry.tiers
    if entry.bounds is TierBounds.UPPER_INCLUSIVE:
        tiers = close_gaps(tiers, scale=scale)
    check_tiers(tiers, scale=scale, path=f"{path}.tiers.tiers")
    return replace(entry, tiers=tiers)


def _check_adjusts(tiers: tuple[Tier, ...], path: str) -> None:
    """Raise TIERS_INVALID for an override in an entry for all resources."""
    for index, tier in enumerate(tiers):
        if tier.adjustment.kind is AdjustmentKind.OVERRIDE:
            fault = "must adjust the rate: without a usage_resource there is none to override"
            raise InvalidArgument.at(f"{path}[{index}]", "TIERS_INVALID", fault)


def _check_rows(rows: tuple[AttributeRow, ...], path: str) -> None:
    """Raise ATTRIBUTES_INVALID for a row that is never reached after an earlier one."""
    for index, row in enumerate(rows):
        for place, earlier in enumerate(rows[:index]):
            if set(earlier.attributes) <= set(row.attributes):
                fault = f"is never reached: adjustments[{place}] fits whatever it fits"
                raise InvalidArgument.at(f"{path}[{index}]", "ATTRIBUTES_INVALID", fault)


def _need(is_there: bool, path: str, fault: str) -> None:
    if not is_there:
        raise InvalidArgument.at(path, "FIELD_REQUIRED", fault)


def _refuse(is_there: bool, path: str, fault: str) -> None:
    if is_there:
        raise InvalidArgument.at(path, "RATE_CARD_TYPE_MISMATCH", fault)


def _check_currency(entry: RateCardEntry, path: str) -> None:
    assert entry.rate is not None, entry
    if entry.rate.unit != entry.currency_code:
        raise InvalidArgument.at(
            f"{path}.rate.currency_code",
            "CURRENCY_MISMATCH",
            f"must be the entry's, {entry.currency_code}",
            currency_code=entry.rate.unit,
            entry_currency_code=entry.currency_code,
        )
