"""Verification: compute all derived data again, compare it, and name each difference."""

from collections.abc import AsyncIterator, Sequence

from server.domain.billing.verification import (
    Difference,
    Verified,
    different,
    differing_flat_amounts,
    differing_packages,
    differing_shares,
)
from server.domain.consumption.cells import Cell
from server.domain.exact import plain
from server.domain.ids import AccountId, GrantId, WalletId
from server.domain.rating.compiled_rating import AsRated
from server.domain.settlement.ledger import GrantHead, Head, LedgerEntry, check_chain
from server.domain.settlement.ratable_lines import RatableLine, ratable_lines
from server.domain.settlement.standing import carried_over
from server.domain.settlement.tokens import tokens_of
from server.domain.settlement.walk import SettledIncrement
from server.domain.settlement.wallet_states import as_drawn
from server.store.billing import verification as store
from server.store.connection import Transaction
from server.store.settlement import wallets
from server.store.settlement.wallets import StoredWallet
from server.usecases.modeling.currencies import minor_places
from server.usecases.rating.procedures import as_rated

PAGE = 1_000
TIME_LIMIT = "TIME_LIMIT"


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
        page = await wallets.list_entries(tx, account_id, wallet_id, after=after, limit=PAGE)
        for entry, _ in page:
            yield wallets.following(entry, before)
            after, before = entry.seq, entry.hash
        if len(page) < PAGE:
            return


async def _settled(tx: Transaction, account_id: AccountId, wallet_id: WalletId) -> list[Difference]:
    """Return the differences of a wallet's final cells and of the lines rated from them."""
    wallet = await wallets.get(tx, account_id, wallet_id)
    kept = {one.cell.id: one for one in await store.final_cells(tx, account_id, wallet_id)}
    cells = [one.cell for one in kept.values()]
    found: list[Difference] = []
    for cell_id, due, carried in carried_over(wallet.state, cells):
        name = f"accounts/{account_id}/usageSummaries/{cell_id}"
        found += different("carried over", name, due, carried)
    results = as_drawn(wallet.state, kept.values())
    for increment in (result.increment for result in results):
        name = f"accounts/{account_id}/usageSummaries/{increment.cell_id}"
        found += different("quantity", name, increment.quantity, kept[increment.cell_id].quantity)
    rated = await store.rated_lines(tx, account_id, wallet_id)
    rating_versions = await as_rated(tx, wallet, rated)
    # A line that exceeded its time limit may be fast enough now. It is left unrated again, because
    # the packages that it would begin would change the lines after it.
    slow = {line_id: None for line_id, line in rated.items() if line.failure == TIME_LIMIT}
    rating_versions = AsRated({**rating_versions.lines, **slow}, rating_versions.otherwise)
    lines = ratable_lines(wallet_id, results, wallet.state.rates, rating_versions=rating_versions)
    found += await _tokens(tx, wallet, cells, results, lines)
    for line in lines:
        name = f"accounts/{account_id}/ratableSummaries/{line.id}"
        is_ = rated.pop(line.id, None)
        found += different("overage", name, line.overage, is_.overage if is_ else None)
        found += different("amount", name, line.amount, is_.amount if is_ else None)
        found += differing_packages(name, line, is_.packages if is_ else {})
        found += differing_flat_amounts(name, line, is_.flat_tiers if is_ else ())
    for line_id, one_rated in rated.items():
        name = f"accounts/{account_id}/ratableSummaries/{line_id}"
        found += different("overage", name, None, one_rated.overage)
    return found


async def _tokens(
    tx: Transaction,
    wallet: StoredWallet,
    cells: list[Cell],
    results: Sequence[SettledIncrement],
    lines: Sequence[RatableLine],
) -> list[Difference]:
    """Return the differences between a wallet's overage in tokens and the stored token cells."""
    account_id = wallet.account_id
    kept = await store.token_quantities(tx, account_id, wallet.id)
    found: list[Difference] = []
    for token_id in wallet.token_wallet_ids:
        tokens = (await wallets.get(tx, account_id, token_id)).token_wallet
        for _, cell in tokens_of(tokens, wallet.rated_in(token_id), cells, results, lines):
            name = f"accounts/{account_id}/usageSummaries/{cell.id}"
            found += different("tokens", name, cell.measure.sum, kept.pop(cell.id, None))
    for cell_id, quantity in kept.items():
        name = f"accounts/{account_id}/usageSummaries/{cell_id}"
        found += different("tokens", name, None, quantity)
    return found
