"""Messages of assets, and the filters of their lists."""

from collections.abc import Iterable
from typing import Any

from usage_management.v1 import asset_service_pb2 as pb
from usage_management.v1 import catalog_resources_pb2 as catalog_pb
from usage_management.v1 import quote_service_pb2 as quote_pb

from server.api import names
from server.api.mapping.filters import (
    created_from_reader,
    external_id_from_reader,
    product_from_reader,
    resource_from_reader,
)
from server.api.mapping.rating.terms import terms_to_pb
from server.api.mapping.selling.lines import binding_from_reader, unlinked_warnings
from server.api.reader import RequestReader
from server.api.values import (
    audit_pb,
    cadence_pb,
    date_pb,
    decimal_pb,
    enum_pb,
    optional_date_pb,
    optional_decimal_pb,
)
from server.domain.errors import NotFound
from server.domain.ids import AccountId, AssetId, PriceBookId, UnitId
from server.domain.modeling.roles import Binding
from server.domain.selling.rebinding import target_of
from server.domain.selling.repricing import Repriced
from server.domain.selling.sales import Asset, AssetResource, SoldEntitlement
from server.domain.selling.targets import binding_to
from server.store.selling.assets import AssetFilter
from server.usecases.lifecycle.commitment_links import LinkCommitment
from server.usecases.lifecycle.rebinding import RebindAsset
from server.usecases.lifecycle.repricing import RepriceAssets


def list_assets_from_pb(request: pb.ListAssetsRequest) -> tuple[AccountId, AssetFilter]:
    """Return the account and the filters of a list of assets. Raises InvalidArgument."""
    reader = RequestReader(request)
    (account_id,) = reader.name("parent", names.ACCOUNT)
    only = AssetFilter(
        product_id=product_from_reader(reader),
        resource_id=resource_from_reader(reader),
        day=reader.optional_date("on_date"),
        created=created_from_reader(reader),
        external_id=external_id_from_reader(reader),
        is_unlinked=request.unlinked,
    )
    reader.done()
    return AccountId(account_id), only


def link_commitment_from_pb(request: pb.LinkCommitmentRequest) -> LinkCommitment:
    """Return the command to link a commitment. Raises InvalidArgument."""
    reader = RequestReader(request)
    account_id, asset_id = reader.name("name", names.ASSET)
    of_account, anchor_id = reader.name("anchor", names.ASSET)
    if of_account != account_id and not reader.faults:
        raise NotFound.of("Asset", request.anchor)
    start = reader.optional_date("start_date")
    reader.done()
    return LinkCommitment(
        account_id=account_id, asset_id=asset_id, anchor_id=anchor_id, start=start
    )


def rebind_asset_from_pb(request: pb.RebindAssetRequest) -> RebindAsset:
    """Return the command to bind an asset to another target. Raises InvalidArgument."""
    reader = RequestReader(request)
    account_id, asset_id = reader.name("name", names.ASSET)
    asked = binding_from_reader(reader, account_id)
    command = RebindAsset(
        account_id=account_id,
        asset_id=asset_id,
        binding=asked.binding,
        target_asset_id=asked.asset_id,
        target_id=asked.target_id,
        day=reader.optional_date("start_date"),
        reason=reader.text("reason"),
    )
    reader.done()
    return command


def reprice_assets_from_pb(request: pb.RepriceAssetsRequest) -> RepriceAssets:
    """Return the command to reprice assets. Raises InvalidArgument."""
    reader = RequestReader(request)
    (account_id,) = reader.name("parent", names.ACCOUNT)
    named = reader.names("assets", names.ASSET)
    for of_account, asset_id in named:
        if of_account != account_id:
            raise NotFound.of("Asset", names.ASSET.of(of_account, asset_id))
    book = reader.optional_name("price_book", names.PRICE_BOOK)
    command = RepriceAssets(
        account_id=AccountId(account_id),
        asset_ids=tuple(AssetId(asset_id) for _, asset_id in named),
        product_id=product_from_reader(reader),
        price_book_id=PriceBookId(book[0]) if book else None,
        day=reader.date("start_date"),
        reason=reader.text("reason"),
    )
    reader.done()
    return command


def repriced_to_pb(account_id: AccountId, found: Iterable[Repriced]) -> pb.RepriceAssetsResponse:
    """Return the outcomes of a repricing."""
    return pb.RepriceAssetsResponse(
        resources=[repriced_resource_to_pb(account_id, one) for one in found]
    )


