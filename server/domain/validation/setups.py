"""What the validator looks at: one product with all it stands on, and the days that matter."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date

from server.domain.calendar import Cadence
from server.domain.ids import RateCardId, ResourceId
from server.domain.modeling.catalog import (
    Aggregation,
    CatalogState,
    Product,
    ProductGrant,
    ProductResource,
    StoredRecord,
    UnitClass,
    UnitOfMeasure,
    UsageModelType,
    UsageResource,
)
from server.domain.modeling.policies import CommitmentRate, OveragePolicy
from server.domain.modeling.sold_policies import SoldPolicies
from server.domain.rating.rate_cards import PriceBook, RateCard, RateCardEntry, overlapping


@dataclass(frozen=True, slots=True, order=True)
class EffectiveDays:
    """A span of civil days, end exclusive; `date.min` and `date.max` are from ever and for ever."""

    start: date = date.min
    end: date = date.max

    @classmethod
    def of(cls, start: date | None, end: date | None) -> "EffectiveDays":
        """The span of a record, whose absent ends are without end."""
        return cls(start or date.min, end or date.max)

    @property
    def is_empty(self) -> bool:
        """Whether it has no day."""
        return self.start >= self.end

    def meeting(self, other: "EffectiveDays") -> "EffectiveDays":
        """The days of both, which may be none."""
        return EffectiveDays(max(self.start, other.start), min(self.end, other.end))

    def meets(self, other: "EffectiveDays") -> bool:
        """Whether there is a day of both."""
        return not self.meeting(other).is_empty

    def __str__(self) -> str:
        if self.start == date.min and self.end == date.max:
            return "always"
        if self.end == date.max:
            return f"from {self.start} on"
        before = f"before {self.end}"
        return before if self.start == date.min else f"from {self.start} and {before}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What matters: the days, and whether drafts count as if they were active."""

    days: EffectiveDays = EffectiveDays()
    with_drafts: bool = False

    def has(self, state: str) -> bool:
        """Whether a record in this state is looked at."""
        return state == "ACTIVE" or (self.with_drafts and state == "DRAFT")


@dataclass(frozen=True, slots=True)
class Parent:
    """A record that another stands on: its resource name and where it stands."""

    name: str
    state: CatalogState


