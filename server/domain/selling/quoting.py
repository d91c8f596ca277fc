"""Quoting: a line of a quote, made of the request and the catalog."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal

from server.domain.calendar import Cadence
from server.domain.errors import FailedPrecondition, InvalidArgument
from server.domain.exact import decimal_places, plain
from server.domain.ids import ExternalId, ProductGrantId, ProductId, ResourceId, SellingModelId
from server.domain.modeling.catalog import (
    CatalogState,
    Category,
    PolicyIds,
    SellingModel,
    SellingModelType,
    StoredRecord,
)
from server.domain.modeling.policies import (
    CommitmentRate,
    RolloverPolicy,
    check_period_order,
)
from server.domain.modeling.resolved import (
    ResolvedGrant,
    ResolvedProduct,
    ResolvedResource,
    sold_policies,
)
from server.domain.modeling.roles import ProductRole
from server.domain.modeling.sold_policies import SoldPolicies
from server.domain.rating.cached_terms import CatalogTerms
from server.domain.rating.rates import HUNDRED, AdjustmentKind, RateTerms
from server.domain.selling.bindings import UNBOUND, AskedBinding, BoundTarget
from server.domain.selling.commitments import (
    check_promise,
    check_spend,
    of_target,
    spend_policies,
)
from server.domain.selling.negotiation import (
    Negotiated,
    check_negotiated,
    check_prices,
    check_rates,
    negotiate,
)
from server.domain.selling.rate_bases import check_rate_basis
from server.domain.selling.sales import (
    Buyer,
    GrantParts,
    LineGrant,
    LineResource,
    ListedGrant,
    ListedPolicies,
    RateBasis,
    SaleLine,
    granted,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedLine:
    """One product with a quantity, and the requested differences from the catalog."""

    product_id: ProductId
    quantity: Decimal
    start_date: date
    end_date: date | None
    binding: AskedBinding = UNBOUND
    selling_model_id: SellingModelId | None = None
    omitted: tuple[ResourceId, ...] = ()
    policies: Mapping[ResourceId, PolicyIds] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    negotiated: tuple[Negotiated, ...] = ()
    grants: Mapping[ProductGrantId, GrantParts] = field(default_factory=dict)
    external_id: ExternalId | None = None
    nested: bool = False
    rate_basis: RateBasis = RateBasis.FROZEN


@dataclass(frozen=True, slots=True)
class LineInputs:
    """A requested line, its product, its binding target, and the catalog's rates.

    `product` is the product as sold on the first day of the line, with all overrides. `path` is the
    line's field path in the request.
    """

    asked: AskedLine
    product: ResolvedProduct
    to: BoundTarget
    rates: Mapping[ResourceId, CatalogTerms]
    buyer: Buyer
    path: str

    def at(self, rates: Mapping[ResourceId, CatalogTerms]) -> "LineInputs":
        """Return it with the catalog's rates."""
        return replace(self, rates=rates)

    def is_spend(self, resource: ResolvedResource) -> bool:
        """Return whether a resource is the money of a commitment to spend."""
        is_money = resource.category is Category.CURRENCY
        return is_money and self.product.role is ProductRole.MONETARY_COMMITMENT


def ending(asked: AskedLine, model: StoredRecord[SellingModel] | None, path: str) -> AskedLine:
    """Return the line with its end date, from its selling model or the request.

    Raises RESOURCE_INACTIVE, INTERVAL_INVALID.
    """
    if model is None:
        return asked
    name = f"sellingModels/{model.content.id}"
    if model.state is not CatalogState.ACTIVE:
        text = f"{name} is {model.state}; ChangeStates puts it in force"
        raise FailedPrecondition("RESOURCE_INACTIVE", text, {"selling_model": name})
    term = model.content.term
    due = None if term is None else term.nth(asked.start_date, 1)
    if model.content.type is SellingModelType.ONE_TIME or asked.end_date in (None, due):
        return replace(asked, end_date=asked.end_date or due)
    fault = f"what is sold under {name} ends on {due}" if due else f"{name} has no end; name none"
    raise InvalidArgument.at(f"{path}.end_date", "INTERVAL_INVALID", fault)


