"""Messages of wallets and grants, and the filters of their lists."""

from datetime import datetime

from usage_management.v1 import wallet_service_pb2 as pb

from server.api import names
from server.api.mapping.filters import created_from_reader, id_of_account, resource_from_reader
from server.api.reader import RequestReader
from server.api.values import (
    decimal_pb,
    enum_pb,
    optional_decimal_pb,
    optional_time_pb,
    rating_period_pb,
    time_pb,
)
from server.domain.billing.periods import RefreshWindow, ResourcePeriods
from server.domain.calendar import Period
from server.domain.exact import EXACT, ZERO
from server.domain.ids import AccountId, AssetId, ProductGrantId, ProductId, WalletId
from server.domain.selling.grants import GrantKind
from server.domain.settlement.ledger import CauseKind, LedgerEntry
from server.domain.wallets.balances import Charge, WalletBalance
from server.domain.wallets.spend import CommittedSpend
from server.store.settlement.wallets import StoredWallet, WalletFilter
from server.usecases.billing.periods import PeriodsAt
from server.usecases.modeling.currencies import is_currency
from server.usecases.wallets.wallets import GrantFilter, GrantNow, WalletNow


def list_wallets_from_pb(request: pb.ListWalletsRequest) -> tuple[AccountId, WalletFilter]:
    """Return the account and the filters of a list of wallets. Raises InvalidArgument."""
    reader = RequestReader(request)
    (account_id,) = reader.name("parent", names.ACCOUNT)
    resource_id = resource_from_reader(reader)
    asset_id = id_of_account(reader, "asset", names.ASSET, account_id)
    only = WalletFilter(
        resource_id=resource_id,
        asset_id=None if asset_id is None else AssetId(asset_id),
        created=created_from_reader(reader),
    )
    reader.done()
    return AccountId(account_id), only


def list_grants_from_pb(
    request: pb.ListGrantsRequest,
) -> tuple[AccountId, WalletId, GrantFilter]:
    """Return the account, wallet and filters of a list of grants. Raises InvalidArgument."""
    reader = RequestReader(request)
    account_id, wallet_id = reader.name("parent", names.WALLET)
    asset_id = id_of_account(reader, "asset", names.ASSET, account_id)
    promise = reader.optional_name("product_usage_grant", names.PRODUCT_GRANT)
    only = GrantFilter(
        asset_id=None if asset_id is None else AssetId(asset_id),
        promise=(ProductId(promise[0]), ProductGrantId(promise[1])) if promise else None,
        kind=reader.optional_choice("kind", GrantKind),
        time=reader.optional_time("at_time"),
        created=created_from_reader(reader),
    )
    reader.done()
    return AccountId(account_id), WalletId(wallet_id), only


def wallet_to_pb(current: WalletNow) -> pb.Wallet:
    """Return a wallet with its balance."""
    wallet, balance = current.wallet, current.balance
    made = pb.Wallet(
        name=names.WALLET.of(wallet.account_id, wallet.id),
        usage_resource=names.RESOURCE.of(wallet.resource_id),
        unit_of_measure=names.UNIT.of(wallet.unit_id),
        target=_target(wallet),
        balance=decimal_pb(balance.balance),
        posted_balance=decimal_pb(wallet.head.balance),
        granted_quantity=decimal_pb(balance.granted),
        used_quantity=decimal_pb(balance.used),
        overage_quantity=decimal_pb(balance.overage),
        as_of_time=time_pb(wallet.now),
        period_start_time=time_pb(wallet.period.start),
        period_end_time=time_pb(wallet.period.end),
        percent_used=optional_decimal_pb(balance.percent_used),
        create_time=time_pb(wallet.create_time),
        unbilled_amount=optional_decimal_pb(current.unbilled),
        service_start_time=time_pb(wallet.service_start),
        service_end_time=optional_time_pb(wallet.service_end),
    )
    made.committed_spend.extend(spend_to_pb(wallet.account_id, one) for one in current.spend)
    _estimate(made, wallet, balance)
    return made


def spend_to_pb(account_id: AccountId, spend: CommittedSpend) -> pb.CommittedSpend:
    """Return what is spent under a commitment to spend."""
    return pb.CommittedSpend(
        asset=names.ASSET.of(account_id, spend.asset_id),
        start_time=time_pb(spend.start),
        end_time=optional_time_pb(spend.end),
        promised_amount=decimal_pb(spend.promised),
        spent_amount=decimal_pb(spend.spent),
        shortfall_amount=decimal_pb(spend.shortfall),
        spend_cap=optional_decimal_pb(spend.cap),
        credit_amount=decimal_pb(spend.credit),
        owed_amount=decimal_pb(spend.owed),
    )


