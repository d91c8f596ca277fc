"""Corrections: final periods that have changed are settled again, and the difference is booked.

A correction takes in everything that is pending for a settlement group: the wallets of an account
that are connected by tokens. It reads and computes a slice of periods at a time, until the rest is
as it was, and posts at the end, in one transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from server.domain.billing.causes import Cause
from server.domain.billing.corrections import Correction, cells_to_save, in_next_period, in_place
from server.domain.calendar import INSTANT, Period, rating_period
from server.domain.consumption.cells import Cell
from server.domain.errors import Aborted
from server.domain.ids import AccountId, CorrectionId, ExecutionId, WalletId
from server.domain.modeling.policies import LatePolicy
from server.domain.selling.grants import Grant
from server.domain.settlement.ledger import Movement
from server.domain.settlement.moves import changed_arrivals, departed, first_changed, replaced
from server.domain.settlement.ratable_lines import RatableLine, UsageKey
from server.domain.settlement.rewinding import in_posting_order, keeps_balances
from server.domain.settlement.standing import is_standing
from server.domain.settlement.tokens import tokens_of
from server.env import new_id
from server.store.billing import corrections as store
from server.store.billing import pending, periods, summaries
from server.store.billing.corrections import BillState, PostedTo
from server.store.billing.pending import Pending
from server.store.connection import Transaction
from server.store.settlement import grants, ledger, wallets
from server.store.settlement.ledger import WalletPosting
from server.store.settlement.wallets import StoredWallet
from server.usecases.billing.closing import bill_period, calendar_of, new_period
from server.usecases.billing.loading import postpone
from server.usecases.billing.pending import add_missing_final
from server.usecases.billing.slices import Changed, Slice, slices


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectUsage:
    """A wallet of the settlement group whose past changed."""

    account_id: AccountId
    wallet_id: WalletId


async def correct_usage(tx: Transaction, command: CorrectUsage) -> None:
    """Take in everything that is pending for a settlement group, unless it is being loaded.

    Raises RATED_LINE_FAILED and Aborted (CONCURRENT_CHANGE), and then changes nothing.
    """
    account_id = command.account_id
    wallet_ids = await pending.group_of(tx, account_id, command.wallet_id)
    if await postpone(tx, account_id, command.wallet_id, wallet_ids):
        return
    await pending.take_late(tx, wallet_ids)
    await ledger.lock_heads(tx, account_id, wallet_ids)
    # A sale or a rebinding may have connected another wallet before the group was locked.
    if await pending.group_of(tx, account_id, command.wallet_id) != wallet_ids:
        message = "another wallet was connected at the same time; try again"
        raise Aborted("CONCURRENT_CHANGE", message, retry_after_seconds=0.1)
    marked = await pending.take(tx, account_id, wallet_ids)
    # A job may run more than once, and the jobs of a group's wallets take in the same.
    if not marked:
        return
    group = _SettlementGroup(
        tx=tx,
        account_id=account_id,
        since={wallet_id: one.since for wallet_id, one in marked.items()},
        last_used={wallet_id: one.last_used for wallet_id, one in marked.items()},
    )
    for wallet_id in wallet_ids:
        # Usage comes before the tokens that it costs, and what leaves a wallet before it arrives.
        if wallet_id in group.since:
            await group.correct(wallet_id, group.since[wallet_id])
        await group.correct_arrivals(wallet_id)
    await _book(group, marked)
    await store.count_correction(tx, account_id, marked.keys() | group.found.keys())


@dataclass(slots=True, kw_only=True)
class _Corrected:
    """A wallet and its correction, added up over the slices of its periods.

    `wallet` has the grants and the head before anything is posted. `whole` are the lines that
    changed, as they are now.
    """

    wallet: StoredWallet
    movements: list[Movement] = field(default_factory=list)
    opened: list[Grant] = field(default_factory=list)
    changes: list[RatableLine] = field(default_factory=list)
    whole: dict[UsageKey, RatableLine] = field(default_factory=dict)

    def add(self, fixed: Correction) -> None:
        """Add the correction of a slice."""
        self.movements += fixed.movements
        self.opened += fixed.opened
        self.changes += fixed.changes
        changed = {line.key.usage for line in fixed.changes}
        self.whole |= {line.key.usage: line for line in fixed.lines if line.key.usage in changed}


@dataclass(slots=True, kw_only=True)
class _SettlementGroup:
    """A settlement group while it is corrected: the wallets, each from the first change on.

    `last_used` are the last periods whose usage changed, where nothing else did. `arrivals` are
    what moves to a wallet now, where it may have changed.
    """

    tx: Transaction
    account_id: AccountId
    since: dict[WalletId, datetime]
    last_used: dict[WalletId, datetime | None]
    found: dict[WalletId, _Corrected] = field(default_factory=dict)
    arrivals: dict[WalletId, tuple[Grant, ...]] = field(default_factory=dict)

    async def correct(self, wallet_id: WalletId, since: datetime) -> None:
        """Compute the correction of a wallet, and save the cells that are derived from it."""
        args = (self.tx, self.account_id, wallet_id, since)
        last_used = self.last_used.get(wallet_id)
        changed = Changed(arrivals=self.arrivals.get(wallet_id), last_used=last_used)
        async for slice_ in slices(*args, changed=changed):
            corrected = self.found.setdefault(wallet_id, _Corrected(wallet=slice_.wallet))
            corrected.add(slice_.correction)
            standing_changed = await self._save_standing(slice_)
            await _save_drawn(self.tx, slice_)
            for token_id in slice_.wallet.token_wallet_ids:
                await self._pass_on(slice_, token_id)
            await self._move_on(slice_)
            if standing_changed or not slice_.span.ends_after(last_used):
                continue
            # The periods that follow begin as they did before, and nothing in them changed.
            if keeps_balances(corrected.movements):
                break

    async def _move_on(self, slice_: Slice) -> None:
        """Keep what leaves a wallet now; the final periods into which it arrives change with it."""
        tx, state = self.tx, slice_.wallet.state
        moved = departed(state, slice_.correction.settlement)
        for wallet_id in {one.leaves_to for one in state.entitlements if one.leaves_to}:
            target = await wallets.get(tx, self.account_id, wallet_id, with_pending=False)
            known = self.arrivals.get(wallet_id)
            if known is None:
                known = await grants.list_arrivals(tx, self.account_id, wallet_id)
            now = replaced(
                known,
                state,
                moved.get(wallet_id, ()),
                since=slice_.span.since,
                through=slice_.books.closed,
            )
            self.arrivals[wallet_id] = now
            first = first_changed(known, now)
            if first is not None and target.closed is not None and first <= target.closed:
                # A boundary at the start of a period belongs to the period before it.
                before = calendar_of(target).containing(first - INSTANT).start
                self.since[wallet_id] = min(before, self.since.get(wallet_id, before))
                self.last_used[wallet_id] = None

    async def correct_arrivals(self, wallet_id: WalletId) -> None:
        """Compute what changes in arrivals after the last final period, which no walk has."""
        now = self.arrivals.get(wallet_id)
        if now is None:
            return
        posted = await grants.list_arrivals(self.tx, self.account_id, wallet_id)
        corrected = self.found.get(wallet_id)
        if corrected is None:
            first = min((grant.opens for grant in (*posted, *now)), default=None)
            known = {} if first is None else {wallet_id: first - INSTANT}
            args = (self.tx, self.account_id, wallet_id)
            wallet = await wallets.get(*args, with_pending=False, since=known)
            corrected = _Corrected(wallet=wallet)
        movements, opened = changed_arrivals(posted, now, closed=corrected.wallet.closed)
        if movements:
            self.found[wallet_id] = corrected
            corrected.movements += movements
            corrected.opened += opened

    async def _save_standing(self, slice_: Slice) -> bool:
        """Save the cells without records of the periods after the first one, which may differ now.

        Those with which the next slice begins are among them, and those of the first open period.
        Later ones are derived when they are read. Return whether any of them changed.
        """
        wallet, (since, until) = slice_.wallet, slice_.span
        first_open = await store.first_open(self.tx, self.account_id, wallet.id)
        # The end of all final periods, not of those of the slice: the next one may be final, too.
        end = wallet.closed if first_open is None else first_open.end
        assert end is not None, wallet

        def of_later(cells: Sequence[Cell]) -> list[Cell]:
            return [
                cell
                for cell in cells
                if is_standing(cell)
                and since < cell.period.start <= (until or end)
                and cell.period.end <= end
            ]

        changed, due_no_more = cells_to_save(of_later(wallet.cells), of_later(wallet.state.cells))
        # One that holds nothing was emptied before.
        gone = tuple(cell for cell in due_no_more if cell.measure.last)
        await summaries.add_standing(self.tx, wallet, changed)
        await store.empty_standing(self.tx, self.account_id, gone)
        return bool(changed or gone)

    async def _pass_on(self, slice_: Slice, token_id: WalletId) -> None:
        """Save the tokens that final usage costs now; final periods of tokens change with them."""
        tx, fixed, wallet = self.tx, slice_.correction, slice_.wallet
        tokens = await wallets.get(tx, self.account_id, token_id, with_pending=False)
        own = wallet.payers(token_id)
        due = tokens_of(tokens.token_wallet, own, fixed.cells, fixed.results, fixed.lines)
        source_of = {cell.id: source for source, cell in due}
        known = await store.token_cells(tx, wallet, token_id, slice_.span)
        changed, gone = cells_to_save(known, [cell for _, cell in due])
        gone = tuple(cell for cell in gone if not cell.is_empty)
        if not (changed or gone):
            return
        await _open_for(tx, tokens, {cell.period for cell in changed})
        await summaries.add_tokens(tx, tokens, [(source_of[cell.id], cell) for cell in changed])
        await store.empty_cells(tx, self.account_id, gone)
        final = [
            cell.period.start
            for cell in (*changed, *gone)
            if tokens.closed is not None and cell.period.start < tokens.closed
        ]
        if final:
            self.since[token_id] = min([*final, self.since.get(token_id, final[0])])
            self.last_used[token_id] = None


async def _save_drawn(tx: Transaction, slice_: Slice) -> None:
    fixed = slice_.correction
    line_of = {cell_id: line.id for line in fixed.lines for cell_id in line.cell_ids}
    await summaries.save_drawn(tx, slice_.wallet.account_id, fixed.results, line_of)


async def _open_for(tx: Transaction, tokens: StoredWallet, taking: set[Period]) -> None:
    """Make sure that the periods of tokens exist: open ones, or final ones before a final one."""
    closed = tokens.closed
    past = {one for one in taking if closed is not None and one.start < closed}
    await add_missing_final(tx, {(tokens.account_id, tokens.id, one.start) for one in past})
    calendar = calendar_of(tokens)
    ahead = [new_period(tokens, calendar.with_freeze(one)) for one in taking - past]
    await periods.open_missing(tx, ahead)


async def _book(group: _SettlementGroup, marked: dict[WalletId, Pending]) -> None:
    """Post the movements of all wallets, and book the lines that changed."""
    tx, account_id = group.tx, group.account_id
    changed = {
        wallet_id: one for wallet_id, one in group.found.items() if one.movements or one.changes
    }
    correction_id = CorrectionId(new_id())
    if changed:
        causes: set[Cause] = set()
        for what in marked.values():
            causes |= what.causes
        await store.add(tx, account_id, correction_id, causes, min(group.since.values()))
        await store.add_wallets(
            tx, account_id, correction_id, list(map(_posted_to, changed.values()))
        )
        await ledger.post(tx, account_id, [_posting(one) for one in changed.values()])
        opened = [grant for one in changed.values() for grant in one.opened]
        await wallets.save_next_indices(tx, account_id, opened)
    for one in group.found.values():
        await _book_lines(tx, one, correction_id)


def _posted_to(corrected: _Corrected) -> PostedTo:
    wallet, count = corrected.wallet, len(corrected.movements)
    return PostedTo(
        wallet_id=wallet.id,
        revision=wallet.correction_count + 1,
        after_seq=wallet.head.seq,
        last_seq=wallet.head.seq + count,
    )


def _posting(corrected: _Corrected) -> WalletPosting:
    wallet = corrected.wallet
    return WalletPosting(
        head=wallet.head,
        grant_heads=wallet.grant_heads,
        movements=in_posting_order(corrected.movements, wallet.correction_count + 1),
        opened=tuple(corrected.opened),
    )


async def _book_lines(tx: Transaction, corrected: _Corrected, correction_id: CorrectionId) -> None:
    """Book the lines of a wallet that changed: in place, or in the next billing period."""
    wallet = corrected.wallet
    bills: dict[Period, BillState] = {}
    replacing: list[RatableLine] = []
    adding: list[RatableLine] = []
    calendar = calendar_of(wallet)
    for line in corrected.changes:
        billed_from = line.billed_from or max(line.key.origin_start, wallet.service_start)
        billing = calendar.origin_of(billed_from)
        if wallet.late is LatePolicy.REOPEN and billing not in bills:
            bills[billing] = await store.lock_bill(tx, wallet, billing)
        is_in_place = bills.get(billing, BillState.INVOICED) is not BillState.INVOICED
        (replacing if is_in_place else adding).append(replace(line, billed_from=billed_from))
    execution_id = ExecutionId(correction_id)
    if replacing:
        lines = [in_place(line, corrected.whole) for line in replacing]
        await store.supersede_ratable(tx, wallet.account_id, {line.id for line in lines})
        await summaries.add_ratable(tx, wallet, lines, execution_id, correction_id)
    if adding:
        handling = await _handling(tx, wallet)
        lines = [in_next_period(line, handling, correction_id) for line in adding]
        await summaries.add_ratable(tx, wallet, lines, execution_id, correction_id)
    for billing, state in bills.items():
        if state is BillState.READY:
            await store.supersede_bill(tx, wallet, billing)
            await bill_period(tx, wallet, billing, is_again=True)


async def _handling(tx: Transaction, wallet: StoredWallet) -> Period:
    """Return the rating period that bills differences: the first open one, or that around now."""
    found = await store.first_open(tx, wallet.account_id, wallet.id)
    if found is not None:
        return found
    length = wallet.frequency.period
    around = rating_period(wallet.zone, wallet.anchor, length, wallet.now)
    opened = calendar_of(wallet).with_freeze(around)
    await periods.open_missing(tx, [new_period(wallet, opened)])
    return around
