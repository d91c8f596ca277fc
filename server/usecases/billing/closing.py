"""Settlement: closing a rating period, and issuing grants when their time comes.

A close does all of it in one transaction: nothing is recorded into the period any more, its usage
is drawn on the grants, expiry and rollover follow, what is left is rated, and at the end of a
billing month the invoice-ready lines are made. Doing it twice is doing it once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby

from server.domain.billing.liable_lines import LiableLine, liable_group, liable_lines
from server.domain.calendar import (
    Period,
    freeze_time,
    period_after,
    period_containing,
)
from server.domain.consumption.aggregation import increments
from server.domain.errors import Aborted
from server.domain.exact import ZERO
from server.domain.ids import (
    AccountId,
    ExecutionId,
    JobId,
    LiableSummaryId,
    WalletId,
    derive,
)
from server.domain.selling.activation import next_issue
from server.domain.selling.grants import issues
from server.domain.settlement.ratable_lines import RatableLine, ratable_lines
from server.domain.settlement.tokens import token_cells
from server.domain.settlement.walk import SettledIncrement, Settlement, opening, revised, settle
from server.domain.work import JobKind
from server.store import jobs
from server.store.billing import periods, summaries
from server.store.billing.periods import NewPeriod
from server.store.billing.summaries import NewLiable
from server.store.connection import Transaction
from server.store.jobs import Job
from server.store.settlement import ledger, wallets
from server.store.settlement.ledger import WalletPosting
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
    if found is None or found.is_final:
        return
    period = found.period
    await wallets.lock(tx, account_id, wallet_id)
    await _refuse_out_of_turn(tx, command, period)
    wallet = await wallets.get(tx, account_id, wallet_id)

    settlement = revised(_settled(wallet, period), found.reopened)
    state = wallet.state
    lines = ratable_lines(
        wallet_id,
        settlement.results,
        state.rates,
        rated_before=state.rated_before,
        raters=state.raters,
    )

    await _post(tx, wallet, settlement)
    if lines:
        execution_id = _execution_id(wallet_id, period, found.reopened)
        await summaries.add_ratable(tx, wallet, period, lines, execution_id)
        await summaries.save_drawn(tx, wallet, settlement.results, lines)
        await _pass_on(tx, wallet, settlement.results, lines)
    billing = period_containing(wallet.zone, wallet.anchor, wallet.billing, period.start)
    is_billed = period.end >= billing.end
    if is_billed:
        await _bill(tx, wallet, billing)
    await periods.finish(tx, account_id, wallet_id, period.start)
    if not is_billed or _lives_on(wallet, settlement, period.end):
        await _open_next(tx, wallet, period)


async def refresh_grants(tx: Transaction, command: RefreshGrants) -> None:
    """Post the issues that are due, unless a close was quicker, and ask for the next ones."""
    account_id, wallet_id, at = command.account_id, command.wallet_id, command.at
    await wallets.lock(tx, account_id, wallet_id)
    wallet = await wallets.get(tx, account_id, wallet_id)
    due = sorted(
        (
            issue
            for entitlement in wallet.state.entitlements
            for issue in issues(entitlement, wallet.zone, through=at)
        ),
        key=lambda issue: (issue.start, issue.id),
    )
    posting = WalletPosting(
        head=wallet.head,
        grant_heads=(),
        movements=tuple(opening(issue) for issue in due),
        opened=tuple(due),
    )
    await ledger.post(tx, account_id, [posting])
    await wallets.save_next_indices(tx, account_id, wallets.next_indices(due))
    following = [next_issue(one, wallet.zone, at) for one in wallet.state.entitlements]
    starts = [issue[1] for issue in following if issue is not None and issue[1] > at]
    if starts:
        await jobs.add(tx, [refresh_job(account_id, wallet_id, min(starts))])


def refresh_job(account_id: AccountId, wallet_id: WalletId, at: datetime) -> Job:
    """What posts the issues of a wallet that start at `at`."""
    return Job(
        id=JobId(derive(wallet_id, "refresh", at.isoformat())),
        kind=JobKind.REFRESH_GRANTS,
        rank=JobKind.REFRESH_GRANTS.rank,
        account_id=account_id,
        payload={"wallet_id": str(wallet_id), "at": at.isoformat()},
        fire_time=at,
    )


async def _refuse_out_of_turn(tx: Transaction, command: ClosePeriod, period: Period) -> None:
    """Periods of a wallet become final in the order of time: grants go from one to the next.

    Those of tokens after those of what is rated in them.
    """
    args = (tx, command.account_id, command.wallet_id)
    earlier = await periods.first_unsettled(*args, period.start)
    earlier = earlier or await periods.first_unsettled_source(*args, period.end)
    if earlier is not None:
        message = f"the period from {earlier.isoformat()} has to be closed first"
        raise Aborted("PREVIOUS_PERIOD_OPEN", message, {"start_time": earlier.isoformat()})


def _settled(wallet: StoredWallet, period: Period) -> Settlement:
    """The final drawdown of one period, with every boundary through its end."""
    state, terms = wallet.state, wallet.state.terms
    cells = [cell for cell in state.cells if cell.period.start == period.start]
    found = increments(cells, terms.aggregation, zone=terms.zone, settled=state.settled)
    return settle(
        terms,
        state.grants,
        state.entitlements,
        found,
        through=period.end,
        commitments=state.commitments,
    )


async def _post(tx: Transaction, wallet: StoredWallet, settlement: Settlement) -> None:
    posting = WalletPosting(
        head=wallet.head,
        grant_heads=wallet.grant_heads,
        movements=settlement.movements,
        opened=settlement.opened,
    )
    await ledger.post(tx, wallet.account_id, [posting])
    indices = wallets.next_indices(settlement.opened)
    await wallets.save_next_indices(tx, wallet.account_id, indices)


async def _pass_on(
    tx: Transaction,
    wallet: StoredWallet,
    results: Sequence[SettledIncrement],
    lines: Sequence[RatableLine],
) -> None:
    """What was rated in tokens becomes usage of the wallets that hold them."""
    wallet_ids = {one.token_wallet_id for one in wallet.assets if one.token_wallet_id}
    for wallet_id in sorted(wallet_ids):
        tokens = await wallets.get(tx, wallet.account_id, wallet_id)
        own = {one.id for one in wallet.assets if one.token_wallet_id == wallet_id}
        due = [line for line in lines if line.key.asset_id in own]
        cells = token_cells(tokens.token_wallet, wallet.state.cells, results, due)
        if cells:
            taking = {cell.period for _, cell in cells}
            await periods.open_missing(tx, [_period(tokens, one) for one in taking])
            await summaries.add_tokens(tx, tokens, cells)


async def _bill(tx: Transaction, wallet: StoredWallet, billing: Period) -> None:
    """At the end of a billing period, make its invoice-ready lines."""
    lines = await summaries.ratable_of(tx, wallet, billing)
    owed = [line for line in lines if not _is_in_tokens(wallet, line)]
    if owed:
        new = _liable(wallet, billing, owed)
        await summaries.add_liable(tx, wallet, billing, new)


def _is_in_tokens(wallet: StoredWallet, line: RatableLine) -> bool:
    """Whether what a line came to is owed elsewhere; one that failed is shown where it did."""
    is_money = line.terms is None or line.terms.unit == wallet.currency_code
    return line.failure is None and not is_money


def _liable(wallet: StoredWallet, billing: Period, lines: Sequence[RatableLine]) -> list[NewLiable]:
    """A line for each asset, stretch of terms, and own usage or correction.

    Where something could not be rated the line is kept with what could, marked as failed; so is
    one whose amount is more than money can be.
    """
    assets = {asset.id: asset for asset in wallet.assets}
    found = []
    ordered = sorted(lines, key=lambda line: liable_group(line.key))
    for _, members in groupby(ordered, key=lambda line: liable_group(line.key)):
        group = list(members)
        currency = wallet.currency_code
        [line] = liable_lines(map(_summable, group), places=minor_places(currency))
        asset = assets[line.asset_id]
        found.append(
            NewLiable(
                id=_liable_id(wallet.id, billing, line),
                product_id=asset.product_id,
                definition_product_id=asset.definition_product_id,
                currency_code=currency,
                is_whole=line.is_money and all(member.failure is None for member in group),
                line=line,
            )
        )
    return found


def _execution_id(wallet_id: WalletId, period: Period, reopened: int) -> ExecutionId:
    """What the lines have in common that one close rates: the same close, the same id."""
    return ExecutionId(derive(wallet_id, "execution", period.start.isoformat(), reopened))


def _summable(line: RatableLine) -> RatableLine:
    return line if line.failure is None else replace(line, amount=ZERO)


def _liable_id(wallet_id: WalletId, billing: Period, line: LiableLine) -> LiableSummaryId:
    parts = (line.asset_id, billing.start.isoformat(), line.segment_start.isoformat())
    apart = (line.dimensions,) if line.dimensions else ()
    return LiableSummaryId(derive(wallet_id, "liable", *parts, line.is_correction, *apart))


def _lives_on(wallet: StoredWallet, settlement: Settlement, end: datetime) -> bool:
    """Whether anything may still happen in the wallet after `end`."""
    has_asset = any(one.end_time is None or one.end_time > end for one in wallet.assets)
    return has_asset or any(
        grant.balance and (grant.expire is None or grant.expire > end)
        for grant in settlement.grants
    )


async def _open_next(tx: Transaction, wallet: StoredWallet, period: Period) -> None:
    following = period_after(wallet.zone, wallet.anchor, wallet.frequency.period.cadence, period)
    await periods.open_missing(tx, [_period(wallet, following)])


def _period(wallet: StoredWallet, period: Period) -> NewPeriod:
    freeze = freeze_time(wallet.zone, period.end, wallet.frequency.delay)
    return NewPeriod(wallet.account_id, wallet.id, period, freeze)
