"""Link a commitment to an anchor after its sale."""

from dataclasses import dataclass
from datetime import date

from server.domain.calendar import local_midnight
from server.domain.ids import AccountId, AssetId
from server.domain.modeling.roles import Binding
from server.domain.selling.activation import activate
from server.domain.selling.asset_changes import link_change
from server.domain.selling.bindings import nothing_sold
from server.domain.selling.commitments import check_linkable, linked_line
from server.domain.selling.sales import Asset
from server.domain.selling.targets import TargetKind
from server.env import new_id
from server.store.access import tenants
from server.store.connection import Transaction
from server.store.selling import asset_changes, assets, orders, targets
from server.usecases.lifecycle.order_activation import take_effect


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkCommitment:
    """A commitment, its anchor, and the day from which on it pays; None for its start."""

    account_id: AccountId
    asset_id: AssetId
    anchor_id: AssetId
    start: date | None = None


async def link_commitment(tx: Transaction, command: LinkCommitment) -> Asset:
    """Issue the grants of a commitment into the wallets of an anchor, as its sale would have.

    Raises ASSET_NOT_FOUND, BINDING_TARGET, COMMITMENT_LINKED, INTERVAL_INVALID, CURRENCY_MISMATCH,
    and the errors of `activate` and `take_effect`.
    """
    account_id, asset_id, anchor_id = command.account_id, command.asset_id, command.anchor_id
    # As in an activation: numbers have no gap, and a link is made once.
    buyer = await orders.lock_buyer(tx, account_id)
    asset = await assets.get(tx, account_id, asset_id)
    start = None if command.start is None else local_midnight(buyer.zone, command.start)
    if not check_linkable(asset, anchor_id, start):
        return asset
    anchor = await assets.get(tx, account_id, anchor_id)
    key = (TargetKind.ASSET, str(anchor_id))
    before = await assets.before(tx, account_id, [key])
    target = before.targets.get(key)
    if target is None:
        raise nothing_sold(Binding.ASSET, anchor.role, "anchor")
    line = linked_line(
        await orders.line_of(tx, account_id, asset_id),
        anchor_id,
        command.start,
        wallets={wallet.resource_id: wallet for wallet in before.wallets},
        rate_units=await targets.rate_units(tx, account_id, target.id),
    )
    order = await orders.get(tx, account_id, asset.order_id)
    sale = order.of_one(line, asset_id)
    instant = await tenants.now(tx)
    new = activate(sale, buyer, before, now=instant, new_id=new_id)
    await take_effect(tx, sale, new, before, has_assets=True)
    await asset_changes.add(tx, account_id, [link_change(asset_id, line, instant)])
    await orders.bump_rates(tx, account_id)
    return await assets.get(tx, account_id, asset_id)
