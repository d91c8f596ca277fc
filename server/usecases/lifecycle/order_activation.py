"""Activate an order: create assets, wallets, first grants and rating periods, all or none."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from server.domain.billing.causes import Cause
from server.domain.errors import Aborted, FailedPrecondition
from server.domain.ids import AccountId, OrderId, WalletId
from server.domain.selling.activation import Activation, Before, DuePeriod, activate
from server.domain.selling.asset_changes import sold_changes
from server.domain.selling.commitments import beside_spend, overlap
from server.domain.selling.grants import Grant
from server.domain.selling.line_refusals import of_line
from server.domain.selling.overages import check_overages, overages_of
from server.domain.selling.sales import Buyer, Order, OrderState, RateBasis
from server.domain.selling.targets import target_key
from server.domain.settlement.ledger import Head
from server.domain.settlement.standing import standing
from server.domain.settlement.walk import opening
from server.env import new_id
from server.store.access import tenants
from server.store.access.tenants import now
from server.store.billing import periods, summaries
from server.store.billing.periods import NewPeriod
from server.store.connection import Transaction
from server.store.jobs import Job
from server.store.selling import asset_changes, assets, commitments, orders
from server.store.selling import overages as stored_overages
from server.store.settlement import ledger, wallets
from server.store.settlement.ledger import WalletPosting
from server.usecases.billing import pending
from server.usecases.billing.closing import refresh_job
from server.usecases.lifecycle.following import follow
from server.usecases.modeling.resolution import not_active
from server.usecases.selling.orders import (
    CreateDirectOrder,
    CreateOrder,
    create_direct,
    of_quote,
)
from server.usecases.selling.quoting import check_external_ids

# Stands for the id of an asset that is bound to itself and does not exist yet.
UNKNOWN_ASSET = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivateOrder:
    """The order to activate; `revision` is the last one that the caller saw, or None."""

    account_id: AccountId
    order_id: OrderId
    revision: int | None = None


async def activate_order(tx: Transaction, command: ActivateOrder) -> Order:
    """Activate a draft order: open wallets, post first grants, open rating periods.

    Raises ACCOUNT_NOT_FOUND, ORDER_NOT_FOUND, ORDER_ALREADY_ACTIVE, ETAG_MISMATCH,
    RESOURCE_INACTIVE, POLICY_CONFLICT, BACKDATED_TOO_FAR, CODE_TAKEN, LIMIT_ORDER_WALLETS,
    LIMIT_ORDER_PERIODS, and the errors of `take_effect`.
    """
    account_id, order_id = command.account_id, command.order_id
    # Activations of one account run one after the other, so that its numbers have no gap and a
    # shared wallet is created once.
    buyer = await orders.lock_buyer(tx, account_id)
    order = await orders.lock(tx, account_id, order_id)
    _check_state(order, command.revision)
    await _check_sold(tx, order)
    return await _activate(tx, buyer, order)


async def sell(tx: Transaction, command: CreateOrder | CreateDirectOrder) -> Order:
    """Create an order and activate it.

    Raises the errors of `of_quote` or `create_direct`, and those of `activate_order`.
    """
    # The account first, as in every act on it; it stays locked while the lines are quoted.
    buyer = await orders.lock_buyer(tx, command.account_id)
    if isinstance(command, CreateOrder):
        order = await of_quote(tx, command)
        await _check_sold(tx, order)
    else:
        order = await create_direct(tx, buyer, command)
    return await _activate(tx, buyer, order)


async def _activate(tx: Transaction, buyer: Buyer, order: Order) -> Order:
    """Activate a draft order of a locked account."""
    account_id = order.account_id
    # Another order may have taken an id since the quote; none can while the account is locked.
    await check_external_ids(tx, account_id, [line.external_id for line in order.lines])
    # A line that is bound to another one has that one's target.
    lines = [line for line in order.lines if line.target_line is None]
    bound = [target_key(line.binding, line.target_id, UNKNOWN_ASSET) for line in lines]
    keys = [key for key in bound if key[1] != UNKNOWN_ASSET]
    before = await assets.before(tx, account_id, keys)
    instant = await now(tx)
    new = activate(order, buyer, before, now=instant, new_id=new_id)
    await take_effect(tx, order, new, before)
    await asset_changes.add(tx, account_id, sold_changes(order, instant))
    following = [asset for asset in new.assets if asset.rate_basis is RateBasis.FOLLOW_CATALOG]
    if following:
        # A change of the catalog at the same time would be missed: its job finds no asset yet.
        await tenants.share_catalog(tx)
        await follow(tx, buyer, following)
    return await orders.mark_active(tx, order, instant)


async def take_effect(
    tx: Transaction, order: Order, new: Activation, before: Before, *, has_assets: bool = False
) -> None:
    """Store what lines of an order create, and open their periods; the account is locked.

    With `has_assets` the assets exist already. Raises OVERAGE_CONFLICT, COMMITMENT_DUPLICATE,
    COMMITMENT_OVERLAP, COMMITMENT_KIND.
    """
    account_id = order.account_id
    overages = overages_of(new.assets)
    check_overages(await stored_overages.others(tx, account_id, overages), overages)

    # Locks are taken on periods before wallets. Other transactions cannot see new wallets, so the
    # periods of those may come later.
    old = {wallet.id for wallet in before.wallets}
    await _open_old(tx, account_id, [due for due in new.periods if due.wallet_id in old])
    touched = {wallet.id for wallet in new.wallets}
    heads = await ledger.lock_heads(tx, account_id, touched & old) if touched & old else {}
    await (assets.add_parts if has_assets else assets.add)(tx, account_id, new)
    await _check_overlaps(tx, order)
    await _check_spend(tx, order, new)
    refreshes = [refresh_job(account_id, wallet_id, at) for wallet_id, at in new.refreshes]
    ahead = [due for due in new.periods if due.wallet_id not in old]
    await _open(tx, account_id, ahead, refreshes)
    await _add_standing(tx, order, new)
    await ledger.post(tx, account_id, _postings(new.grants, heads))


async def _check_overlaps(tx: Transaction, order: Order) -> None:
    """Raise COMMITMENT_OVERLAP for a commitment that may not overlap others of its anchor."""
    bound = (line.bound_within(order.asset_ids) for line in order.lines)
    lines = dict(zip(order.asset_ids, bound, strict=True))
    own = [key for key, line in lines.items() if line.linked_id is not None]
    nested = [key for key in own if lines[key].nested]
    found = await commitments.overlapping(tx, order.account_id, own, order.asset_ids, nested)
    if found is not None:
        asset_id, other_id, resource_id = found
        with of_line(list(lines).index(asset_id)):
            raise overlap(order.account_id, other_id, resource_id, lines[asset_id])


async def _check_spend(tx: Transaction, order: Order, new: Activation) -> None:
    """Raise COMMITMENT_KIND for a line that uses or adds to what another commits to spend."""
    # What is spent is in the currency of the account; other sales need no look-up.
    unit = order.currency_code
    money = [wallet.id for wallet in new.wallets if wallet.policies.unit_id == unit]
    found = await commitments.beside_spend(tx, order.account_id, money) if money else None
    if found is not None:
        held = [{one.resource_id for one in line.resources} for line in order.lines]
        with of_line(next(index for index, own in enumerate(held) if found in own)):
            raise beside_spend(found)


async def _add_standing(tx: Transaction, order: Order, new: Activation) -> None:
    """Add what the new assets owe without usage to the rating periods of the sale.

    Later periods begin with it when the ones before them are closed.
    """
    terms = [resource.terms for line in order.lines for resource in line.resources]
    if not any(one is not None and one.due for one in terms):
        return
    for wallet in new.wallets:
        own = [due.period for due in new.periods if due.wallet_id == wallet.id]
        if not own:
            continue
        stored = await wallets.get(tx, order.account_id, wallet.id, with_pending=False)
        found = [
            cell
            for period in own
            for cell in standing(stored.state, (), period)
            if cell.asset_id in order.asset_ids
        ]
        await summaries.add_standing(tx, stored, found)


async def _check_sold(tx: Transaction, order: Order) -> None:
    """Raise RESOURCE_INACTIVE for a product that was deactivated since the quote."""
    sold = [
        (line.product_id, resource.resource_id)
        for line in order.lines
        for resource in line.resources
    ]
    gone = await orders.find_inactive(tx, sold)
    if gone is not None:
        product_id, resource_id = gone
        position = next(
            index
            for index, line in enumerate(order.lines)
            if line.product_id == product_id
            and resource_id in {resource.resource_id for resource in line.resources}
        )
        with of_line(position):
            raise not_active(*gone)


def _check_state(order: Order, revision: int | None) -> None:
    if order.state is not OrderState.DRAFT:
        message = "the order is active already"
        raise FailedPrecondition("ORDER_ALREADY_ACTIVE", message, {"state": order.state})
    if revision not in (None, order.revision):
        message = "the order has changed since it was read; read it again"
        raise Aborted("ETAG_MISMATCH", message)


async def _open_old(tx: Transaction, account_id: AccountId, due: list[DuePeriod]) -> None:
    """Open periods of wallets that exist; for final ones, the sale is a correction."""
    if not due:
        return
    touched = {one.wallet_id for one in due}
    # A close at the same time would settle a period without the sale, and nothing would correct it.
    await periods.share_open(tx, account_id, touched, min(one.period.start for one in due))
    closed = await periods.closed_ends(tx, account_id, touched)
    first: dict[WalletId, datetime] = {}
    ahead: list[DuePeriod] = []
    for one in due:
        end = closed.get(one.wallet_id)
        if end is not None and one.period.start < end:
            start = one.period.start
            first[one.wallet_id] = min(start, first.get(one.wallet_id, start))
        else:
            ahead.append(one)
    await pending.mark(tx, {(account_id, key, start) for key, start in first.items()}, Cause.SALE)
    await _open(tx, account_id, ahead)


async def _open(
    tx: Transaction,
    account_id: AccountId,
    due: Iterable[DuePeriod],
    refreshes: Sequence[Job] = (),
) -> None:
    new = [NewPeriod(account_id, each.wallet_id, each.period, each.close_time) for each in due]
    await periods.open_missing(tx, new, refreshes)


def _postings(grants: tuple[Grant, ...], heads: dict[WalletId, Head]) -> list[WalletPosting]:
    """Return the credits of new grants: by wallet in key order, the oldest first."""
    turns = sorted(grants, key=lambda grant: (grant.wallet_id, grant.start, grant.id))
    found = []
    for wallet_id, own in groupby(turns, key=lambda grant: grant.wallet_id):
        opened = tuple(own)
        found.append(
            WalletPosting(
                head=heads.get(wallet_id) or Head(wallet_id=wallet_id),
                grant_heads=(),
                movements=tuple(opening(grant) for grant in opened),
                opened=opened,
            )
        )
    return found
