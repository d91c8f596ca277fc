"""Overage in a shared wallet: anchors that are in service on one day have one policy for it.

Which usage of a shared wallet is beyond its grants depends on the usage of all its anchors, so two
policies would make one anchor's bill depend on another's usage.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from server.domain.errors import FailedPrecondition
from server.domain.ids import ProductId, ResourceId, WalletId
from server.domain.modeling.policies import OveragePolicy, PolicyLevel, PolicySource
from server.domain.modeling.roles import ProductRole
from server.domain.selling.sales import Asset

FOREVER = datetime.max.replace(tzinfo=UTC)

# How a level supplied a policy, after the policy's name.
BY_LEVEL = {
    PolicyLevel.TARGET: "named by the binding target",
    PolicyLevel.LINE: "named by the line of the sale",
    PolicyLevel.PRODUCT_USAGE_RESOURCE: "named by the product's resource",
    PolicyLevel.USAGE_RESOURCE: "named by the usage resource",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SoldOverage:
    """The overage policy of a resource of an anchor, and the times of its service."""

    wallet_id: WalletId
    product_id: ProductId
    resource_id: ResourceId
    policy: OveragePolicy
    source: PolicySource
    start: datetime
    end: datetime | None

    def disagrees(self, other: "SoldOverage") -> bool:
        """Return whether both treat overage differently at some time."""
        meet = self.start < (other.end or FOREVER) and other.start < (self.end or FOREVER)
        return self.policy is not other.policy and meet

    @property
    def source_name(self) -> str:
        """The name of the policy; empty for the service's default."""
        return f"overagePolicies/{self.source.id}" if self.source.id else ""

    def __str__(self) -> str:
        source = "the default of the service"
        if self.source.id:
            source = f"{self.source_name}, {BY_LEVEL[self.source.level]}"
        return f"{self.policy} for products/{self.product_id} ({source})"


def overages_of(assets: Iterable[Asset]) -> list[SoldOverage]:
    """Return the overage policies of the anchors among some assets; packs have none."""
    return [
        SoldOverage(
            wallet_id=held.wallet_id,
            product_id=asset.product_id,
            resource_id=held.resource_id,
            policy=held.policies.overage,
            source=held.policies.sources.overage,
            start=held.start_time,
            end=held.end_time,
        )
        for asset in assets
        for held in asset.resources
        if held.role is ProductRole.ANCHOR
    ]


def check_overages(before: Iterable[SoldOverage], sold: Iterable[SoldOverage]) -> None:
    """Raise OVERAGE_CONFLICT if anchors that are sold disagree with others, or with each other."""
    by_wallet: defaultdict[WalletId, list[SoldOverage]] = defaultdict(list)
    for one in before:
        by_wallet[one.wallet_id].append(one)
    for one in sold:
        for other in by_wallet[one.wallet_id]:
            if other.disagrees(one):
                raise _conflict(other, one)
        by_wallet[one.wallet_id].append(one)


def _conflict(one: SoldOverage, other: SoldOverage) -> FailedPrecondition:
    facts = {
        "usage_resource": other.resource_id,
        "product": other.product_id,
        "overage_policy": other.source_name,
        "other_product": one.product_id,
        "other_overage_policy": one.source_name,
    }
    text = (
        f"the shared wallet of {other.resource_id} would have two overage policies: {one}, and"
        f" {other}; name one on the binding target or on the line, or bind to another target"
    )
    return FailedPrecondition("OVERAGE_CONFLICT", text, facts)
