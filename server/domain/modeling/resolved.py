"""Resolved products: the resources of a product with their policies, and its grants.

The strongest level that names a policy supplies it: the binding target of a sale, the line, the
product's resource, the usage resource, or the service. The service's defaults are: sum by day,
rated monthly after three days, late usage in the next period, overage charged, the lowest committed
rate also beyond the commitment, grants that expire first pay first. Source: usage resource
policies.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Generic, TypeVar

from server.domain.audit import Audit
from server.domain.ids import (
    PolicyId,
    ProductGrantId,
    ProductId,
    ResourceId,
    SellingModelId,
    UnitId,
)
from server.domain.modeling.catalog import (
    Aggregation,
    CatalogState,
    Category,
    Commitment,
    GrantType,
    Overage,
    RatingFrequencyPolicy,
    StoredRecord,
)
from server.domain.modeling.policies import (
    NO_SOURCE,
    AggregationMethod,
    AggregationPolicy,
    CommitmentRate,
    DrawdownOrder,
    LatePolicy,
    OveragePolicy,
    PolicyLevel,
    PolicySource,
    PolicySources,
    RefreshPolicy,
    RolloverPolicy,
    Validity,
)
from server.domain.modeling.policies import RatingFrequency as Frequency
from server.domain.modeling.roles import Binding, ProductRole
from server.domain.modeling.sold_policies import SoldPolicies, WalletPolicies
from server.domain.modeling.units import Unit

NAMELESS = PolicyId("")
# The levels that a sale brings.
OF_SALES = frozenset({PolicyLevel.LINE, PolicyLevel.TARGET})
BY_DAY = AggregationPolicy.usual(AggregationMethod.SUM)
MONTHLY = Frequency()

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


def _own(content: T) -> StoredRecord[T]:
    """Return a default policy of the service, which is not stored."""
    return StoredRecord(
        content, CatalogState.ACTIVE, 0, Audit.at(datetime.fromtimestamp(0, UTC)), version=0
    )


DEFAULT_AGGREGATION = _own(
    Aggregation(
        id=NAMELESS,
        display_name="",
        method=BY_DAY.method,
        period=BY_DAY.period,
        combine=BY_DAY.combine,
    )
)
DEFAULT_RATING = _own(
    RatingFrequencyPolicy(
        id=NAMELESS,
        display_name="",
        period=MONTHLY.period,
        delay=MONTHLY.delay,
        late=LatePolicy.NEXT_PERIOD,
    )
)
DEFAULT_OVERAGE = _own(Overage(id=NAMELESS, display_name="", overage=OveragePolicy.CHARGE))
DEFAULT_COMMITMENT = _own(Commitment(id=NAMELESS, display_name="", rate=CommitmentRate.LOWEST))


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelPolicies:
    """The policies that one level names for a resource; None leaves them to a weaker level."""

    level: PolicyLevel
    aggregation: StoredRecord[Aggregation] | None = None
    rating_frequency: StoredRecord[RatingFrequencyPolicy] | None = None
    overage: StoredRecord[Overage] | None = None
    commitment: StoredRecord[Commitment] | None = None
    order: DrawdownOrder | None = None


@dataclass(frozen=True, slots=True)
class Supplied(Generic[T_co]):
    """A policy in force, and the level that supplied it."""

    policy: StoredRecord[T_co]
    level: PolicyLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyChain:
    """The policies in force for a resource, each with the level that supplied it."""

    aggregation: Supplied[Aggregation]
    rating_frequency: Supplied[RatingFrequencyPolicy]
    overage: Supplied[Overage]
    commitment: Supplied[Commitment]
    order: tuple[DrawdownOrder, PolicyLevel]


def resolve(levels: Sequence[LevelPolicies]) -> PolicyChain:
    """Return the policies that result from the levels `levels`, the strongest first.

    Always: each policy resolves, to that of the first level that names one, or to the default.
    """
    orders = ((choice.order, choice.level) for choice in levels if choice.order is not None)
    return PolicyChain(
        aggregation=_first(levels, lambda one: one.aggregation, DEFAULT_AGGREGATION),
        rating_frequency=_first(levels, lambda one: one.rating_frequency, DEFAULT_RATING),
        overage=_first(levels, lambda one: one.overage, DEFAULT_OVERAGE),
        commitment=_first(levels, lambda one: one.commitment, DEFAULT_COMMITMENT),
        order=next(orders, (DrawdownOrder.EXPIRING_FIRST, PolicyLevel.DEFAULT)),
    )


def _first(
    levels: Sequence[LevelPolicies],
    policy: Callable[[LevelPolicies], StoredRecord[T] | None],
    default: StoredRecord[T],
) -> Supplied[T]:
    for choice in levels:
        found = policy(choice)
        if found is not None:
            return Supplied(found, choice.level)
    return Supplied(default, PolicyLevel.DEFAULT)


def sold_policies(
    chain: PolicyChain, unit_id: UnitId, dimensions: tuple[str, ...] = ()
) -> SoldPolicies:
    """Return the policies and dimensions that a sale freezes."""
    counting, rating = chain.aggregation.policy.content, chain.rating_frequency.policy.content
    return SoldPolicies(
        wallet=WalletPolicies(
            unit_id=unit_id,
            aggregation=AggregationPolicy(
                method=counting.method,
                period=counting.period,
                combine=counting.combine,
                label=counting.unique_label,
            ),
            rating=Frequency(period=rating.period, delay=rating.delay),
            late=rating.late,
            order=chain.order[0],
            dimensions=dimensions,
        ),
        overage=chain.overage.policy.content.overage,
        sources=PolicySources(
            aggregation=_source(chain.aggregation, counting.id),
            rating_frequency=_source(chain.rating_frequency, rating.id),
            overage=_source(chain.overage, chain.overage.policy.content.id),
            commitment=_source(chain.commitment, chain.commitment.policy.content.id),
            order=chain.order[1],
        ),
    )


def _source(supplied: Supplied[object], policy_id: PolicyId) -> PolicySource:
    if supplied.level is PolicyLevel.DEFAULT:
        return NO_SOURCE
    return PolicySource(level=supplied.level, id=policy_id, version=supplied.policy.version)


def chain_of(policies: SoldPolicies, commitment: CommitmentRate | None) -> PolicyChain:
    """Return the policies under which something was sold, as they were at that time."""
    wallet, sources = policies.wallet, policies.sources
    counting = wallet.aggregation
    return PolicyChain(
        aggregation=_kept(
            sources.aggregation,
            Aggregation(
                id=sources.aggregation.id or NAMELESS,
                display_name="",
                method=counting.method,
                period=counting.period,
                combine=counting.combine,
                unique_label=counting.label,
            ),
        ),
        rating_frequency=_kept(
            sources.rating_frequency,
            RatingFrequencyPolicy(
                id=sources.rating_frequency.id or NAMELESS,
                display_name="",
                period=wallet.rating.period,
                delay=wallet.rating.delay,
                late=wallet.late,
            ),
        ),
        overage=_kept(
            sources.overage,
            Overage(id=sources.overage.id or NAMELESS, display_name="", overage=policies.overage),
        ),
        commitment=_kept(
            sources.commitment,
            Commitment(
                id=sources.commitment.id or NAMELESS,
                display_name="",
                rate=commitment or CommitmentRate.LOWEST,
            ),
        ),
        order=(wallet.order, sources.order),
    )


def _kept(source: PolicySource, content: T) -> Supplied[T]:
    return Supplied(replace(_own(content), version=source.version), source.level)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedGrant:
    """A product grant with its policies, in the resource's unit.

    A quote may not change it if it `is_fixed`, and needs an approval to increase its quantity by
    more than `max_increase_percent`, if that is given. `spend_cap` is the most that usage under a
    commitment to spend costs in one issue. `listed` is the grant as in the catalog, if a quote
    changes its policies or its validity.
    """

    id: ProductGrantId
    quantity: Decimal
    refresh: RefreshPolicy | None
    validity: Validity | None
    rollover: RolloverPolicy | None
    refresh_policy: PolicySource = NO_SOURCE
    rollover_policy: PolicySource = NO_SOURCE
    type: GrantType = GrantType.GRANT
    selling_model_id: SellingModelId | None = None
    start_date: date | None = None
    end_date: date | None = None
    is_fixed: bool = False
    max_increase_percent: Decimal | None = None
    spend_cap: Decimal | None = None
    listed: "ResolvedGrant | None" = None

    def is_for(self, model_id: SellingModelId | None, day: date) -> bool:
        """Return whether a sale under a selling model that starts on `day` includes it."""
        if self.selling_model_id not in (None, model_id):
            return False
        has_begun = self.start_date is None or self.start_date <= day
        return has_begun and (self.end_date is None or day < self.end_date)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedResource:
    """A resource of a product with the policies of every level, the strongest first."""

    resource_id: ResourceId
    unit: Unit
    levels: tuple[LevelPolicies, ...]
    grants: tuple[ResolvedGrant, ...]
    start_date: date | None
    end_date: date | None
    token_resource_id: ResourceId | None = None
    definition_product_id: ProductId | None = None
    is_optional: bool = False
    dimensions: tuple[str, ...] = ()
    has_fixed_policies: bool = False
    category: Category = Category.USAGE

    def is_sold_on(self, day: date) -> bool:
        """Return whether a sale may start on `day`."""
        has_begun = self.start_date is None or self.start_date <= day
        return has_begun and (self.end_date is None or day < self.end_date)

    @property
    def chain(self) -> PolicyChain:
        """The policies in force."""
        return resolve(self.levels)

    @property
    def listed_chain(self) -> PolicyChain:
        """The policies by the catalog, which the line and its target do not change."""
        return resolve([choice for choice in self.levels if choice.level not in OF_SALES])

    @property
    def policies(self) -> SoldPolicies:
        """The policies that a sale freezes."""
        return sold_policies(self.chain, self.unit.id, self.dimensions)

    def under(self, *levels: LevelPolicies | None) -> "ResolvedResource":
        """Return it with the policies of further, stronger levels, the strongest first."""
        return replace(
            self, levels=(*(choice for choice in levels if choice is not None), *self.levels)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedProduct:
    """An active product as it can be sold."""

    product_id: ProductId
    role: ProductRole
    binding: Binding | None
    resources: tuple[ResolvedResource, ...]

    def on(self, day: date) -> "ResolvedProduct":
        """Return the product with one record of each resource, if possible one sold on `day`."""
        chosen: dict[ResourceId, ResolvedResource] = {}
        for resource in self.resources:
            # A resource that is not sold on the day is kept, so that its refusal can name it.
            if resource.resource_id not in chosen or resource.is_sold_on(day):
                chosen[resource.resource_id] = resource
        return replace(self, resources=tuple(chosen.values()))

    def rate_unit(self, resource: ResolvedResource, currency_code: str) -> str:
        """Return the unit in which a resource is rated: its token's unit, or else the currency."""
        units = {resource.resource_id: resource.unit.id for resource in self.resources}
        token = resource.token_resource_id
        # A commitment need not have the token of what it commits to.
        return currency_code if token is None else units.get(token, currency_code)