def rate_units(
    product: ResolvedProduct, to: BoundTarget, currency_code: str
) -> dict[ResourceId, str]:
    """Return the rate unit of each resource; for packs and commitments, that of the wallet."""
    if product.role is ProductRole.ANCHOR or _is_unlinked(product, to):
        return {
            resource.resource_id: product.rate_unit(resource, currency_code)
            for resource in product.resources
        }
    return {
        resource.resource_id: to.rate_units.get(resource.resource_id, currency_code)
        for resource in product.resources
    }


def quoted(inputs: LineInputs) -> SaleLine:
    """Return the line with the catalog's rates of each resource and the negotiated ones.

    Raises RESOURCE_NOT_OPTIONAL, RESOURCE_INACTIVE, PERIOD_ORDER, BINDING_TARGET, TIERS_INVALID,
    DECIMAL_RANGE, RESOURCE_TWICE, RESOURCE_NOT_IN_PRODUCT, CURRENCY_MISMATCH, RATE_NOT_FOUND,
    NOT_NEGOTIABLE, RATE_NEGATIVE, RATE_UNREACHABLE, RATE_BASIS_NOT_ALLOWED, GRANT_TYPE, RANGE.
    """
    asked, product, path = inputs.asked, inputs.product, inputs.path
    # Omitted resources are left out before all checks, so that they need no rate.
    sold = [resource for resource in product.resources if _is_sold(inputs, resource)]
    for resource in sold:
        _check_sellable(asked, resource, inputs.buyer.billing.interval)
    resources = {resource.resource_id: _resource(inputs, resource) for resource in sold}
    currency = inputs.buyer.currency_code
    check_negotiated(asked.negotiated, resources, currency_code=currency, path=path)
    for asked_rate in asked.negotiated:
        resources[asked_rate.resource_id] = negotiate(resources[asked_rate.resource_id], asked_rate)
    resources_by_id = tuple(resources[key] for key in sorted(resources))
    check_prices(resources_by_id, path=path)
    if product.role.is_commitment:
        _check_discounts(resources_by_id, asked.product_id)
    if product.role is ProductRole.MONETARY_COMMITMENT:
        check_spend(asked.product_id, resources_by_id, currency_code=currency)
    _check_reached(resources_by_id, asked.product_id, path)
    if product.role is ProductRole.ANCHOR:
        check_rates(resources_by_id, day=asked.start_date, currency_code=currency)
    line = SaleLine(
        product_id=asked.product_id,
        quantity=asked.quantity,
        start_date=asked.start_date,
        end_date=asked.end_date,
        role=product.role,
        binding=inputs.to.binding,
        target_id=inputs.to.target_id,
        target_line=inputs.to.target_line,
        selling_model_id=asked.selling_model_id,
        external_id=asked.external_id,
        nested=asked.nested,
        omitted=asked.omitted,
        rate_basis=asked.rate_basis,
        resources=resources_by_id,
    )
    check_rate_basis(line, is_shared=inputs.to.is_shared, path=path)
    return line


def _is_sold(inputs: LineInputs, resource: ResolvedResource) -> bool:
    """Return whether a resource is part of the sale. Raises RESOURCE_NOT_OPTIONAL."""
    if resource.resource_id not in inputs.asked.omitted:
        return True
    if not resource.is_optional:
        fault = f"{resource.resource_id} is always part of {inputs.asked.product_id}"
        path = f"{inputs.path}.omitted_resources"
        raise InvalidArgument.at(path, "RESOURCE_NOT_OPTIONAL", fault)
    return False


