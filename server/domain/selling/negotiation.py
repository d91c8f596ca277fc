"""Negotiation: the differences of a quote from the catalog, and the limits on them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date

from server.domain.errors import FailedPrecondition, InvalidArgument
from server.domain.exact import exact, plain
from server.domain.ids import ResourceId
from server.domain.modeling.policies import OveragePolicy
from server.domain.rating.rates import (
    AdjustmentKind,
    RateParts,
    RateTerms,
    Tier,
    TierBounds,
    TierMode,
    adjust,
    check_package,
    check_tiers,
    close_gaps,
)
from server.domain.selling.sales import LineResource


@dataclass(frozen=True, slots=True, kw_only=True)
class Negotiated:
    """The negotiated rate or tiers of one resource, or both.

    Without `bounds` and `mode` the tiers have those of the catalog. An empty tuple of `tiers`
    removes the catalog's tiers.
    """

    resource_id: ResourceId
    rate: RateParts | None
    tiers: tuple[Tier, ...] | None
    bounds: TierBounds | None = None
    mode: TierMode | None = None
    custom_fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_price(self) -> bool:
        """True if a rate or tiers are negotiated, and not only custom fields."""
        return self.rate is not None or self.tiers is not None

    def closed_tiers(self, terms: RateTerms, scale: int) -> tuple[Tier, ...] | None:
        """Return the tiers; if both ends are inclusive, the gaps between them are closed."""
        bounds = self.bounds or terms.bounds
        if self.tiers is None or bounds is TierBounds.LOWER_INCLUSIVE:
            return self.tiers
        return close_gaps(self.tiers, scale=scale)


def check_negotiated(
    negotiated: tuple[Negotiated, ...],
    resources: Mapping[ResourceId, LineResource],
    *,
    currency_code: str,
    path: str,
) -> None:
    """Raise for the first negotiation that is not allowed, in the given order.

    Raises RESOURCE_TWICE, RESOURCE_NOT_IN_PRODUCT, CURRENCY_MISMATCH, RATE_NOT_FOUND,
    NOT_NEGOTIABLE, TIERS_INVALID, UNIT_SCALE.
    """
    seen: set[ResourceId] = set()
    for index, asked in enumerate(negotiated):
        at = f"{path}.negotiated_rates[{index}]"
        if asked.resource_id in seen:
            fault = "the resource has a negotiated rate already"
            raise _refusal(at, "usage_resource", "RESOURCE_TWICE", fault, asked)
        seen.add(asked.resource_id)
        if asked.resource_id not in resources:
            fault = "is not a resource of the product"
            raise _refusal(at, "usage_resource", "RESOURCE_NOT_IN_PRODUCT", fault, asked)
        _check_unit(asked, resources[asked.resource_id], currency_code, at)
        _check_negotiable(asked, resources[asked.resource_id], at)


def negotiate(resource: LineResource, asked: Negotiated) -> LineResource:
    """Return the resource with the negotiated rate and tiers beside those of the catalog."""
    terms = resource.terms
    assert terms is not None, resource
    rate, tiers = asked.rate, asked.closed_tiers(terms, resource.unit_scale)
    if rate is not None:
        terms = replace(terms, negotiated_rate=rate.over(terms))
    if tiers is not None:
        bounds, mode = asked.bounds or terms.bounds, asked.mode or terms.mode
        listed = (terms.bounds, terms.mode)
        terms = replace(terms, negotiated_tiers=tiers, bounds=bounds, mode=mode, listed_as=listed)
    return replace(resource, terms=replace(terms, negotiated_fields=asked.custom_fields))


def check_rates(resources: tuple[LineResource, ...], *, day: date, currency_code: str) -> None:
    """Raise RATE_NOT_FOUND for a resource whose overage is charged and that has no rate."""
    for resource in resources:
        terms = resource.terms
        has_rate = terms is not None and (terms.effective_rate or terms.effective_tiers)
        if not has_rate and resource.policies.overage is OveragePolicy.CHARGE:
            unit = resource.token_resource_id or currency_code
            raise rate_not_found(resource.resource_id, day=day, currency_code=unit)


def check_prices(resources: Iterable[LineResource], *, path: str) -> None:
    """Raise RATE_NEGATIVE for a tier that would adjust its rate below zero."""
    for resource in resources:
        if resource.terms is not None:
            check_terms(resource.terms, resource.resource_id, path)


@exact
def check_terms(terms: RateTerms, resource_id: ResourceId, path: str) -> None:
    """Raise RATE_NEGATIVE for a tier of these terms that would adjust their rate below zero."""
    if terms.effective_rate is None:
        return
    for tier in terms.effective_tiers:
        rate = adjust(terms.effective_rate, tier.adjustment, terms=terms)
        if rate is not None and rate.value < 0:
            text = (
                f"{path}: from {plain(tier.lower)} on {resource_id} would cost"
                f" {plain(rate.value)}; nobody is paid for using something"
            )
            facts = {"field": path, "usage_resource": resource_id}
            raise FailedPrecondition("RATE_NEGATIVE", text, facts)


def rate_not_found(resource_id: ResourceId, *, day: date, currency_code: str) -> FailedPrecondition:
    """Return the refusal of a resource without a rate."""
    return FailedPrecondition(
        "RATE_NOT_FOUND",
        f"{resource_id} has no rate in {currency_code} on {day}",
        {"usage_resource": resource_id, "currency_code": currency_code, "date": str(day)},
    )


def _check_unit(asked: Negotiated, resource: LineResource, currency_code: str, at: str) -> None:
    unit = currency_code if resource.terms is None else resource.terms.unit
    if asked.rate is None or asked.rate.unit in (None, unit):
        return
    if resource.token_resource_id is None:
        fault = f"must be {unit}, the account's currency"
        raise _refusal(at, "rate.currency_code", "CURRENCY_MISMATCH", fault, asked)
    fault = f"must be unitsOfMeasure/{unit}, that of {resource.token_resource_id}"
    raise _refusal(at, "rate.token_unit", "CURRENCY_MISMATCH", fault, asked)


def _check_negotiable(asked: Negotiated, resource: LineResource, at: str) -> None:
    terms = resource.terms
    if terms is None:
        raise FailedPrecondition(
            "RATE_NOT_FOUND",
            f"{at}: {asked.resource_id} has no rate in the catalog to depart from",
            {"field": at, "usage_resource": asked.resource_id},
        )
    if resource.is_fixed and asked.is_price:
        raise FailedPrecondition(
            "NOT_NEGOTIABLE",
            f"{at}: the rate of {asked.resource_id} may not be negotiated",
            {"field": at, "usage_resource": asked.resource_id},
        )
    scale = resource.unit_scale
    check_tiers(asked.closed_tiers(terms, scale) or (), scale=scale, path=f"{at}.tiers.tiers")
    if asked.rate is not None:
        check_package(asked.rate.over(terms), scale=scale, path=f"{at}.rate")
    if asked.rate is not None or terms.rate is not None:
        return
    if asked.tiers == ():
        raise FailedPrecondition(
            "RATE_NOT_FOUND",
            f"{at}: {asked.resource_id} has no rate in the catalog but its tiers; name a rate",
            {"field": f"{at}.clear_tiers", "usage_resource": asked.resource_id},
        )
    # The tiers of a commitment adjust the rates of its anchor.
    if resource.commitment is not None:
        return
    # Without any rate there is nothing to adjust, so every tier has to override.
    adjusts = [t.adjustment.kind is not AdjustmentKind.OVERRIDE for t in asked.tiers or ()]
    if any(adjusts):
        fault = "must override: there is no rate to adjust"
        raise _refusal(at, f"tiers.tiers[{adjusts.index(True)}]", "TIERS_INVALID", fault, asked)


def _refusal(at: str, field: str, reason: str, fault: str, asked: Negotiated) -> InvalidArgument:
    return InvalidArgument.at(f"{at}.{field}", reason, fault, usage_resource=asked.resource_id)
