"""Messages of the sale lines that quotes and orders share."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from usage_management.v1 import catalog_resources_pb2 as catalog_pb
from usage_management.v1 import policy_resources_pb2 as policy_pb
from usage_management.v1 import quote_service_pb2 as pb

from server.api import names
from server.api.mapping.filters import (
    external_id_from_reader,
)
from server.api.mapping.modeling.catalog import cadence_from_pb
from server.api.mapping.modeling.resource_policies import overrides_from_reader, overrides_to_pb
from server.api.mapping.rating.terms import (
    rate_parts_from_reader,
    rate_to_pb,
    terms_to_pb,
    tiers_from_reader,
    tiers_to_pb,
)
from server.api.reader import RequestReader
from server.api.values import (
    cadence_pb,
    date_pb,
    decimal_pb,
    enum_pb,
    optional_date_pb,
    optional_decimal_pb,
)
from server.domain.errors import NotFound
from server.domain.exact import ZERO, decimal_places
from server.domain.ids import (
    AccountId,
    AssetId,
    BindingTargetId,
    PolicyId,
    ProductGrantId,
    ProductId,
    ResourceId,
    SellingModelId,
)
from server.domain.modeling.policies import Validity
from server.domain.modeling.roles import Binding
from server.domain.selling.bindings import AskedBinding
from server.domain.selling.grants import edge_quantities
from server.domain.selling.negotiation import Negotiated
from server.domain.selling.quoting import AskedLine
from server.domain.selling.requoting import named_by_line
from server.domain.selling.sales import (
    GrantParts,
    LineGrant,
    LineResource,
    RateBasis,
    SaleLine,
)

ONE = Decimal(1)


def line_to_pb(account_id: AccountId, line: SaleLine) -> pb.SaleLine:
    """Return a line; negotiated rates are complete, so that a caller can send them again."""
    model = line.selling_model_id
    return pb.SaleLine(
        product=names.PRODUCT.of(line.product_id),
        quantity=decimal_pb(line.quantity),
        start_date=date_pb(line.start_date),
        end_date=optional_date_pb(line.end_date),
        **binding_to_pb(account_id, line),
        selling_model=names.SELLING_MODEL.of(model) if model else "",
        negotiated_rates=[
            negotiated
            for resource in line.resources
            if (negotiated := _negotiated_to_pb(resource)) is not None
        ],
        policies=overrides_to_pb(named_by_line(line)),
        attributes=line.attributes,
        external_id=line.external_id or "",
        nested=line.nested,
        rate_basis=enum_pb(pb.RateBasis, line.rate_basis),
        omitted_resources=map(names.RESOURCE.of, line.omitted),
        warnings=unlinked_warnings(line.is_unlinked),
        resources=[line_resource_to_pb(line, resource) for resource in line.resources],
        negotiated_grants=[
            _negotiated_grant_to_pb(line, grant.product_grant_id, grant.negotiated)
            for resource in line.resources
            for grant in resource.grants
            if grant.negotiated is not None
        ],
    )


def unlinked_warnings(is_unlinked: bool) -> list[pb.SaleWarning]:
    """Return the hint that a commitment has no anchor, if that is so."""
    if not is_unlinked:
        return []
    text = (
        "the commitment is not linked to an anchor and pays for no usage; LinkCommitment links it"
    )
    return [pb.SaleWarning(code=pb.SaleWarning.UNLINKED_COMMITMENT, text=text)]


def binding_to_pb(account_id: AccountId, line: SaleLine) -> dict[str, Any]:
    """Return the binding of a line, or the anchor of a commitment."""
    if line.role.is_commitment:
        linked = line.linked_id
        return {
            "linked_asset": names.ASSET.of(account_id, linked) if linked else "",
            "binding_line": line.target_line,
        }
    binding: dict[str, Any] = {
        "binding": enum_pb(catalog_pb.Product.GrantBinding, line.binding),
        "binding_line": line.target_line,
    }
    if line.target_id is None:
        return binding
    pattern = names.ASSET if line.binding is Binding.ASSET else names.BINDING_TARGET
    return binding | {"binding_target": pattern.of(account_id, line.target_id)}


def binding_from_reader(reader: RequestReader, account_id: AccountId) -> AskedBinding:
    """Return the requested binding; faults are kept by the reader. Raises `…_NOT_FOUND`."""
    is_asset = "/assets/" in reader.message.binding_target
    pattern = names.ASSET if is_asset else names.BINDING_TARGET
    target = reader.optional_name("binding_target", pattern)
    _check_account(account_id, target, "Asset" if is_asset else "BindingTarget")
    return AskedBinding(
        binding=reader.optional_choice("binding", Binding),
        asset_id=AssetId(target[1]) if target and is_asset else None,
        target_id=BindingTargetId(target[1]) if target and not is_asset else None,
    )


def _line_binding_from_reader(reader: RequestReader, account_id: AccountId) -> AskedBinding:
    asked = binding_from_reader(reader, account_id)
    linked = reader.optional_name("linked_asset", names.ASSET)
    _check_account(account_id, linked, "Asset")
    return replace(
        asked,
        line=reader.message.binding_line if reader.has("binding_line") else None,
        linked_asset_id=AssetId(linked[1]) if linked else None,
    )


def _check_account(account_id: AccountId, ids: Sequence[Any] | None, kind: str) -> None:
    """Raise `…_NOT_FOUND` for what belongs to another account."""
    if ids is not None and ids[0] != account_id:
        path = "assets" if kind == "Asset" else "bindingTargets"
        raise NotFound.of(kind, f"accounts/{ids[0]}/{path}/{ids[1]}")


def lines_from_reader(sale: RequestReader, account_id: AccountId) -> tuple[AskedLine, ...]:
    """Return the requested lines of a quote or an order; faults are kept by the reader."""
    if not sale.message.lines:
        sale.fault("lines", "FIELD_REQUIRED", "at least one line is needed")
    return tuple(_line_from_reader(line, account_id) for line in sale.subs("lines"))


def _line_from_reader(reader: RequestReader, account_id: AccountId) -> AskedLine:
    (product_id,) = reader.name("product", names.PRODUCT)
    model = reader.optional_name("selling_model", names.SELLING_MODEL)
    start_date, end_date = reader.date("start_date"), reader.optional_date("end_date")
    if end_date is not None and end_date <= start_date:
        reader.fault("end_date", "INTERVAL_INVALID", "must be after start_date")
    return AskedLine(
        product_id=product_id,
        quantity=_quantity_from_reader(reader),
        start_date=start_date,
        end_date=end_date,
        binding=_line_binding_from_reader(reader, account_id),
        selling_model_id=SellingModelId(model[0]) if model else None,
        omitted=tuple(
            ResourceId(ids[0]) for ids in reader.names("omitted_resources", names.RESOURCE)
        ),
        policies=overrides_from_reader(reader),
        attributes=reader.labels("attributes"),
        external_id=external_id_from_reader(reader),
        nested=reader.message.nested,
        rate_basis=reader.optional_choice("rate_basis", RateBasis) or RateBasis.FROZEN,
        negotiated=tuple(
            _negotiated_from_reader(asked_rate) for asked_rate in reader.subs("negotiated_rates")
        ),
        grants=_grants_from_reader(reader, product_id),
    )


def _quantity_from_reader(reader: RequestReader) -> Decimal:
    quantity = reader.optional_decimal("quantity")
    if quantity is None:
        return ONE
    if quantity == ZERO:
        reader.fault("quantity", "QUANTITY_ZERO", "must be greater than zero")
    elif quantity < ZERO:
        reader.fault("quantity", "QUANTITY_NEGATIVE", "must be greater than zero")
    elif decimal_places(quantity):
        reader.fault("quantity", "RANGE", "must be a whole number")
    return quantity


def _negotiated_from_reader(reader: RequestReader) -> Negotiated:
    (resource_id,) = reader.name("usage_resource", names.RESOURCE)
    is_cleared = reader.message.clear_tiers
    fields = dict(reader.message.custom_fields)
    if not (reader.has("rate") or reader.has("tiers") or is_cleared or fields):
        fault = "a rate, tiers, clear_tiers or custom fields are needed"
        reader.fault("rate", "FIELD_REQUIRED", fault)
    rate = rate_parts_from_reader(reader.sub("rate")) if reader.has("rate") else None
    if not reader.has("tiers"):
        return Negotiated(
            resource_id=resource_id,
            rate=rate,
            tiers=() if is_cleared else None,
            custom_fields=fields,
        )
    if is_cleared:
        reader.fault("clear_tiers", "TIERS_INVALID", "must not be set together with tiers")
    bounds, mode, tiers = tiers_from_reader(reader.sub("tiers"))
    return Negotiated(
        resource_id=resource_id,
        rate=rate,
        tiers=tiers,
        bounds=bounds,
        mode=mode,
        custom_fields=fields,
    )


def _negotiated_to_pb(resource: LineResource) -> pb.NegotiatedRate | None:
    terms = resource.terms
    if terms is None or not terms.is_negotiated:
        return None
    rate, tiers = terms.negotiated_rate, terms.negotiated_tiers
    return pb.NegotiatedRate(
        usage_resource=names.RESOURCE.of(resource.resource_id),
        rate=None if rate is None else rate_to_pb(rate),
        tiers=tiers_to_pb(tiers, terms.bounds, terms.mode) if tiers else None,
        clear_tiers=tiers == (),
        custom_fields=terms.negotiated_fields,
    )


def _grants_from_reader(
    reader: RequestReader, product_id: ProductId
) -> dict[ProductGrantId, GrantParts]:
    found: dict[ProductGrantId, GrantParts] = {}
    for item in reader.subs("negotiated_grants"):
        named_product, grant_id = item.name("product_usage_grant", names.PRODUCT_GRANT)
        parts = _grant_parts_from_reader(item)
        if named_product != product_id:
            fault = f"is not a grant of products/{product_id}"
            item.fault("product_usage_grant", "GRANT_NOT_INCLUDED", fault)
        elif grant_id in found:
            item.fault("product_usage_grant", "GRANT_TWICE", "the grant is negotiated already")
        elif parts == GrantParts():
            fault = "a quantity, a policy or a validity is needed"
            item.fault("quantity", "FIELD_REQUIRED", fault)
        found[grant_id] = parts
    return found


def _grant_parts_from_reader(item: RequestReader) -> GrantParts:
    quantity = item.optional_decimal("quantity")
    if quantity is not None and quantity < ZERO:
        item.fault("quantity", "QUANTITY_NEGATIVE", "must be zero or more")
    refresh = item.optional_name("refresh_policy", names.REFRESH_POLICY)
    rollover = item.optional_name("rollover_policy", names.ROLLOVER_POLICY)
    validity = cadence_from_pb(item, "validity")
    return GrantParts(
        quantity=quantity,
        refresh_policy_id=refresh[0] if refresh else None,
        rollover_policy_id=rollover[0] if rollover else None,
        validity=Validity(cadence=validity) if validity else None,
    )


def _negotiated_grant_to_pb(
    line: SaleLine, grant_id: ProductGrantId, parts: GrantParts
) -> pb.NegotiatedGrant:
    return pb.NegotiatedGrant(
        product_usage_grant=names.PRODUCT_GRANT.of(line.product_id, grant_id),
        quantity=optional_decimal_pb(parts.quantity),
        refresh_policy=_name(names.REFRESH_POLICY, parts.refresh_policy_id),
        rollover_policy=_name(names.ROLLOVER_POLICY, parts.rollover_policy_id),
        validity=cadence_pb(parts.validity.cadence if parts.validity else None),
    )


def line_resource_to_pb(line: SaleLine, resource: LineResource) -> pb.SaleLineResource:
    """Return the terms of a line for one of its resources."""
    policies, terms = resource.policies, resource.terms
    token, definition = resource.token_resource_id, resource.definition_product_id
    return pb.SaleLineResource(
        usage_resource=names.RESOURCE.of(resource.resource_id),
        terms=None if terms is None else terms_to_pb(terms, is_fixed=resource.is_fixed),
        grants=[_grant_to_pb(line, resource, grant) for grant in resource.grants],
        aggregation_policy=_name(names.AGGREGATION_POLICY, policies.sources.aggregation.id),
        rating_frequency_policy=_name(
            names.RATING_FREQUENCY_POLICY, policies.sources.rating_frequency.id
        ),
        overage_policy=_name(names.OVERAGE_POLICY, policies.sources.overage.id),
        aggregation_policy_version=policies.sources.aggregation.version,
        rating_frequency_policy_version=policies.sources.rating_frequency.version,
        overage_policy_version=policies.sources.overage.version,
        token_resource=names.RESOURCE.of(token) if token else "",
        usage_definition_product=names.PRODUCT.of(definition) if definition else "",
        drawdown_order=enum_pb(catalog_pb.ResourcePolicies.DrawdownOrder, policies.wallet.order),
        **_commitment_to_pb(resource),
    )


def _commitment_to_pb(resource: LineResource) -> dict[str, Any]:
    """Return the commitment policy of a commitment; nothing for other lines."""
    if resource.commitment is None:
        return {}
    source = resource.policies.sources.commitment
    return {
        "commitment_policy": _name(names.COMMITMENT_POLICY, source.id),
        "commitment_policy_version": source.version,
        "commitment_rate": enum_pb(policy_pb.CommitmentPolicy.Rate, resource.commitment),
    }


def _grant_to_pb(line: SaleLine, resource: LineResource, grant: LineGrant) -> pb.SaleLineGrant:
    first, last = edge_quantities(
        grant.quantity,
        unit_scale=resource.unit_scale,
        days=(line.start_date, line.end_date),
        refresh=grant.refresh,
    )
    return pb.SaleLineGrant(
        first_issue_quantity=decimal_pb(first),
        last_issue_quantity=None if last is None else decimal_pb(last),
        product_usage_grant=names.PRODUCT_GRANT.of(line.product_id, grant.product_grant_id),
        quantity=decimal_pb(grant.quantity),
        unit_of_measure=names.UNIT.of(resource.policies.wallet.unit_id),
        refresh_policy=_name(names.REFRESH_POLICY, grant.refresh_policy.id),
        rollover_policy=_name(names.ROLLOVER_POLICY, grant.rollover_policy.id),
        refresh_policy_version=grant.refresh_policy.version,
        rollover_policy_version=grant.rollover_policy.version,
        type=enum_pb(catalog_pb.ProductUsageGrant.Type, grant.type),
        validity=cadence_pb(grant.validity.cadence if grant.validity else None),
        catalog_quantity=None if grant.quantity == grant.listed else decimal_pb(grant.listed),
        non_negotiable=grant.is_fixed,
        spend_cap=optional_decimal_pb(grant.spend_cap),
        **_listed_to_pb(grant),
    )


def _listed_to_pb(grant: LineGrant) -> dict[str, Any]:
    """Return the policies and the validity of the catalog, if the grant was negotiated."""
    listed = grant.listed_as
    if listed is None:
        return {}
    refresh, rollover, validity = listed.refresh_policy, listed.rollover_policy, listed.validity
    return {
        "negotiated": True,
        "catalog_refresh_policy": _name(names.REFRESH_POLICY, refresh.id),
        "catalog_refresh_policy_version": refresh.version,
        "catalog_rollover_policy": _name(names.ROLLOVER_POLICY, rollover.id),
        "catalog_rollover_policy_version": rollover.version,
        "catalog_validity": cadence_pb(validity.cadence if validity else None),
    }


def _name(pattern: names.Name, policy_id: PolicyId | None) -> str:
    return "" if policy_id is None else pattern.of(policy_id)
