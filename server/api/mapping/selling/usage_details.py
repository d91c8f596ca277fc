"""Messages of usage details."""

from usage_management.v1 import catalog_resources_pb2 as catalog_pb
from usage_management.v1 import catalog_service_pb2 as catalog_rpc_pb
from usage_management.v1 import quote_service_pb2 as quote_pb
from usage_management.v1 import usage_details_service_pb2 as pb

from server.api import names
from server.api.mapping.filters import resource_from_reader
from server.api.mapping.selling.assets import entitlement_to_pb
from server.api.mapping.selling.lines import binding_to_pb, line_resource_to_pb
from server.api.names import Name
from server.api.reader import RequestReader
from server.api.values import date_pb, decimal_pb, enum_pb, optional_date_pb
from server.domain.ids import AccountId
from server.domain.modeling.policies import PolicySource
from server.domain.selling.usage_details import UsageDetail
from server.usecases.selling.usage_details import (
    DetailsQuery,
    OfAsset,
    OfOrder,
    OfQuote,
    OfTarget,
)

SUBJECTS = {
    "quotes": names.QUOTE,
    "orders": names.ORDER,
    "assets": names.ASSET,
    "bindingTargets": names.BINDING_TARGET,
}


def list_usage_details_from_pb(request: pb.ListUsageDetailsRequest) -> DetailsQuery:
    """Return the subject and the filters of a list of usage details. Raises InvalidArgument."""
    reader = RequestReader(request)
    account_id, of = _subject_from_reader(reader)
    if request.target and not isinstance(of, OfAsset):
        reader.fault("target", "NAME_FORMAT", "is for assets only; other targets need no such flag")
    query = DetailsQuery(
        account_id=account_id,
        of=of,
        day=reader.optional_date("effective_date"),
        resource_id=resource_from_reader(reader),
    )
    reader.done()
    return query


def _subject_from_reader(
    reader: RequestReader,
) -> tuple[AccountId, OfQuote | OfOrder | OfAsset | OfTarget]:
    parts = reader.message.parent.split("/")
    word = parts[2] if len(parts) > 2 else ""
    pattern = SUBJECTS.get(word, names.ACCOUNT)
    if word and word not in SUBJECTS:
        forms = "an account, a quote, an order, an asset or a binding target"
        reader.fault("parent", "NAME_FORMAT", f"must be the name of {forms}")
        reader.done()
    account_id, *ids = reader.name("parent", pattern)
    match word:
        case "quotes":
            return account_id, OfQuote(*ids)
        case "orders":
            return account_id, OfOrder(*ids)
        case "assets":
            return account_id, OfAsset(ids[0], reader.message.target)
        case "bindingTargets":
            return account_id, OfTarget(*ids)
    return account_id, OfTarget(None)


def usage_detail_to_pb(account_id: AccountId, detail: UsageDetail) -> pb.UsageDetail:
    """Return the details of one resource."""
    line, resource = detail.line, detail.resource
    sources, listed = resource.policies.sources, resource.listed_as
    asset_id, wallet_id = detail.asset_id, detail.wallet_id
    sale = names.QUOTE if detail.is_quote else names.ORDER
    unit_id = resource.policies.wallet.unit_id
    drawdown = catalog_pb.ResourcePolicies.DrawdownOrder
    made = pb.UsageDetail(
        sale=sale.of(account_id, detail.sale_id),
        line=detail.position,
        asset="" if asset_id is None else names.ASSET.of(account_id, asset_id),
        product=names.PRODUCT.of(line.product_id),
        start_date=date_pb(line.start_date),
        end_date=optional_date_pb(line.end_date),
        **binding_to_pb(account_id, line),
        wallet="" if wallet_id is None else names.WALLET.of(account_id, wallet_id),
        overage_charge=enum_pb(pb.UsageDetail.OverageCharge, detail.overage_charge),
        omittable=resource.is_optional,
        granted_quantity=decimal_pb(detail.granted),
        unit_of_measure=names.UNIT.of(unit_id),
        resource=line_resource_to_pb(line, resource),
        drawdown_order_level=enum_pb(catalog_rpc_pb.PolicyLevel, sources.order),
        entitlements=[entitlement_to_pb(sold, unit_id) for sold in detail.entitlements],
        target_rate_order=detail.rate_order,
        rate_basis=enum_pb(quote_pb.RateBasis, line.rate_basis),
    )
    if listed is not None and listed.order is not resource.policies.wallet.order:
        made.catalog_drawdown_order = enum_pb(drawdown, listed.order)
    for field, pattern in POLICIES.items():
        if field != "commitment" or resource.commitment is not None:
            own: PolicySource = getattr(sources, field)
            catalog = None if listed is None else getattr(listed.sources, field)
            policy = _policy_to_pb(pattern, own, catalog)
            policy.non_negotiable = resource.has_fixed_policies
            getattr(made, field).CopyFrom(policy)
    return made


POLICIES = {
    "aggregation": names.AGGREGATION_POLICY,
    "rating_frequency": names.RATING_FREQUENCY_POLICY,
    "overage": names.OVERAGE_POLICY,
    "commitment": names.COMMITMENT_POLICY,
}


def _policy_to_pb(
    pattern: Name, own: PolicySource, listed: PolicySource | None
) -> pb.UsageDetailPolicy:
    made = pb.UsageDetailPolicy(
        policy="" if own.id is None else pattern.of(own.id),
        version=own.version,
        level=enum_pb(catalog_rpc_pb.PolicyLevel, own.level),
    )
    if listed is not None and listed != own:
        made.catalog_policy = "" if listed.id is None else pattern.of(listed.id)
        made.catalog_version = listed.version
        made.catalog_level = enum_pb(catalog_rpc_pb.PolicyLevel, listed.level)
    return made
