"""Rebinding: from a day on, an asset that is sold is bound to another target.

Its usage is drawn on the wallets of the new target from then on, its grants are issued there, and
what is left of them in the old wallets moves with it; see `settlement.moves`. Source: P18.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from server.domain.calendar import Period, local_date, local_midnight
from server.domain.errors import FailedPrecondition, InvalidArgument, Unimplemented
from server.domain.ids import AccountId, EntitlementId, ResourceId, WalletId
from server.domain.modeling.policies import AggregationMethod
from server.domain.modeling.roles import ProductRole
from server.domain.rating.additions import is_negotiated
from server.domain.rating.rates import RateTerms
from server.domain.selling.asset_changes import AssetAct, FieldChange, NewAssetChange
from server.domain.selling.grants import Entitlement, first_index_from, issue_start
from server.domain.selling.sales import Asset, AssetResource, RateBasis
from server.domain.selling.targets import TargetKey, TargetKind, Wallet

# Their figures depend on usage before the day, which stays in the wallet before.
_CARRIED = frozenset({AggregationMethod.UNIQUE_COUNT, AggregationMethod.TIME_WEIGHTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedEntitlement:
    """An entitlement of which the issues from an index on go to another wallet."""

    id: EntitlementId
    wallet_id: WalletId
    first_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedResource:
    """A resource of an asset with its wallets before and after `bound_time`.

    The last of what is left leaves at `moved_time`.
    """

    resource_id: ResourceId
    former_id: WalletId
    wallet_id: WalletId
    bound_time: datetime
    moved_time: datetime
    entitlements: tuple[MovedEntitlement, ...]


def target_of(asset: Asset) -> TargetKey | None:
    """Return the target whose wallets an asset draws on; None for an unlinked commitment."""
    return next((resource.target for resource in asset.resources), None)


def wallets_of(resource: AssetResource) -> set[WalletId]:
    """Return the wallet of a resource, and the one before if its asset was bound otherwise."""
    both = (resource.wallet_id, resource.former_wallet_id)
    return {wallet_id for wallet_id in both if wallet_id is not None}


def check_rebindable(asset: Asset, day: date, today: date) -> None:
    """Raise an error unless an asset can be bound to another target from a day on.

    Raises BINDING_TARGET, REBIND_AGAIN, INTERVAL_INVALID, REBIND_DAY, NOT_SUPPORTED.
    """
    if asset.role is not ProductRole.ANCHOR:
        text = f"is a {asset.role}; name the asset whose usage is recorded"
        raise InvalidArgument.at("name", "BINDING_TARGET", text)
    name = f"accounts/{asset.account_id}/assets/{asset.id}"
    if any(resource.bound_time for resource in asset.resources):
        text = f"{name} was bound to another target once; sell another asset for the next target"
        raise FailedPrecondition("REBIND_AGAIN", text, {"asset": name})
    if asset.start_date > today:
        text = f"{name} begins on {asset.start_date}; bind it to another target on that day"
        raise FailedPrecondition(
            "REBIND_DAY", text, {"asset": name, "start_date": str(asset.start_date)}
        )
    if day < asset.start_date or (asset.end_date is not None and day >= asset.end_date):
        days = f"{asset.start_date} to {asset.end_date or 'no end'}"
        raise InvalidArgument.at("start_date", "INTERVAL_INVALID", f"must be in its days: {days}")
    if day > today:
        raise not_on(asset, day, today, "the day is in the future")
    for resource in asset.resources:
        _check_resource(resource)


def _check_resource(resource: AssetResource) -> None:
    """Raise NOT_SUPPORTED for a resource whose usage cannot be split between two wallets."""
    method, name = resource.policies.wallet.aggregation.method, resource.resource_id
    fault = None
    if resource.token_wallet_id is not None:
        fault = f"{name} is rated in tokens, or counts as spend"
    elif method in _CARRIED:
        fault = f"{name} is aggregated by {method}"
    elif resource.terms is not None and resource.terms.due is not None:
        fault = f"a flat amount of {name} is due without usage"
    if fault is not None:
        text = f"{fault}, and such an asset cannot be bound to another target; sell one for it"
        raise Unimplemented("NOT_SUPPORTED", text)


def not_on(asset: Asset, day: date, other: date, why: str) -> FailedPrecondition:
    """Return the refusal of a day, with another one that is possible, unless it is too late."""
    name = f"accounts/{asset.account_id}/assets/{asset.id}"
    text = f"{name} cannot be bound to another target from {day} on: {why}; "
    if asset.end_date is not None and other >= asset.end_date:
        text += "nothing of it can be moved any more, so sell another asset for the new target"
        return FailedPrecondition("REBIND_DAY", text, {"asset": name})
    facts = {"asset": name, "start_date": str(other)}
    return FailedPrecondition("REBIND_DAY", f"{text}name {other}", facts)


def is_divisible(resource: AssetResource) -> bool:
    """Return whether usage of a rating period costs the same in two parts as in one."""
    method = resource.policies.wallet.aggregation.method
    return method.adds_up and (resource.terms is None or _is_linear(resource.terms))


def _is_linear(terms: RateTerms) -> bool:
    rate = terms.effective_rate
    return not terms.effective_tiers and not (rate is not None and rate.is_package)


def differing(
    old: Iterable[Period], new: Iterable[Period], instant: datetime, zone: str
) -> date | None:
    """Return the day at which periods of two calendars differ, or None.

    `old` are those of the wallet before that end after a time, and `new` those at their starts.
    """
    for before, after in zip(old, new, strict=True):
        if (before.start, before.end) != (after.start, after.end):
            return local_date(zone, max(instant, before.start))
    return None


def moved_resource(resource: AssetResource, wallet: Wallet, zone: str, day: date) -> MovedResource:
    """Return what changes for a resource of an asset that is bound to another wallet from a day on.

    Issues that are posted stay where they are, and what is left of them leaves.
    """
    bound = local_midnight(zone, day)
    moved: list[MovedEntitlement] = []
    leaves = [bound]
    for sold in resource.entitlements:
        one = sold.entitlement
        index = max(first_index_from(one, zone, bound), one.next_index or 0)
        moved.append(MovedEntitlement(id=one.id, wallet_id=wallet.id, first_index=index))
        leaves += _posted_after(one, zone, index)
    return MovedResource(
        resource_id=resource.resource_id,
        former_id=resource.wallet_id,
        wallet_id=wallet.id,
        bound_time=bound,
        moved_time=max(leaves),
        entitlements=tuple(moved),
    )


def _posted_after(entitlement: Entitlement, zone: str, index: int) -> list[datetime]:
    """Return the start of the last posted issue, if the next one has an index."""
    is_posted = entitlement.next_index is not None and entitlement.next_index == index
    return [issue_start(entitlement, zone, index - 1)] if is_posted and index > 0 else []


def rebound_change(
    asset: Asset, target: TargetKey, *, day: date, act_time: datetime, reason: str
) -> NewAssetChange:
    """Return the change of an asset that is bound to another target."""
    return NewAssetChange(
        asset_id=asset.id,
        act=AssetAct.REBIND,
        effective_date=day,
        act_time=act_time,
        fields=tuple(
            FieldChange(
                resource_id=resource.resource_id,
                field="binding_target",
                before=target_name(asset.account_id, resource.target),
                after=target_name(asset.account_id, target),
            )
            for resource in asset.resources
        ),
        reason=reason,
    )


def target_name(account_id: AccountId, target: TargetKey | None) -> str:
    """Return the name of a target."""
    account = f"accounts/{account_id}"
    match target:
        case None:
            return ""
        case (TargetKind.ASSET, asset_id):
            return f"{account}/assets/{asset_id}"
        case (TargetKind.ACCOUNT, _):
            return account
        case (_, target_id):
            return f"{account}/bindingTargets/{target_id}"


def adds_to_it(resource: AssetResource, what: str) -> FailedPrecondition:
    """Return the refusal to move an asset away from what adds to its wallet."""
    text = (
        f"{what} of the target apply to {resource.resource_id} of the asset, and would stay behind;"
        " sell another asset for the new target"
    )
    return FailedPrecondition("REBIND_ADDITIONS", text, {"usage_resource": resource.resource_id})


def chained(account_id: AccountId, wallet_id: WalletId, *, is_old: bool) -> FailedPrecondition:
    """Return the refusal to move grants on, or to a wallet from which others moved away."""
    name = f"accounts/{account_id}/wallets/{wallet_id}"
    if is_old:
        text = f"grants of another asset moved to {name}, which grants do not leave then"
        text += "; sell another asset for the new target"
    else:
        text = f"grants of another asset moved away from {name}, where grants do not arrive then"
        text += "; bind to a target to which nothing was sold"
    return FailedPrecondition("REBIND_CHAIN", text, {"wallet": name})


def costs_elsewhere(resource: AssetResource) -> Unimplemented:
    """Return the refusal of a target whose usage of a resource is rated in another wallet too."""
    text = (
        f"usage of {resource.resource_id} at the target costs tokens or counts as spend, and grants"
        " cannot move to it; bind to another target, or sell an asset for this one"
    )
    return Unimplemented("NOT_SUPPORTED", text)


def other_calendar(resource: AssetResource, day: date) -> FailedPrecondition:
    """Return the refusal of a target whose rating periods are not those of the asset."""
    text = (
        f"the rating periods of {resource.resource_id} at the target differ from those of the asset"
        f" from {day} on; bind to a target to which nothing was sold"
    )
    return FailedPrecondition(
        "REBIND_CALENDAR", text, {"usage_resource": resource.resource_id, "day": str(day)}
    )


def other_unit(resource_id: ResourceId, unit: str, own: str) -> FailedPrecondition:
    """Return the refusal of a target whose usage is rated in another currency or token."""
    text = (
        f"the target is rated in {unit} for {resource_id}, and the asset in {own}; bind to another"
    )
    return FailedPrecondition("CURRENCY_MISMATCH", text, {"usage_resource": resource_id})


def check_agreed(asset: Asset, kind: TargetKind) -> None:
    """Raise RATE_BASIS_NOT_ALLOWED if rates that follow the catalog would be agreed for a target.

    Of several agreements for a target, the one whose rates began last applies.
    """
    if asset.rate_basis is RateBasis.FROZEN or kind is TargetKind.ASSET:
        return
    if any(is_negotiated(resource.terms) for resource in asset.resources):
        name = f"accounts/{asset.account_id}/assets/{asset.id}"
        text = (
            f"{name} has negotiated rates that follow the catalog, which cannot be agreed for a"
            " shared target; bind it to an asset, or sell another one FROZEN for the target"
        )
        raise FailedPrecondition("RATE_BASIS_NOT_ALLOWED", text, {"asset": name})


def target_policies(resource_id: ResourceId) -> FailedPrecondition:
    """Return the refusal of a target that sets policies for what is sold to it."""
    text = (
        f"the target names policies for {resource_id}, under which the asset was not sold; bind to"
        " a target without them"
    )
    return FailedPrecondition("POLICY_CONFLICT", text, {"usage_resource": resource_id})