def _resource(inputs: LineInputs, resource: ResolvedResource) -> LineResource:
    asked, role = inputs.asked, inputs.product.role
    is_spend = inputs.is_spend(resource)
    # A discount for all resources of a commitment does not change what is spent.
    found = None if is_spend else inputs.rates.get(resource.resource_id)
    is_anchor = role is ProductRole.ANCHOR
    is_apart = is_anchor or _is_unlinked(inputs.product, inputs.to)
    terms = None if found is None else replace(found.terms, attributes=asked.attributes)
    # The rate for usage beyond a commitment; only commitments have one.
    rate = resource.chain.commitment.policy.content.rate if role.is_commitment else None
    if is_apart:
        policies = resource.policies
    else:
        policies = _of_spend(inputs, resource) if is_spend else _of_wallet(inputs, resource)
    return LineResource(
        resource_id=resource.resource_id,
        unit_scale=resource.unit.scale,
        policies=policies,
        terms=terms,
        is_fixed=found is not None and found.is_fixed,
        token_resource_id=resource.token_resource_id if is_anchor else None,
        definition_product_id=resource.definition_product_id,
        commitment=rate,
        grants=tuple(
            _grant(asked, grant, resource.unit.scale, inputs.path, is_spend=is_spend)
            for grant in included(asked, resource)
        ),
        listed_as=_listed_policies(resource, policies, is_apart=is_apart),
        is_optional=resource.is_optional,
        has_fixed_policies=resource.has_fixed_policies,
        is_spend=is_spend,
    )


def _listed_policies(
    resource: ResolvedResource, policies: SoldPolicies, *, is_apart: bool
) -> ListedPolicies | None:
    """Return the catalog's policies, if others apply; the wallet's are not those of a product."""
    chain = resource.listed_chain
    sources = sold_policies(chain, resource.unit.id).sources
    if not is_apart:
        sources = replace(policies.sources, commitment=sources.commitment)
    if sources == policies.sources:
        return None
    return ListedPolicies(
        sources=sources, order=chain.order[0] if is_apart else policies.wallet.order
    )


def included(asked: AskedLine, resource: ResolvedResource) -> list[ResolvedGrant]:
    """Return the grants of a resource that a line includes."""
    return [
        grant for grant in resource.grants if grant.is_for(asked.selling_model_id, asked.start_date)
    ]


def _is_unlinked(product: ResolvedProduct, to: BoundTarget) -> bool:
    """Return whether a commitment has no anchor yet, and so no wallet to add to."""
    has_anchor = to.target_id is not None or to.target_line is not None
    return product.role.is_commitment and not has_anchor


def _of_wallet(inputs: LineInputs, resource: ResolvedResource) -> SoldPolicies:
    """Return the policies of the wallet to which the line adds. Raises BINDING_TARGET."""
    product_id, role = inputs.asked.product_id, inputs.product.role
    policies = inputs.to.wallets.get(resource.resource_id)
    if policies is None:
        fault = f"has no wallet of {resource.resource_id}, which {product_id} adds to"
        field_name = "linked_asset" if role.is_commitment else "binding_target"
        field_name = field_name if inputs.to.target_line is None else "binding_line"
        raise InvalidArgument.at(f"{inputs.path}.{field_name}", "BINDING_TARGET", fault)
    return of_target(resource.policies, policies)


def _of_spend(inputs: LineInputs, resource: ResolvedResource) -> SoldPolicies:
    """Return the policies of the wallet of what is spent. Raises POLICY_CONFLICT."""
    included = {
        other.resource_id: _of_wallet(inputs, other).wallet
        for other in inputs.product.resources
        if not inputs.is_spend(other) and _is_sold(inputs, other)
    }
    policies = spend_policies(inputs.asked.product_id, resource.unit.id, included)
    commitment = resource.policies.sources.commitment
    return replace(policies, sources=replace(policies.sources, commitment=commitment))


def _check_discounts(resources: Iterable[LineResource], product_id: ProductId) -> None:
    """Raise TIERS_INVALID for a discount of 100 percent or more, a flat amount or a package."""
    for resource in resources:
        if resource.terms is not None:
            check_discount(resource.terms, product_id, resource.resource_id)


def check_discount(terms: RateTerms, product_id: ProductId, resource_id: ResourceId) -> None:
    """Raise TIERS_INVALID for terms that a commitment cannot have."""
    for tier in terms.effective_tiers:
        adjustment = tier.adjustment
        if not tier.is_plain:
            text = (
                f"the tiers of {product_id} for {resource_id} have a flat amount or a package size;"
                " a commitment changes rates only"
            )
            raise FailedPrecondition("TIERS_INVALID", text, {"product": product_id})
        # At 100 percent a unit of usage would take nothing from the commitment, which would never
        # end.
        if adjustment.kind is AdjustmentKind.PERCENTAGE and adjustment.value >= HUNDRED:
            text = (
                f"{product_id} takes {adjustment.value} % off {resource_id}; it must be below 100"
            )
            raise FailedPrecondition("TIERS_INVALID", text, {"product": product_id})


