"""Usage details: the agreed terms of one resource of a line or an asset, beside the catalog's."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from server.domain.exact import ZERO, exact
from server.domain.ids import AssetId, OrderId, QuoteId, ResourceId, WalletId
from server.domain.modeling.policies import OveragePolicy
from server.domain.modeling.roles import Binding, ProductRole
from server.domain.modeling.sold_policies import SoldPolicies
from server.domain.rating.additions import Addition, ranked_for_target
from server.domain.rating.rates import RateTerms
from server.domain.selling.sales import LineResource, Order, Quote, SaleLine, SoldEntitlement
from server.domain.selling.targets import TargetKey, binding_to


class OverageCharge(StrEnum):
    """The answer to the question if overage is charged."""

    YES = "YES"
    NO = "NO"
    NOT_APPLICABLE = "NOT_APPLICABLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldResource:
    """A resource of an asset, with the line in force and the terms of a day.

    `number` is that of the asset. The wallet `is_shared` unless it is that of one asset. A
    commitment may have been linked to its anchor later than it was sold, and an asset may have been
    `bound` to another target.
    """

    asset_id: AssetId
    number: int
    resource_id: ResourceId
    wallet_id: WalletId
    is_shared: bool
    order_id: OrderId
    position: int
    line: SaleLine
    policies: SoldPolicies
    terms: RateTerms | None
    anchor_id: AssetId | None
    entitlements: tuple[SoldEntitlement, ...]
    bound: TargetKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageDetail:
    """The agreed terms of one resource of a line; for a sold line, with its asset and wallet.

    `rate_order` is the position of its rate among those that apply to its target, from 1, or 0.
    """

    sale_id: QuoteId | OrderId
    is_quote: bool
    position: int
    line: SaleLine
    resource: LineResource
    asset_id: AssetId | None = None
    number: int = 0
    wallet_id: WalletId | None = None
    entitlements: tuple[SoldEntitlement, ...] = ()
    rate_order: int = 0

    @property
    def overage_charge(self) -> OverageCharge:
        """The answer to the question if overage is charged, which only anchors decide."""
        if self.line.role is not ProductRole.ANCHOR:
            return OverageCharge.NOT_APPLICABLE
        is_charged = self.resource.policies.overage is OveragePolicy.CHARGE
        return OverageCharge.YES if is_charged else OverageCharge.NO

    @property
    @exact
    def granted(self) -> Decimal:
        """The quantity of one issue of all grants: of the entitlements in a wallet."""
        if self.wallet_id is None:
            return sum((grant.quantity for grant in self.resource.grants), ZERO)
        return sum((sold.entitlement.quantity for sold in self.entitlements), ZERO)


def details_of_sale(
    sale: Quote | Order, day: date | None, resource_id: ResourceId | None
) -> list[UsageDetail]:
    """Return the details of the lines of a quote or an order in effect on a day, or on any."""
    return list(_of_sale(sale, day, resource_id))


def _of_sale(
    sale: Quote | Order, day: date | None, resource_id: ResourceId | None
) -> Iterator[UsageDetail]:
    is_active = isinstance(sale, Order) and sale.activate_time is not None
    asset_ids: Sequence[AssetId | None] = [None] * len(sale.lines)
    if isinstance(sale, Order) and is_active:
        asset_ids = sale.asset_ids
    for position, (line, asset_id) in enumerate(zip(sale.lines, asset_ids, strict=True)):
        if day is not None and not _is_on(line.start_date, line.end_date, day):
            continue
        for resource in line.resources:
            if resource_id in (None, resource.resource_id):
                yield UsageDetail(
                    sale_id=sale.id,
                    is_quote=isinstance(sale, Quote),
                    position=position,
                    line=line,
                    resource=resource,
                    asset_id=asset_id,
                )


def details_of_assets(
    held: Iterable[HeldResource],
    additions: Mapping[WalletId, Sequence[Addition]],
    *,
    day: date,
    midnight: datetime,
) -> list[UsageDetail]:
    """Return the details of resources of assets on a day; `midnight` is the start of the day."""
    orders: dict[WalletId, dict[AssetId, int]] = {}
    found = []
    for one in held:
        if one.wallet_id not in orders:
            ranked = ranked_for_target(midnight, additions.get(one.wallet_id, ()))
            by_asset = {rate.asset_id: order for order, rate in enumerate(ranked, start=1)}
            orders[one.wallet_id] = by_asset
        resource = next(r for r in one.line.resources if r.resource_id == one.resource_id)
        entitlements = tuple(
            sold
            for sold in one.entitlements
            if _is_on(sold.entitlement.start, sold.entitlement.end, day)
        )
        found.append(
            UsageDetail(
                sale_id=one.order_id,
                is_quote=False,
                position=one.position,
                line=_bound(one),
                resource=replace(resource, terms=one.terms, policies=one.policies),
                asset_id=one.asset_id,
                number=one.number,
                wallet_id=one.wallet_id,
                entitlements=entitlements,
                rate_order=orders[one.wallet_id].get(one.asset_id, 0),
            )
        )
    return found


def _bound(held: HeldResource) -> SaleLine:
    """Return the line with the target that the asset has now."""
    if held.bound is not None:
        binding, target_id = binding_to(held.bound, held.asset_id)
        return replace(held.line, binding=binding, target_id=target_id, target_line=None)
    if held.anchor_id is None:
        return held.line
    return replace(held.line, binding=Binding.ASSET, target_id=str(held.anchor_id))


def _is_on(start: date, end: date | None, day: date) -> bool:
    return start <= day and (end is None or day < end)
