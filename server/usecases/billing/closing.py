"""Closing a rating period, and issuing grants when they are due.

A close is one transaction: the period accepts no more usage, its usage is drawn on the grants,
grants expire or roll over, the overage is rated, and at the end of a billing period the liable
lines are made. Closing twice has the effect of closing once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from server.domain.billing.closing import (
    Bill,
    InvoiceReady,
    WalletCalendar,
    billed_keys,
    closing,
    corrected,
    invoice_ready,
    out_of_turn,
)
from server.domain.calendar import Period, RatingPeriod
from server.domain.ids import AccountId, JobId, WalletId, derive
from server.domain.selling.activation import next_due
from server.domain.selling.grants import due_issues
from server.domain.settlement.ledger import Head
from server.domain.settlement.moves import arrivals, departed
from server.domain.settlement.ratable_lines import RatableLine
from server.domain.settlement.tokens import tokens_of
from server.domain.settlement.walk import SettledIncrement, Settlement, opening
from server.domain.work import JobKind
from server.store import jobs
from server.store.billing import periods, summaries
from server.store.billing.periods import NewPeriod
from server.store.billing.summaries import NewLiable
from server.store.connection import Transaction
from server.store.jobs import Job
from server.store.settlement import ledger, wallets
from server.store.settlement.ledger import WalletPosting
from server.store.settlement.wallet_rows import SoldAsset
from server.store.settlement.wallets import StoredWallet
from server.usecases.modeling.currencies import minor_places


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosePeriod:
    """The rating period of a wallet that starts at `start`."""

    account_id: AccountId
    wallet_id: WalletId
    start: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshGrants:
    """The issues of a wallet that are due at `at`."""

    account_id: AccountId
    wallet_id: WalletId
    at: datetime


async def close_period(tx: Transaction, command: ClosePeriod) -> None:
    """Make a rating period final. Raises Aborted (PREVIOUS_PERIOD_OPEN)."""
    account_id, wallet_id = command.account_id, command.wallet_id
    found = await periods.lock(tx, account_id, wallet_id, command.start)
    # A job may run more than once; a later run finds the period final.
    if found is None or found.is_final:
        return
    period = found.period
    heads = await wallets.lock_with_targets(tx, account_id, wallet_id)
    # Checked with this period locked: whoever opens an earlier one has to lock this one too.
    await _refuse_out_of_turn(tx, command, period)
    # What is pending for earlier periods has a job of its own, which corrects this one too.
    wallet = await wallets.get(tx, account_id, wallet_id, with_pending=False)
    ends = [asset.last_time for asset in wallet.assets]
    closed = closing(wallet.state, calendar_of(wallet), ends, period)

    await _post(tx, wallet, closed.settlement, heads)
    results = closed.settlement.results
    if closed.lines:
        await summaries.add_ratable(tx, wallet, closed.lines, closed.execution_id)
        await _pass_on(tx, wallet, results, closed.lines)
    if results:
        line_of = {cell_id: line.id for line in closed.lines for cell_id in line.cell_ids}
        await summaries.save_drawn(tx, account_id, results, line_of)
    if closed.billing is not None:
        await bill_period(tx, wallet, closed.billing)
    await periods.finish(tx, account_id, wallet_id, period.start)
    if closed.following is not None:
        await periods.open_missing(tx, [new_period(wallet, closed.following)])
    await summaries.add_standing(tx, wallet, closed.standing)


async def refresh_grants(tx: Transaction, command: RefreshGrants) -> None:
    """Post the due issues that no close has posted yet, and schedule the next ones."""
    await post_due(tx, command.account_id, command.wallet_id, command.at)


async def post_due(
    tx: Transaction, account_id: AccountId, wallet_id: WalletId, at: datetime
) -> tuple[int, int]:
    """Post the issues that are due at a time and not posted, and add the job of the next ones.

    Returns the number of issues and of new jobs.
    """
    # Under the wallet's lock, so that a close at the same time does not post the same issues.
    await wallets.lock(tx, account_id, wallet_id)
    wallet = await wallets.get(tx, account_id, wallet_id, with_pending=False)
    entitlements, zone = wallet.state.entitlements, wallet.zone
    due = due_issues(entitlements, zone, through=at)
    posting = WalletPosting(
        head=wallet.head,
        grant_heads=(),
        movements=tuple(opening(issue) for issue in due),
        opened=due,
    )
    await ledger.post(tx, account_id, [posting])
    await wallets.save_next_indices(tx, account_id, due)
    following = next_due(entitlements, zone, after=at)
    if following is None:
        return len(due), 0
    return len(due), await jobs.add(tx, [refresh_job(account_id, wallet_id, following)])


def refresh_job(account_id: AccountId, wallet_id: WalletId, at: datetime) -> Job:
    """Return the job that posts the issues of a wallet that start at `at`."""
    return Job(
        id=JobId(derive(wallet_id, "refresh", at.isoformat())),
        kind=JobKind.REFRESH_GRANTS,
        rank=JobKind.REFRESH_GRANTS.rank,
        account_id=account_id,
        payload={"wallet_id": str(wallet_id), "at": at.isoformat()},
        fire_time=at,
    )


async def _refuse_out_of_turn(tx: Transaction, command: ClosePeriod, period: Period) -> None:
    """Raise PREVIOUS_PERIOD_OPEN if a period is open that must become final before this one."""
    args = (tx, command.account_id, command.wallet_id)
    earlier = await periods.first_unsettled(*args, period.start)
    earlier = earlier or await periods.first_unsettled_source(*args, period.end)
    if earlier is not None:
        raise out_of_turn(earlier)


async def _post(
    tx: Transaction,
    wallet: StoredWallet,
    settlement: Settlement,
    heads: Mapping[WalletId, Head],
) -> None:
    """Post the movements of a wallet, and credit what leaves it where it arrives."""
    posting = WalletPosting(
        head=wallet.head,
        grant_heads=wallet.grant_heads,
        movements=settlement.movements,
        opened=settlement.opened,
    )
    moved = departed(wallet.state, settlement)
    arriving = [
        WalletPosting(head=heads[key], grant_heads=(), movements=arrivals(grants), opened=grants)
        for key, grants in moved.items()
    ]
    await ledger.post(tx, wallet.account_id, [posting, *arriving])
    await wallets.save_next_indices(tx, wallet.account_id, settlement.opened)


async def _pass_on(
    tx: Transaction,
    wallet: StoredWallet,
    results: Sequence[SettledIncrement],
    lines: Sequence[RatableLine],
) -> None:
    """Add usage rated in tokens to the wallets of the tokens."""
    for wallet_id in wallet.token_wallet_ids:
        tokens = await wallets.get(tx, wallet.account_id, wallet_id, with_pending=False)
        own = wallet.payers(wallet_id)
        cells = tokens_of(tokens.token_wallet, own, wallet.state.cells, results, lines)
        if cells:
            calendar = calendar_of(tokens)
            taking = (calendar.with_freeze(period) for period in {cell.period for _, cell in cells})
            await periods.open_missing(tx, [new_period(tokens, period) for period in taking])
            await summaries.add_tokens(tx, tokens, cells)


async def bill_period(
    tx: Transaction, wallet: StoredWallet, billing: Period, *, is_again: bool = False
) -> None:
    """Make the liable lines of a billing period that ends, or make them again."""
    bill = Bill(
        wallet_id=wallet.id,
        calendar=calendar_of(wallet),
        period=billing,
        currency_code=wallet.currency_code,
        places=minor_places(wallet.currency_code),
    )
    lines = bill.owed(await summaries.ratable_of(tx, wallet, billing))
    if lines:
        # What was billed later for the same usage stays when lines are made again.
        keys = billed_keys(bill, lines) if is_again else corrected(bill, lines)
        billed = await summaries.billed_before(tx, wallet, keys)
        assets = {asset.id: asset for asset in wallet.assets}
        new = [
            _new_liable(assets[owed.line.key.asset_id], bill, owed)
            for owed in invoice_ready(bill, lines, billed)
        ]
        await summaries.add_liable(tx, wallet, bill.calendar.served(billing), new)


def _new_liable(asset: SoldAsset, bill: Bill, owed: InvoiceReady) -> NewLiable:
    return NewLiable(
        id=owed.id,
        product_id=asset.product_id,
        definition_product_id=asset.definition_product_id,
        currency_code=bill.currency_code,
        origin=bill.calendar.served(owed.line.key.origin),
        line=owed.line,
    )


def calendar_of(wallet: StoredWallet) -> WalletCalendar:
    """Return the rating and billing calendar of a wallet."""
    return WalletCalendar(
        zone=wallet.zone,
        anchor=wallet.anchor,
        service_start=wallet.service_start,
        billing=wallet.billing,
        frequency=wallet.frequency,
    )


def new_period(wallet: StoredWallet, period: RatingPeriod) -> NewPeriod:
    """Return a rating period of a wallet to open."""
    own = Period(period.start, period.end)
    return NewPeriod(wallet.account_id, wallet.id, own, period.freeze)
