"""The entries of rate cards by what they price, each in the order of their days."""

from bisect import bisect_right
from collections.abc import Iterator
from datetime import date

from server.domain.ids import ProductId, ResourceId, SellingModelId
from server.domain.rating.rate_cards import ALL_RESOURCES, RateCardEntry

# What a card has entries for: a resource of a product in a unit, for all or for a selling model.
Key = tuple[ProductId, ResourceId, str]
Own = tuple[ProductId, ResourceId, str, SellingModelId]


def blanket(key: Key) -> Key:
    """What a card may have besides: entries for all resources of the product, a commitment."""
    product_id, _, unit = key
    return product_id, ALL_RESOURCES, unit


class Span:
    """The entries of one key in the order of their days."""

    __slots__ = ("_entries", "_starts")

    def __init__(self) -> None:
        self._entries: list[RateCardEntry] = []
        self._starts: list[date] = []

    def add(self, entry: RateCardEntry) -> None:
        """Put the next one after those that start before it."""
        self._entries.append(entry)
        self._starts.append(first_day(entry))

    def __iter__(self) -> Iterator[RateCardEntry]:
        return iter(self._entries)

    def at(self, day: date) -> RateCardEntry | None:
        """The one in force on `day`."""
        index = bisect_right(self._starts, day) - 1
        entry = self._entries[index] if index >= 0 else None
        return entry if entry is not None and (entry.end is None or day < entry.end) else None

    def nearest(self, day: date) -> RateCardEntry:
        """The one that begins or ends the fewest days away; of two, the earlier."""
        return min(self._entries, key=lambda entry: days_away(entry, day))


class Spans:
    """The entries of one card, for all and for selling models."""

    __slots__ = ("currencies", "for_all", "models", "own", "products")

    def __init__(self) -> None:
        self.for_all: dict[Key, Span] = {}
        self.own: dict[Own, Span] = {}
        self.models: dict[Key, list[SellingModelId]] = {}
        self.products: set[ProductId] = set()
        self.currencies: dict[tuple[ProductId, ResourceId], set[str]] = {}

    def add(self, entry: RateCardEntry) -> None:
        """Take in the next entry by the day it starts."""
        key = (entry.product_id, entry.resource_id, entry.currency_code)
        self.products.add(entry.product_id)
        self.currencies.setdefault(key[:2], set()).add(entry.currency_code)
        if entry.selling_model_id is None:
            self.for_all.setdefault(key, Span()).add(entry)
            return
        own = self.own.get((*key, entry.selling_model_id))
        if own is None:
            own = self.own[*key, entry.selling_model_id] = Span()
            self.models.setdefault(key, []).append(entry.selling_model_id)
        own.add(entry)

    def all_of(self, key: Key) -> Iterator[Span]:
        """The entries for all, and those for each selling model."""
        for one in (key, blanket(key)):
            if one in self.for_all:
                yield self.for_all[one]
            for model in self.models.get(one, ()):
                yield self.own[*one, model]

    def of(self, key: Key, model: SellingModelId | None) -> Iterator[Span]:
        """The entries that could answer on some day, those first that go before the others."""
        for one in (key, blanket(key)):
            if model is not None and (*one, model) in self.own:
                yield self.own[*one, model]
            if one in self.for_all:
                yield self.for_all[one]

    def at(self, key: Key, model: SellingModelId | None, day: date) -> RateCardEntry | None:
        """The entry that answers on `day`."""
        for span in self.of(key, model):
            found = span.at(day)
            if found is not None:
                return found
        return None

    def knows(self, key: Key, model: SellingModelId) -> bool:
        """Whether there are entries for a selling model."""
        return (*key, model) in self.own or (*blanket(key), model) in self.own

    def units(self, product_id: ProductId, resource_id: ResourceId) -> set[str]:
        """The currencies and tokens in which there is something for a resource."""
        both = (self.currencies.get((product_id, one)) for one in (resource_id, ALL_RESOURCES))
        return {unit for found in both for unit in found or ()}


def first_day(entry: RateCardEntry) -> date:
    """The first day of an entry; one that always applied has the first there is."""
    return entry.start or date.min


def days_away(entry: RateCardEntry, day: date) -> int:
    """How many days there are between a day and the nearest on which an entry applies."""
    after = (entry.start - day).days if entry.start else 0
    before = (day - entry.end).days + 1 if entry.end else 0
    return max(after, before, 0)
