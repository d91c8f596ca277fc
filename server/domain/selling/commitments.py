"""Commitments: linking one to an anchor after its sale, and the refusals about them.

A commitment to spend has one resource of money, whose grants are the spend that is promised. What
usage of its other resources costs is drawn from them. Source: monetary commitments.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime

from server.domain.errors import FailedPrecondition, InvalidArgument
from server.domain.ids import AccountId, AssetId, ProductId, ResourceId, UnitId
from server.domain.modeling.policies import (
    AggregationMethod,
    AggregationPolicy,
    OveragePolicy,
    PolicyLevel,
    PolicySource,
    PolicySources,
)
from server.domain.modeling.roles import Binding, ProductRole
from server.domain.modeling.sold_policies import SoldPolicies, WalletPolicies
from server.domain.selling.sales import Asset, GrantParts, LineResource, SaleLine
from server.domain.selling.targets import Wallet


def linked_line(
    line: SaleLine,
    anchor_id: AssetId,
    start: date | None,
    *,
    wallets: Mapping[ResourceId, Wallet],
    rate_units: Mapping[ResourceId, str],
) -> SaleLine:
    """Return the line of a commitment as if it had been sold to an anchor from a day on.

    `wallets` are those of the anchor, and `rate_units` the units in which it is rated. Raises
    INTERVAL_INVALID, BINDING_TARGET, CURRENCY_MISMATCH.
    """
    day = line.start_date if start is None else start
    if day < line.start_date or (line.end_date is not None and day >= line.end_date):
        days = f"{line.start_date} to {line.end_date or 'no end'}"
        fault = f"must be a day of the commitment: {days}"
        raise InvalidArgument.at("start_date", "INTERVAL_INVALID", fault)
    used = {
        resource.resource_id: _linked(line, resource, wallets.get(resource.resource_id), rate_units)
        for resource in line.resources
        if not resource.is_spend
    }
    included = {key: resource.policies.wallet for key, resource in used.items()}
    return replace(
        line,
        binding=Binding.ASSET,
        target_id=str(anchor_id),
        start_date=day,
        resources=tuple(
            used.get(resource.resource_id) or _linked_spend(line, resource, included)
            for resource in line.resources
        ),
    )


def of_target(own: SoldPolicies, wallet: WalletPolicies) -> SoldPolicies:
    """Return the policies of what adds to a wallet, which has those of its target."""
    at_target = PolicySource(level=PolicyLevel.TARGET)
    return SoldPolicies(
        wallet=wallet,
        overage=own.overage,
        sources=PolicySources(
            aggregation=at_target,
            rating_frequency=at_target,
            overage=own.sources.overage,
            commitment=own.sources.commitment,
            order=PolicyLevel.TARGET,
        ),
    )


def spend_policies(
    product_id: ProductId, unit_id: UnitId, included: Mapping[ResourceId, WalletPolicies]
) -> SoldPolicies:
    """Return the policies of the wallet of what is spent on usage of some resources.

    It is rated when they are, and what is spent beyond the commitment costs nothing more. Raises
    POLICY_CONFLICT if they are not rated at the same times, and COMMITMENT_KIND without any.
    """
    if not included:
        raise not_spendable(product_id)
    (first_id, first), *others = sorted(included.items())
    for resource_id, one in others:
        if (one.rating, one.late) != (first.rating, first.late):
            text = (
                f"{product_id} includes {first_id} and {resource_id}, which the anchor does not"
                " have rated at the same times; give both one rating frequency policy, or commit to"
                " one of them"
            )
            raise FailedPrecondition("POLICY_CONFLICT", text, {"usage_resource": resource_id})
    at_target = PolicySource(level=PolicyLevel.TARGET)
    return SoldPolicies(
        wallet=WalletPolicies(
            unit_id=unit_id,
            aggregation=AggregationPolicy.usual(AggregationMethod.SUM),
            rating=first.rating,
            late=first.late,
        ),
        overage=OveragePolicy.FREE,
        sources=PolicySources(rating_frequency=at_target),
    )


def check_spend(
    product_id: ProductId, resources: Iterable[LineResource], *, currency_code: str
) -> None:
    """Raise for a commitment to spend that cannot be sold.

    Raises COMMITMENT_KIND, CURRENCY_MISMATCH, RATE_NOT_FOUND.
    """
    spends = [resource for resource in resources if resource.is_spend]
    used = [resource for resource in resources if not resource.is_spend]
    if len(spends) != 1 or not used or not spends[0].grants:
        raise not_spendable(product_id)
    unit = spends[0].policies.wallet.unit_id
    if unit != currency_code:
        text = (
            f"{product_id} commits to spend {unit}, and the account pays in {currency_code}; sell a"
            f" commitment to spend {currency_code}"
        )
        raise FailedPrecondition("CURRENCY_MISMATCH", text, {"product": product_id})
    for resource in used:
        if resource.terms is None:
            name = resource.resource_id
            text = (
                f"{product_id} has no rate for {name}, so usage of it would not count; add one, or"
                " a tier of 0 percent"
            )
            raise FailedPrecondition("RATE_NOT_FOUND", text, {"usage_resource": name})


def check_promise(parts: GrantParts, path: str) -> None:
    """Raise for a negotiated amount to spend that could not be settled.

    Raises GRANT_TYPE for a rollover or a validity, because amounts of the same days would count the
    same usage, and RANGE for no amount.
    """
    given = {"rollover_policy": parts.rollover_policy_id, "validity": parts.validity}
    for name, value in given.items():
        if value is not None:
            text = "an amount to spend lasts for one refresh interval, and what is left of it is"
            text += " owed; negotiate its quantity or its refresh policy"
            raise InvalidArgument.at(f"{path}.{name}", "GRANT_TYPE", text)
    if parts.quantity == 0:
        fault = "must be greater than 0, because it is the amount to spend"
        raise InvalidArgument.at(f"{path}.quantity", "RANGE", fault)


def not_spendable(product_id: ProductId) -> FailedPrecondition:
    """Return the refusal of a commitment to spend without an amount or without usage."""
    text = (
        f"{product_id} commits to spend, so it needs one resource of the category CURRENCY with a"
        " grant of the amount, and the resources whose usage counts"
    )
    return FailedPrecondition("COMMITMENT_KIND", text, {"product": product_id})


def check_linkable(asset: Asset, anchor_id: AssetId, start: datetime | None) -> bool:
    """Return whether a commitment still has to be linked to an anchor, from a time on if given.

    Raises BINDING_TARGET unless it is a commitment, and COMMITMENT_LINKED for another anchor or
    another time.
    """
    if not asset.role.is_commitment:
        raise InvalidArgument.at("name", "BINDING_TARGET", f"is a {asset.role}, not a commitment")
    if asset.linked_id is None:
        return True
    if asset.linked_id != anchor_id:
        other = f"accounts/{asset.account_id}/assets/{asset.linked_id}"
        text = f"the commitment is linked to {other}; sell another one for this anchor"
        raise FailedPrecondition("COMMITMENT_LINKED", text, {"anchor": other})
    since = min((resource.start_time for resource in asset.resources), default=start)
    if start not in (None, since):
        text = f"the commitment is linked to this anchor from {since} on; read it again"
        raise FailedPrecondition("COMMITMENT_LINKED", text, {"anchor": str(anchor_id)})
    return False


def overlap(
    account_id: AccountId, other_id: AssetId, resource_id: ResourceId, line: SaleLine
) -> FailedPrecondition:
    """Return the refusal of a commitment on some of the days of another one of its anchor."""
    other = f"accounts/{account_id}/assets/{other_id}"
    text = f"{other} commits to {resource_id} of the same anchor on some of these days; sell it "
    if line.nested:
        text += "for other days, because what is spent counts for one commitment"
    elif line.role is ProductRole.MONETARY_COMMITMENT:
        text += "for other days, or as `nested` if that one is no commitment to spend"
    else:
        text += "as `nested`, or for other days"
    return FailedPrecondition(
        "COMMITMENT_OVERLAP", text, {"asset": other, "usage_resource": resource_id}
    )


def beside_spend(resource_id: ResourceId) -> FailedPrecondition:
    """Return the refusal to use, or to add to, what a commitment to spend promises."""
    text = (
        f"{resource_id} is the money that a commitment to spend promises at this target, so nothing"
        " else is drawn from it or adds to it; sell it to another target, or with another resource"
        " of the category CURRENCY"
    )
    return FailedPrecondition("COMMITMENT_KIND", text, {"usage_resource": resource_id})


def _linked(
    line: SaleLine,
    resource: LineResource,
    wallet: Wallet | None,
    rate_units: Mapping[ResourceId, str],
) -> LineResource:
    name = resource.resource_id
    if wallet is None:
        fault = f"has no wallet of {name}, which {line.product_id} adds to"
        raise InvalidArgument.at("anchor", "BINDING_TARGET", fault)
    unit = rate_units.get(name)
    if resource.terms is not None and unit not in (None, resource.terms.unit):
        text = (
            f"the anchor is rated in {unit} for {name}, and the commitment in {resource.terms.unit}"
        )
        raise FailedPrecondition("CURRENCY_MISMATCH", text, {"usage_resource": name})
    return replace(resource, policies=of_target(resource.policies, wallet.policies))


def _linked_spend(
    line: SaleLine, resource: LineResource, included: Mapping[ResourceId, WalletPolicies]
) -> LineResource:
    policies = spend_policies(line.product_id, resource.policies.wallet.unit_id, included)
    commitment = resource.policies.sources.commitment
    sources = replace(policies.sources, commitment=commitment)
    return replace(resource, policies=replace(policies, sources=sources))
