"""The validator's input: one product with all records that it needs, and the days to check."""

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
    """A span of civil days, end exclusive; `date.min` and `date.max` mean unbounded."""

    start: date = date.min
    end: date = date.max

    @classmethod
    def of(cls, start: date | None, end: date | None) -> "EffectiveDays":
        """Return the span of a record, unbounded where a date is absent."""
        return cls(start or date.min, end or date.max)

    @property
    def is_empty(self) -> bool:
        """True if it has no day."""
        return self.start >= self.end

    def meeting(self, other: "EffectiveDays") -> "EffectiveDays":
        """Return the days that both have, which may be none."""
        return EffectiveDays(max(self.start, other.start), min(self.end, other.end))

    def meets(self, other: "EffectiveDays") -> bool:
        """Return whether both have a day in common."""
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
    """The days to check, and whether drafts count as active."""

    days: EffectiveDays = EffectiveDays()
    with_drafts: bool = False

    def has(self, state: str) -> bool:
        """Return whether records in this state are checked."""
        return state == "ACTIVE" or (self.with_drafts and state == "DRAFT")


@dataclass(frozen=True, slots=True)
class Parent:
    """The name and state of a record that another one needs."""

    name: str
    state: CatalogState


@dataclass(frozen=True, slots=True, kw_only=True)
class Metered:
    """A resource of the product, with its unit and policies.

    `sold` is None without a unit. `aggregations` are the policies of the catalog's levels, the
    product's first. `definition` is the product that it is invoiced as. A resource of a pack or
    commitment `is_addition`: it adds to the wallets of anchors and needs no rate. `commitment` is
    the policy for the rate beyond a commitment. `span` are the days on which these policies apply.
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
    span: EffectiveDays = EffectiveDays()

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
        """The days on which it is sold under these policies."""
        own = EffectiveDays.of(self.held.content.start_date, self.held.content.end_date)
        return own.meeting(self.span)

    @property
    def is_charged(self) -> bool:
        """True if overage is charged, so that a rate is needed."""
        if self.is_addition:
            return False
        return self.sold is None or self.sold.overage is OveragePolicy.CHARGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """A grant of the product; `unit` is its own unit, or None if that is of another class.

    `refresh` is the interval between issues.
    """

    grant: StoredRecord[ProductGrant]
    unit: UnitOfMeasure | None = None
    refresh: Cadence | None = None
    parents: tuple[Parent, ...] = ()

    @property
    def name(self) -> str:
        """The resource name of the grant."""
        return f"products/{self.grant.content.product_id}/grants/{self.grant.content.id}"

    @property
    def days(self) -> EffectiveDays:
        """The days on which a sale receives it."""
        return EffectiveDays.of(self.grant.content.start_date, self.grant.content.end_date)

    @property
    def key(self) -> tuple[str, str, str, str]:
        """The product's resource, the type, the selling model and the refresh policy.

        No two grants of one day share them.
        """
        grant = self.grant.content
        return grant.held_id, grant.type, grant.selling_model_id or "", grant.refresh_id or ""


@dataclass(frozen=True, slots=True)
class Revision:
    """The resources and grants of a product from a day on, on which versions of policies begin."""

    start: date
    resources: tuple[Metered, ...]
    grants: tuple[Promise, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """One product with its resources, grants and rates, and the price books with its cards.

    `currencies` are the units in ISO 4217, `anchored` the resources of active anchors. `dated` are
    the entries in scope by their own days: entries may not overlap whatever the days of their card.
    `unitless_currencies` are currencies of its rates that are not active units of money.
    `resources` and `grants` have the policy versions of the first day; `revisions`, in the order of
    their days, have those that begin later.
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
    dated: tuple[RateCardEntry, ...] = ()
    unitless_currencies: frozenset[str] = frozenset()
    revisions: tuple[Revision, ...] = ()

    @property
    def is_anchor(self) -> bool:
        """True if usage is recorded for the product."""
        return self.product.content.usage_model_type is UsageModelType.ANCHOR

    @property
    def name(self) -> str:
        """The resource name of the product."""
        return f"products/{self.product.content.id}"

    @property
    def is_in_force(self) -> bool:
        """True if the product itself is checked."""
        return self.scope.has(self.product.state)

    def entries_of(self, resource_id: ResourceId) -> tuple[RateCardEntry, ...]:
        """Return the entries of one resource."""
        return tuple(entry for entry in self.entries if entry.resource_id == resource_id)

    def blankets_of(self, metered: Metered) -> tuple[RateCardEntry, ...]:
        """Return the entries for all resources in a resource's token, if the product has it."""
        tokens = {
            resource.unit.id
            for resource in self.resources
            if resource.id == metered.token_id and resource.unit
        }
        return tuple(
            entry for entry in self.entries if entry.is_blanket and entry.currency_code in tokens
        )

    def grants_of(self, metered: Metered) -> tuple[Promise, ...]:
        """Return the grants of one resource of the product."""
        held_id = metered.held.content.id
        return tuple(grant for grant in self.grants if grant.grant.content.held_id == held_id)

    def days_of(self, resource_id: ResourceId) -> EffectiveDays:
        """Return the days from the first to the last on which a resource is sold."""
        spans = [
            self.sold_days(resource) for resource in self.resources if resource.id == resource_id
        ]
        return EffectiveDays(min(span.start for span in spans), max(span.end for span in spans))

    def priced_days(self, entry: RateCardEntry) -> EffectiveDays:
        """Return the days on which both an entry and its card apply."""
        card = self.cards[entry.card_id]
        return EffectiveDays.of(entry.start, entry.end).meeting(
            EffectiveDays.of(card.start, card.end)
        )

    def sold_days(self, metered: Metered) -> EffectiveDays:
        """Return the days in scope on which a resource is sold."""
        return metered.days.meeting(self.scope.days)