def grant_to_pb(wallet: StoredWallet, current: GrantNow) -> pb.Grant:
    """Return an issue with its current balance and its balance in the ledger."""
    grant = current.item.grant
    posted = {head.grant_id: head.balance for head in wallet.grant_heads}
    assets = {entitlement.id: entitlement.asset_id for entitlement in wallet.state.entitlements}
    asset_id = assets.get(grant.entitlement_id)
    return pb.Grant(
        name=names.GRANT.of(wallet.account_id, wallet.id, grant.id),
        kind=enum_pb(pb.Grant.Kind, grant.kind),
        asset=names.ASSET.of(wallet.account_id, asset_id) if asset_id else "",
        quantity=decimal_pb(grant.quantity),
        balance=decimal_pb(grant.balance),
        # A provisional issue is not in the ledger yet.
        posted_balance=decimal_pb(posted.get(grant.id, ZERO)),
        start_time=time_pb(grant.start),
        expire_time=optional_time_pb(grant.expire),
        rollover_count=grant.rollovers,
        provisional=current.item.is_provisional,
        product_usage_grant=names.PRODUCT_GRANT.of(*current.source),
        create_time=optional_time_pb(current.create_time),
        arrive_time=optional_time_pb(grant.arrive_time),
    )


def periods_to_pb(periods: PeriodsAt) -> pb.PeriodAtResponse:
    """Return the periods that contain a time."""
    return pb.PeriodAtResponse(
        time=time_pb(periods.time),
        billing_period=_billing(periods.billing) if periods.billing else None,
        resource_periods=[
            _resource_periods(periods.account_id, resource) for resource in periods.resources
        ],
    )


def _resource_periods(account_id: str, periods: ResourcePeriods) -> pb.UsageResourcePeriods:
    return pb.UsageResourcePeriods(
        usage_resource=names.RESOURCE.of(periods.resource_id),
        wallet=names.WALLET.of(account_id, periods.wallet_id),
        rating_period=rating_period_pb(periods.rating),
        billing_period=_billing(periods.billing),
        refresh_windows=[_window(window) for window in periods.windows],
    )


def _billing(period: Period) -> pb.BillingPeriod:
    return pb.BillingPeriod(start_time=time_pb(period.start), end_time=time_pb(period.end))


def _window(window: RefreshWindow) -> pb.RefreshWindow:
    sold, period = window.sold, window.period
    return pb.RefreshWindow(
        product_usage_grant=names.PRODUCT_GRANT.of(sold.product_id, sold.product_grant_id),
        start_time=time_pb(period.start),
        end_time=time_pb(period.end),
    )


def entry_to_pb(account_id: str, entry: LedgerEntry, create_time: datetime) -> pb.WalletEntry:
    """Return a ledger entry."""
    return pb.WalletEntry(
        name=names.ENTRY.of(account_id, entry.wallet_id, entry.seq),
        kind=enum_pb(pb.WalletEntry.Kind, entry.kind),
        grant=names.GRANT.of(account_id, entry.wallet_id, entry.grant_id),
        amount=decimal_pb(entry.amount),
        opening_balance=decimal_pb(entry.wallet_before),
        closing_balance=decimal_pb(entry.wallet_after),
        grant_balance=decimal_pb(entry.grant_after),
        effective_time=time_pb(entry.effective_time),
        create_time=time_pb(create_time),
        cause=_cause(account_id, entry),
    )


def _target(wallet: StoredWallet) -> str:
    if wallet.target_kind == "ASSET":
        return names.ASSET.of(wallet.account_id, wallet.target_id)
    if wallet.target_id:
        return names.BINDING_TARGET.of(wallet.account_id, wallet.target_id)
    return names.ACCOUNT.of(wallet.account_id)


def _cause(account_id: str, entry: LedgerEntry) -> str:
    if entry.cause_kind is CauseKind.CELL:
        return names.USAGE_SUMMARY.of(account_id, entry.cause_id)
    return names.GRANT.of(account_id, entry.wallet_id, entry.cause_id)


def _estimate(made: pb.Wallet, wallet: StoredWallet, balance: WalletBalance) -> None:
    """Set the cost of the period's overage so far, if all of it can be rated in one unit."""
    charges: tuple[Charge, ...] = balance.charges
    unit = next((c.unit for c in charges if c.unit), wallet.currency_code)
    if is_currency(unit):
        made.currency_code = unit
    else:
        made.token_unit = names.UNIT.of(unit)
    total = ZERO
    for charge in charges:
        # Charges in different units have no sum.
        if charge.amount is None or charge.unit not in (None, unit):
            return
        total = EXACT.add(total, charge.amount)
    made.estimated_amount.CopyFrom(decimal_pb(total))
