"""Verification: compute all derived data again, compare it, and name each difference."""

from collections.abc import AsyncIterator

from server.domain.billing.verification import (
    Difference,
    Verified,
    different,
    differing_cells,
    differing_lines,
    differing_movements,
    differing_shares,
    differing_standing,
)
from server.domain.errors import UsageError
from server.domain.exact import plain
from server.domain.ids import AccountId, GrantId, WalletId
from server.domain.settlement.ledger import GrantHead, Head, LedgerEntry, check_chain
from server.domain.settlement.rewinding import ALL_PERIODS
from server.domain.settlement.tokens import tokens_of
from server.store.billing import pending
from server.store.billing import verification as store
from server.store.connection import Transaction
from server.store.settlement import entries, wallets
from server.usecases.billing.slices import Slice, slices
from server.usecases.modeling.currencies import minor_places

PAGE = 1_000


async def verify_account(tx: Transaction, account_id: AccountId) -> Verified:
    """Verify everything of one account; `tx` should read one snapshot."""
    findings = await store.differences(tx, account_id)
    heads = await store.heads(tx, account_id)
    entries = 0
    for wallet_id, head in heads.items():
        count, fault = await _chain(tx, account_id, wallet_id, head)
        entries += count
        findings += [fault] if fault else []
        findings += await _settled(tx, account_id, wallet_id)
    findings += differing_shares(await store.billed_lines(tx, account_id), minor_places)
    return Verified(
        accounts=1,
        wallets=len(heads),
        entries=entries,
        records=await store.count_records(tx, account_id),
        findings=tuple(findings),
    )


async def _chain(
    tx: Transaction, account_id: AccountId, wallet_id: WalletId, head: Head
) -> tuple[int, Difference | None]:
    """Check a wallet's ledger from its first entry, and that its head is the last entry."""
    name = f"accounts/{account_id}/wallets/{wallet_id}"
    last = Head(wallet_id=wallet_id)
    grants: dict[GrantId, GrantHead] = {}
    async for entry in _entries(tx, account_id, wallet_id):
        fault = check_chain([entry], head=last, grant_heads=grants)
        if fault:
            what = f"{fault.field} of entry {fault.seq}"
            return last.seq, Difference(
                what=what, name=name, expected=fault.expected, found=fault.found
            )
        last = Head(wallet_id=wallet_id, seq=entry.seq, balance=entry.wallet_after, hash=entry.hash)
        grants[entry.grant_id] = GrantHead(
            grant_id=entry.grant_id, seq=entry.grant_seq, balance=entry.grant_after
        )
    # The head repeats the last entry; balances are read from it, so it is compared too.
    if last != head:
        due, is_ = (f"{one.seq}: {plain(one.balance)}" for one in (last, head))
        return last.seq, Difference(what="head", name=name, expected=due, found=is_)
    return last.seq, None


async def _entries(
    tx: Transaction, account_id: AccountId, wallet_id: WalletId
) -> AsyncIterator[LedgerEntry]:
    """Yield a wallet's entries, page by page, each with the hash of the one before it."""
    after, before = 0, Head(wallet_id=wallet_id).hash
    while True:
        # A ledger can have millions of entries, so it is never in memory as a whole.
        page = await entries.list_entries(tx, account_id, wallet_id, after=after, limit=PAGE)
        for entry, _ in page:
            yield entries.following(entry, before)
            after, before = entry.seq, entry.hash
        if len(page) < PAGE:
            return


async def _settled(tx: Transaction, account_id: AccountId, wallet_id: WalletId) -> list[Difference]:
    """Return the differences of a wallet's final cells, entries and lines from a new walk.

    The walk begins with the first grant. Periods from the first one on that waits for a correction
    are left out.
    """
    found: list[Difference] = []
    waiting = await pending.first(tx, account_id, wallet_id)
    since = ALL_PERIODS.since
    try:
        async for slice_ in slices(tx, account_id, wallet_id, since, before=waiting):
            found += await _slice(tx, slice_)
    except UsageError as error:
        name = f"accounts/{account_id}/wallets/{wallet_id}"
        text = f"{error.reason}: {error.message}"
        found.append(Difference(what="rating", name=name, expected="as before", found=text))
    return found


async def _slice(tx: Transaction, slice_: Slice) -> list[Difference]:
    """Return the differences of some final periods of a wallet from a new walk."""
    wallet, books, fixed = slice_.wallet, slice_.books, slice_.correction
    account_id = wallet.account_id
    final = await store.final_cells(tx, account_id, wallet.id, slice_.span)
    kept = {one.cell.id: one for one in final}
    found = differing_standing(account_id, wallet.cells, wallet.state.cells, books.closed)
    found += differing_cells(account_id, fixed.results, kept)
    found += differing_movements(account_id, wallet.id, fixed.movements)
    found += differing_lines(account_id, fixed.changes, books.booked)
    return found + await _tokens(tx, slice_)


async def _tokens(tx: Transaction, slice_: Slice) -> list[Difference]:
    """Return the differences between a wallet's overage in tokens and the stored token cells."""
    wallet, fixed = slice_.wallet, slice_.correction
    account_id = wallet.account_id
    kept = await store.token_quantities(tx, account_id, wallet.id, slice_.span)
    verified = {cell.id for cell in fixed.cells}
    found: list[Difference] = []
    for token_id in wallet.token_wallet_ids:
        tokens = (await wallets.get(tx, account_id, token_id, with_pending=False)).token_wallet
        own = wallet.payers(token_id)
        for source_id, cell in tokens_of(tokens, own, fixed.cells, fixed.results, fixed.lines):
            name = f"accounts/{account_id}/usageSummaries/{cell.id}"
            _, is_ = kept.pop(source_id, (None, None))
            found += different("tokens", name, cell.measure.sum, is_)
    for source_id, (cell_id, quantity) in kept.items():
        if source_id in verified and quantity:
            name = f"accounts/{account_id}/usageSummaries/{cell_id}"
            found += different("tokens", name, None, quantity)
    return found
