"""Commitments: linking one to an anchor after its sale, and the refusals about them."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

from server.domain.errors import FailedPrecondition, InvalidArgument
from server.domain.ids import AccountId, AssetId, ResourceId
from server.domain.modeling.roles import Binding
from server.domain.selling.sales import Asset, LineResource, SaleLine
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
    return replace(
        line,
        binding=Binding.ASSET,
        target_id=str(anchor_id),
        start_date=day,
        resources=tuple(
            _linked(line, resource, wallets.get(resource.resource_id), rate_units)
            for resource in line.resources
        ),
    )


def check_linkable(asset: Asset, anchor_id: AssetId) -> bool:
    """Return whether a commitment still has to be linked to an anchor.

    Raises BINDING_TARGET unless it is a commitment, and COMMITMENT_LINKED for another anchor.
    """
    if not asset.role.is_commitment:
        raise InvalidArgument.at("name", "BINDING_TARGET", f"is a {asset.role}, not a commitment")
    if asset.linked_id is None:
        return True
    if asset.linked_id != anchor_id:
        other = f"accounts/{asset.account_id}/assets/{asset.linked_id}"
        text = f"the commitment is linked to {other}; sell another one for this anchor"
        raise FailedPrecondition("COMMITMENT_LINKED", text, {"anchor": other})
    return False


def overlap(
    account_id: AccountId, other_id: AssetId, resource_id: ResourceId
) -> FailedPrecondition:
    """Return the refusal of a commitment on some of the days of another one of its anchor."""
    other = f"accounts/{account_id}/assets/{other_id}"
    text = (
        f"{other} commits to {resource_id} of the same anchor on some of these days; sell it as"
        " `nested`, or for other days"
    )
    return FailedPrecondition(
        "COMMITMENT_OVERLAP", text, {"asset": other, "usage_resource": resource_id}
    )


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
    return replace(resource, policies=replace(resource.policies, wallet=wallet.policies))