def _check_reached(resources: Sequence[LineResource], product_id: ProductId, path: str) -> None:
    """Raise RATE_UNREACHABLE for a BOUNDED commitment rate without any grant."""
    for resource in resources:
        is_bounded = resource.commitment is CommitmentRate.BOUNDED
        if is_bounded and resource.terms is not None and not resource.grants:
            name = resource.resource_id
            text = (
                f"{path}: {product_id} has a rate for {name}, which under a BOUNDED commitment"
                f" policy ends with what is granted of {name}, and nothing is; let the policy of"
                f" {name} be LOWEST, grant some of it, or lower the rate of what is granted"
            )
            facts = {"field": path, "product": product_id, "usage_resource": name}
            raise FailedPrecondition("RATE_UNREACHABLE", text, facts)


def _check_sellable(asked: AskedLine, resource: ResolvedResource, billing: Cadence) -> None:
    day = asked.start_date
    if not resource.is_sold_on(day):
        raise FailedPrecondition(
            "RESOURCE_INACTIVE",
            f"{resource.resource_id} of {asked.product_id} is not sold on {day}",
            {
                "product": asked.product_id,
                "usage_resource": resource.resource_id,
                "date": str(day),
            },
        )
    wallet = resource.policies.wallet
    check_period_order(
        billing=billing, rating=wallet.rating.period, accumulation=wallet.aggregation.period
    )


def _rollover(rollover: RolloverPolicy | None, count: Decimal, path: str) -> RolloverPolicy | None:
    """Return the rollover policy with its cap multiplied by the quantity, as grants are."""
    if rollover is None or rollover.max_quantity is None:
        return rollover
    return replace(rollover, max_quantity=granted(rollover.max_quantity, count, path=path))


def _grant(
    asked: AskedLine, grant: ResolvedGrant, scale: int, path: str, *, is_spend: bool
) -> LineGrant:
    parts = asked.grants.get(grant.id)
    listed = granted(grant.quantity, asked.quantity, path=path)
    agreed = None if parts is None else parts.quantity
    cap = grant.spend_cap and granted(grant.spend_cap, asked.quantity, path=path)
    if parts is not None:
        at = f"{path}.negotiated_grants[{list(asked.grants).index(grant.id)}]"
        if agreed is not None:
            _check_agreed(agreed, scale, cap, f"{at}.quantity")
        if is_spend:
            check_promise(parts, at)
    return LineGrant(
        product_grant_id=grant.id,
        quantity=listed if agreed is None else agreed,
        listed=listed,
        type=grant.type,
        negotiated=parts,
        refresh=grant.refresh,
        validity=grant.validity,
        rollover=_rollover(grant.rollover, asked.quantity, path),
        refresh_policy=grant.refresh_policy,
        rollover_policy=grant.rollover_policy,
        listed_as=_listed_grant(grant.listed),
        is_fixed=grant.is_fixed,
        spend_cap=cap,
    )


def _check_agreed(agreed: Decimal, scale: int, cap: Decimal | None, at: str) -> None:
    """Raise UNIT_SCALE or RANGE for a negotiated quantity with which nothing can be sold."""
    if decimal_places(agreed) > scale:
        fault = f"{plain(agreed)} has more than the {scale} decimals of the resource's unit"
        raise InvalidArgument.at(at, "UNIT_SCALE", fault, scale=str(scale), quantity=plain(agreed))
    if cap is not None and agreed > cap:
        fault = f"must not be above the spend cap of {plain(cap)}; agree to less"
        raise InvalidArgument.at(at, "RANGE", fault)


def _listed_grant(listed: ResolvedGrant | None) -> ListedGrant | None:
    if listed is None:
        return None
    return ListedGrant(
        refresh_policy=listed.refresh_policy,
        rollover_policy=listed.rollover_policy,
        validity=listed.validity,
    )