def within(setup: Setup) -> Setup:
    """Return the setup reduced to the records that are in force on some day of its scope.

    Records of a resource that is not sold on any of the days are removed too.
    """
    scope = setup.scope
    if not setup.is_in_force:
        return replace(setup, resources=(), grants=(), entries=(), revisions=())
    chosen = [resource for resource in setup.resources if scope.has(resource.held.state)]
    left = [one for one in chosen if one.days.meets(scope.days)]
    gone = {one.held.content.id for one in chosen if not one.days.meets(scope.days)}
    over = {one.id for one in chosen} - {one.id for one in left}
    return replace(
        setup,
        resources=tuple(left),
        grants=tuple(
            grant
            for grant in setup.grants
            if scope.has(grant.grant.state) and grant.grant.content.held_id not in gone
        ),
        entries=tuple(
            entry
            for entry in setup.entries
            if scope.has(entry.state)
            and entry.resource_id not in over
            and setup.priced_days(entry).meets(scope.days)
        ),
        dated=tuple(
            entry
            for entry in setup.entries
            if scope.has(entry.state) and EffectiveDays.of(entry.start, entry.end).meets(scope.days)
        ),
    )


def stretches(setup: Setup) -> Iterator[tuple[EffectiveDays, Setup]]:
    """Yield each span of days between two revisions, with the setup reduced to it.

    The first span has no beginning and the last has no end.
    """
    if not setup.revisions:
        yield EffectiveDays(), setup
        return
    starts = [revision.start for revision in setup.revisions]
    spans = map(EffectiveDays, (date.min, *starts), (*starts, date.max))
    first = Revision(date.min, setup.resources, setup.grants)
    for span, revision in zip(spans, (first, *setup.revisions), strict=True):
        scope = replace(setup.scope, days=setup.scope.days.meeting(span))
        resources, grants = revision.resources, revision.grants
        part = replace(setup, resources=resources, grants=grants, revisions=(), scope=scope)
        yield span, within(part)


def charged(setup: Setup) -> list[Metered]:
    """Return the resources whose overage is charged, each for the days on which it is."""
    found: dict[str, list[Metered]] = {}
    for span, part in stretches(setup):
        for metered in part.resources:
            if not metered.is_charged:
                continue
            same = found.setdefault(metered.held.content.id, [])
            begin = span.start
            if same and same[-1].span.end == begin:
                begin = same.pop().span.start
            same.append(replace(metered, span=EffectiveDays(begin, span.end)))
    return [metered for same in found.values() for metered in same]


def overlaps(setup: Setup) -> list[tuple[RateCardEntry, RateCardEntry]]:
    """Return pairs of entries that price the same on the same days."""
    return overlapping(setup.dated)


def entry_name(entry: RateCardEntry) -> str:
    """Return the resource name of a rate card entry."""
    return entry.name


def gaps(whole: EffectiveDays, parts: Iterable[EffectiveDays]) -> Iterator[EffectiveDays]:
    """Yield the spans of `whole` that no part covers, in order."""
    reached = whole.start
    for part in sorted(parts):
        if part.start > reached and reached < whole.end:
            yield EffectiveDays(reached, min(part.start, whole.end))
        reached = max(reached, part.end)
    if reached < whole.end:
        yield EffectiveDays(reached, whole.end)