@dataclass(frozen=True, slots=True, kw_only=True)
class Metered:
    """A resource of the product, what it is counted in and how it is sold.

    `sold` is absent without a unit. `aggregations` are what the levels of the catalogue say, the
    product's first. `definition` is the product that it is billed as. What packs and commitments
    hold `is_addition`: it adds to the wallets of anchors, and needs no rate. `commitment` is what
    usage costs once a commitment is used up.
    """

    held: StoredRecord[ProductResource]
    resource: UsageResource
    unit_class: UnitClass
    unit: UnitOfMeasure | None
    sold: SoldPolicies | None
    aggregations: tuple[Aggregation, ...] = ()
    parents: tuple[Parent, ...] = ()
    token_id: ResourceId | None = None
    definition: Parent | None = None
    is_addition: bool = False
    commitment: CommitmentRate = CommitmentRate.LOWEST

    @property
    def id(self) -> ResourceId:
        """The id of the resource."""
        return self.held.content.resource_id

    @property
    def name(self) -> str:
        """The resource name of the product's resource."""
        return f"products/{self.held.content.product_id}/usageResources/{self.held.content.id}"

    @property
    def days(self) -> EffectiveDays:
        """The days on which it is sold."""
        return EffectiveDays.of(self.held.content.start_date, self.held.content.end_date)

    @property
    def is_charged(self) -> bool:
        """Whether overage costs something, so that it needs a rate."""
        if self.is_addition:
            return False
        return self.sold is None or self.sold.overage is OveragePolicy.CHARGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """A grant of the product; `unit` is the one it names, absent if of another class than its own.

    `refresh` is how often it is issued.
    """

    grant: StoredRecord[ProductGrant]
    unit: UnitOfMeasure | None = None
    refresh: Cadence | None = None
    parents: tuple[Parent, ...] = ()

    @property
    def name(self) -> str:
        """The resource name of the grant."""
        return f"products/{self.grant.content.product_id}/grants/{self.grant.content.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """One product with its resources, grants and rates, and the price books that have its cards.

    `currencies` are the units that ISO 4217 knows, `anchored` the resources of active anchors.
    """

    product: StoredRecord[Product]
    resources: tuple[Metered, ...]
    grants: tuple[Promise, ...]
    entries: tuple[RateCardEntry, ...]
    cards: Mapping[RateCardId, RateCard]
    books: tuple[PriceBook, ...]
    currencies: frozenset[str]
    scope: Scope = Scope()
    anchored: frozenset[ResourceId] = frozenset()

    @property
    def is_anchor(self) -> bool:
        """Whether usage is recorded of it."""
        return self.product.content.usage_model_type is UsageModelType.ANCHOR

    @property
    def name(self) -> str:
        """The resource name of the product."""
        return f"products/{self.product.content.id}"

    @property
    def is_in_force(self) -> bool:
        """Whether the product itself is looked at."""
        return self.scope.has(self.product.state)

    def entries_of(self, resource_id: ResourceId) -> tuple[RateCardEntry, ...]:
        """The entries of one resource."""
        return tuple(entry for entry in self.entries if entry.resource_id == resource_id)

    def blankets_of(self, metered: Metered) -> tuple[RateCardEntry, ...]:
        """The entries for all resources in the token of one, if the product has that token too."""
        tokens = {one.unit.id for one in self.resources if one.id == metered.token_id and one.unit}
        return tuple(one for one in self.entries if one.is_blanket and one.currency_code in tokens)

    def grants_of(self, metered: Metered) -> tuple[Promise, ...]:
        """The grants of one resource of the product."""
        held_id = metered.held.content.id
        return tuple(one for one in self.grants if one.grant.content.held_id == held_id)

    def days_of(self, resource_id: ResourceId) -> EffectiveDays:
        """The days from the first to the last on which a resource is sold."""
        spans = [self.sold_days(one) for one in self.resources if one.id == resource_id]
        return EffectiveDays(min(one.start for one in spans), max(one.end for one in spans))

    def priced_days(self, entry: RateCardEntry) -> EffectiveDays:
        """The days on which an entry applies: those of its card too."""
        card = self.cards[entry.card_id]
        return EffectiveDays.of(entry.start, entry.end).meeting(
            EffectiveDays.of(card.start, card.end)
        )

    def sold_days(self, metered: Metered) -> EffectiveDays:
        """The days that matter on which a resource is sold."""
        return metered.days.meeting(self.scope.days)


def within(setup: Setup) -> Setup:
    """The setup cut to its scope: the records that are in force on some day that matters.

    What belongs to a resource that is not sold on any of the days does not matter either.
    """
    scope = setup.scope
    if not setup.is_in_force:
        return replace(setup, resources=(), grants=(), entries=())
    chosen = [one for one in setup.resources if scope.has(one.held.state)]
    left = [one for one in chosen if one.days.meets(scope.days)]
    gone = {one.held.content.id for one in chosen if not one.days.meets(scope.days)}
    over = {one.id for one in chosen} - {one.id for one in left}
    return replace(
        setup,
        resources=tuple(left),
        grants=tuple(
            one
            for one in setup.grants
            if scope.has(one.grant.state) and one.grant.content.held_id not in gone
        ),
        entries=tuple(
            entry
            for entry in setup.entries
            if scope.has(entry.state)
            and entry.resource_id not in over
            and setup.priced_days(entry).meets(scope.days)
        ),
    )


def overlaps(setup: Setup) -> list[tuple[RateCardEntry, RateCardEntry]]:
    """Entries that apply on days of another that prices the same, with that one."""
    return overlapping(setup.entries)


def entry_name(entry: RateCardEntry) -> str:
    """The resource name of a rate card entry."""
    return entry.name


def gaps(whole: EffectiveDays, parts: Iterable[EffectiveDays]) -> Iterator[EffectiveDays]:
    """The stretches of `whole` that no part covers, in order."""
    reached = whole.start
    for part in sorted(parts):
        if part.start > reached and reached < whole.end:
            yield EffectiveDays(reached, min(part.start, whole.end))
        reached = max(reached, part.end)
    if reached < whole.end:
        yield EffectiveDays(reached, whole.end)
