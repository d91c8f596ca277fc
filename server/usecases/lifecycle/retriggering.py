"""Retrigger an order: create again what is missing of its activation."""

from dataclasses import dataclass

from server.domain.billing.closing import missing_periods
from server.domain.errors import FailedPrecondition
from server.domain.ids import AccountId, OrderId, WalletId
from server.domain.selling.rebinding import wallets_of
from server.domain.selling.sales import OrderState
from server.store.access import tenants
from server.store.billing import periods
from server.store.connection import Transaction
from server.store.selling import assets, orders
from server.store.settlement import wallets
from server.usecases.billing.closing import calendar_of, new_period, post_due


@dataclass(frozen=True, slots=True, kw_only=True)
class RetriggerOrder:
    """The order whose missing records are created again."""

    account_id: AccountId
    order_id: OrderId


@dataclass(frozen=True, slots=True, kw_only=True)
class Retriggered:
    """The numbers of issues, rating periods and jobs that were missing and exist now."""

    issues: int = 0
    periods: int = 0
    jobs: int = 0

    def __add__(self, other: "Retriggered") -> "Retriggered":
        return Retriggered(
            issues=self.issues + other.issues,
            periods=self.periods + other.periods,
            jobs=self.jobs + other.jobs,
        )


async def retrigger_order(tx: Transaction, command: RetriggerOrder) -> Retriggered:
    """Create what is missing of an active order. Raises ORDER_NOT_FOUND, ORDER_NOT_ACTIVE."""
    account_id, order_id = command.account_id, command.order_id
    # As in an activation: nothing is sold to the account meanwhile.
    await orders.lock_buyer(tx, account_id)
    order = await orders.lock(tx, account_id, order_id)
    if order.state is not OrderState.ACTIVE:
        text = "the order is a draft; ActivateOrder creates everything that it needs"
        raise FailedPrecondition("ORDER_NOT_ACTIVE", text, {"state": str(order.state)})
    held = [await assets.get(tx, account_id, asset_id) for asset_id in order.asset_ids]
    found = Retriggered()
    touched = {key for asset in held for one in asset.resources for key in wallets_of(one)}
    for wallet_id in sorted(touched):
        found += await _again(tx, account_id, wallet_id)
    return found


async def _again(tx: Transaction, account_id: AccountId, wallet_id: WalletId) -> Retriggered:
    """Create what is missing of a wallet; locks are taken on periods before the wallet."""
    wallet = await wallets.get(tx, account_id, wallet_id, with_pending=False)
    calendar = calendar_of(wallet)
    since = wallet.closed or wallet.service_start
    known = await periods.existing(tx, account_id, wallet_id, since)
    # A wallet that all its assets have left, for another target, has no periods after that.
    ends = [asset.last_time for asset in wallet.assets]
    end = max((one for one in ends if one is not None), default=None) if None not in ends else None
    missing = missing_periods(calendar, known, since=since, until=(wallet.now, end))
    await periods.open_missing(tx, [new_period(wallet, period) for period in missing])
    # Those that open now have a job already.
    closes = await periods.add_closes(tx, account_id, wallet_id)
    issues, refreshes = await post_due(tx, account_id, wallet_id, await tenants.now(tx))
    return Retriggered(issues=issues, periods=len(missing), jobs=closes + refreshes)
