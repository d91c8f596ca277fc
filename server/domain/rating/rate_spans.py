"""The entries of rate cards by the key that they price, each in the order of their days."""

from bisect import bisect_right
from collections.abc import Iterator
from datetime import date

from server.domain.ids import ProductId, ResourceId, SellingModelId
from server.domain.rating.rate_cards import ALL_RESOURCES, RateCardEntry

# Keys of a card's entries: a resource of a product in a unit, for all or for one selling model.
Key = tuple[ProductId, ResourceId, str]
Own = tuple[ProductId, ResourceId, str, SellingModelId]


def blanket(key: Key) -> Key:
    """Return the key of entries for all resources of the product, a commitment."""
    product_id, _, unit = key
    return product_id, ALL_RESOURCES, unit


class Span:
    """The entries of one key in the order of their days."""

    __slots__ = ("_entries", "_starts")

    def __init__(self) -> None:
        self._entries: list[RateCardEntry] = []
        self._starts: list[date] = []

    def add(self, entry: RateCardEntry) -> None:
        """Append an entry; entries come in the order of their starts."""
        self._entries.append(entry)
        self._starts.append(first_day(entry))

    def __iter__(self) -> Iterator[RateCardEntry]:
        return iter(self._entries)

    def at(self, day: date) -> RateCardEntry | None:
        """Return the entry in force on `day`."""
        # Entries of one key never overlap, so only the last one that has started can be in force.
        index = bisect_right(self._starts, day) - 1
        entry = self._entries[index] if index >= 0 else None
        return entry if entry is not None and (entry.end is None or day < entry.end) else None

    def nearest(self, day: date) -> RateCardEntry:
        """Return the entry that begins or ends the fewest days away; of two, the earlier."""
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
        """Add an entry; entries come in the order of their first days."""
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
        """Yield the entries for all models, and those for each selling model."""
        for entry_key in (key, blanket(key)):
            if entry_key in self.for_all:
                yield self.for_all[entry_key]
            for model in self.models.get(entry_key, ()):
                yield self.own[*entry_key, model]

    def of(self, key: Key, model: SellingModelId | None) -> Iterator[Span]:
        """Yield the entries that could answer on some day, in the order of precedence."""
        for entry_key in (key, blanket(key)):
            if model is not None and (*entry_key, model) in self.own:
                yield self.own[*entry_key, model]
            if entry_key in self.for_all:
                yield self.for_all[entry_key]

    def at(self, key: Key, model: SellingModelId | None, day: date) -> RateCardEntry | None:
        """Return the entry that answers on `day`."""
        for span in self.of(key, model):
            found = span.at(day)
            if found is not None:
                return found
        return None

    def knows(self, key: Key, model: SellingModelId) -> bool:
        """Return whether there are entries for a selling model."""
        return (*key, model) in self.own or (*blanket(key), model) in self.own

    def units(self, product_id: ProductId, resource_id: ResourceId) -> set[str]:
        """Return the currencies and tokens that have an entry for a resource."""
        both = (self.currencies.get((product_id, one)) for one in (resource_id, ALL_RESOURCES))
        return {unit for found in both for unit in found or ()}


def first_day(entry: RateCardEntry) -> date:
    """Return the first day of an entry, or the smallest date for an unbounded start."""
    return entry.start or date.min


def days_away(entry: RateCardEntry, day: date) -> int:
    """Return the number of days between a day and the nearest day on which an entry applies."""
    after = (entry.start - day).days if entry.start else 0
    before = (day - entry.end).days + 1 if entry.end else 0
    return max(after, before, 0)