def repriced_resource_to_pb(account_id: AccountId, one: Repriced) -> pb.RepricedResource:
    """Return the outcome for a resource of an asset."""
    return pb.RepricedResource(
        asset=names.ASSET.of(account_id, one.asset_id),
        usage_resource=names.RESOURCE.of(one.resource_id),
        outcome=enum_pb(pb.RepricedResource.Outcome, one.outcome),
        before=terms_to_pb(one.before, is_fixed=one.is_fixed),
        after=terms_to_pb(one.after, is_fixed=one.is_fixed),
    )


def asset_to_pb(asset: Asset) -> pb.Asset:
    """Return an asset."""
    account_id, linked = asset.account_id, asset.linked_id
    return pb.Asset(
        name=names.ASSET.of(account_id, asset.id),
        product=names.PRODUCT.of(asset.product_id),
        order=names.ORDER.of(account_id, asset.order_id),
        quantity=decimal_pb(asset.quantity),
        start_date=date_pb(asset.start_date),
        end_date=optional_date_pb(asset.end_date),
        resources=[_resource_to_pb(resource, account_id) for resource in asset.resources],
        external_id=asset.external_id or "",
        usage_model_type=enum_pb(catalog_pb.Product.UsageModelType, asset.role),
        linked_asset=names.ASSET.of(account_id, linked) if linked else "",
        warnings=[
            *unlinked_warnings(asset.role.is_commitment and linked is None),
            *_gap_warnings(asset),
        ],
        rate_basis=enum_pb(quote_pb.RateBasis, asset.rate_basis),
        **_binding_to_pb(asset),
        **audit_pb(asset.audit),
    )


def _gap_warnings(asset: Asset) -> list[quote_pb.SaleWarning]:
    """Return a hint for each resource for which the catalog has no rate that the asset follows."""
    return [
        quote_pb.SaleWarning(
            code=quote_pb.SaleWarning.CATALOG_GAP,
            text=(
                f"the catalog has no rate of {resource.resource_id} that the asset could follow, so"
                " the last terms hold; an active rate card entry for these days ends that"
            ),
        )
        for resource in asset.resources
        if resource.terms is not None and resource.terms.is_held
    ]


def _binding_to_pb(asset: Asset) -> dict[str, Any]:
    """Return the binding and the target of an asset."""
    target = target_of(asset)
    if target is None or asset.role.is_commitment:
        return {}
    binding, target_id = binding_to(target, asset.id)
    pattern = names.ASSET if binding is Binding.ASSET else names.BINDING_TARGET
    return {
        "binding": enum_pb(catalog_pb.Product.GrantBinding, binding),
        "binding_target": "" if target_id is None else pattern.of(asset.account_id, target_id),
    }


def _resource_to_pb(resource: AssetResource, account_id: AccountId) -> pb.AssetResource:
    unit_id, terms = resource.policies.wallet.unit_id, resource.terms
    return pb.AssetResource(
        usage_resource=names.RESOURCE.of(resource.resource_id),
        wallet=names.WALLET.of(account_id, resource.wallet_id),
        terms=None if terms is None else terms_to_pb(terms, is_fixed=resource.is_fixed),
        entitlements=[entitlement_to_pb(sold, unit_id) for sold in resource.entitlements],
        token_wallet=names.WALLET.of(account_id, resource.token_wallet_id)
        if resource.token_wallet_id
        else "",
    )


def entitlement_to_pb(sold: SoldEntitlement, unit_id: UnitId) -> pb.Entitlement:
    """Return an entitlement, whose quantities are in the unit."""
    entitlement = sold.entitlement
    refresh, validity, rollover = entitlement.refresh, entitlement.validity, entitlement.rollover
    return pb.Entitlement(
        quantity=decimal_pb(entitlement.quantity),
        unit_of_measure=names.UNIT.of(unit_id),
        product_usage_grant=names.PRODUCT_GRANT.of(sold.product_id, sold.product_grant_id),
        start_date=date_pb(entitlement.start),
        end_date=optional_date_pb(entitlement.end),
        refresh=cadence_pb(refresh.cadence if refresh else None),
        validity=cadence_pb(validity.cadence if validity else None),
        can_roll_over=rollover is not None,
        max_rollovers=(rollover.max_count or 0) if rollover else 0,
        rollover_max_quantity=optional_decimal_pb(rollover.max_quantity if rollover else None),
        rollover_max_percent=optional_decimal_pb(rollover.max_percent if rollover else None),
        rollover_remainder_percent=optional_decimal_pb(
            rollover.remainder_percent if rollover else None
        ),
    )
