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
    """The policies of a wallet, which all assets bound to it must share."""

    unit_id: UnitId
    aggregation: AggregationPolicy
    rating: RatingFrequency
    late: LatePolicy
    order: DrawdownOrder = DrawdownOrder.EXPIRING_FIRST
    dimensions: tuple[str, ...] = ()

    def differences(self, other: "WalletPolicies") -> tuple[str, ...]:
        """Return the names of the policies that differ."""
        names = (field.name for field in fields(self))
        return tuple(name for name in names if getattr(self, name) != getattr(other, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class SoldPolicies:
    """The policies under which a resource is sold, and their sources."""

    wallet: WalletPolicies
    overage: OveragePolicy
    sources: PolicySources = NO_SOURCES
