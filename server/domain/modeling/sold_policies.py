"""The policies that a sale freezes for a resource of a product."""

from dataclasses import dataclass, fields

from server.domain.ids import (
    UnitId,
)
from server.domain.modeling.policies import (
    NO_SOURCES,
    AggregationPolicy,
    DrawdownOrder,
    LatePolicy,
    OveragePolicy,
    PolicySources,
    RatingFrequency,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletPolicies:
    """How a wallet counts, is rated and spends: all that is bound to it must agree in this."""

    unit_id: UnitId
    aggregation: AggregationPolicy
    rating: RatingFrequency
    late: LatePolicy
    order: DrawdownOrder = DrawdownOrder.EXPIRING_FIRST
    dimensions: tuple[str, ...] = ()

    def differences(self, other: "WalletPolicies") -> tuple[str, ...]:
        """The names of what is not the same."""
        names = (field.name for field in fields(self))
        return tuple(name for name in names if getattr(self, name) != getattr(other, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class SoldPolicies:
    """The policies a resource is sold under, and where they come from."""

    wallet: WalletPolicies
    overage: OveragePolicy
    sources: PolicySources = NO_SOURCES
