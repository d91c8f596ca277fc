"""Final periods settled again, a slice at a time, so that a wallet of any age fits into memory.

A correction and a verification read the cells, the entries and the lines of a few periods, walk
them, and go on with the grants as this walk left them. Source: R26.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from server.domain.billing.corrections import Correction, FinalBooks, correction
from server.domain.ids import AccountId, WalletId
from server.domain.selling.grants import Grant
from server.domain.settlement.rewinding import Span, continued, less, spans
from server.domain.settlement.wallet_states import WalletState
from server.store.billing import corrections as store
from server.store.billing import periods
from server.store.connection import Transaction
from server.store.settlement import wallets
from server.store.settlement.wallets import StoredWallet
from server.usecases.settlement.as_rated import as_rated

SLICE_CELLS = 5_000
"""The most cells that are read at once, unless a single period has more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Some final periods of a wallet, before the slice and as they are settled now.

    The `wallet` also has the cells of the period that follows.
    """

    span: Span
    wallet: StoredWallet
    books: FinalBooks
    correction: Correction


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """The part of a wallet's change that is known before its periods are read.

    `arrivals` are what moves here from other wallets now, if it is not what was posted. `last_used`
    is the last period whose usage changed, if nothing else did; a slice ends soon after it.
    """

    arrivals: Sequence[Grant] | None = None
    last_used: datetime | None = None


ANYTHING = Changed()


async def slices(
    tx: Transaction,
    account_id: AccountId,
    wallet_id: WalletId,
    since: datetime,
    before: datetime | None = None,
    changed: Changed = ANYTHING,
) -> AsyncIterator[Slice]:
    """Yield the final periods of a wallet from a time on, or those between two times, in turn.

    Raises RATED_LINE_FAILED if usage that was rated cannot be rated any more.
    """
    sizes = await periods.final_sizes(tx, account_id, wallet_id, since)
    last: Slice | None = None
    for span in spans(since, sizes, limit=SLICE_CELLS, last_used=changed.last_used):
        if before is not None and last is not None and before <= span.since:
            return
        wallet = await wallets.get_final(tx, account_id, wallet_id, span)
        if wallet.closed is None:
            return
        through = min(wallet.closed, span.until or wallet.closed, before or wallet.closed)
        state = await _state(tx, wallet, span, last)
        if changed.arrivals is not None:
            own = (grant for grant in changed.arrivals if span.since < grant.opens <= through)
            state = replace(state, arrivals=tuple(own))
        books = await _final_books(tx, wallet, state, span, through)
        last = Slice(span=span, wallet=wallet, books=books, correction=correction(books))
        yield last


async def _state(
    tx: Transaction, wallet: StoredWallet, span: Span, last: Slice | None
) -> WalletState:
    """Return the wallet before a slice: rewound to the first one, or as the last one left it."""
    if last is not None:
        return continued(wallet.state, last.correction.settlement, span.since)
    if span.until is None:
        return wallet.state
    moved = await wallets.moved_after(tx, wallet.account_id, wallet.id, span.until)
    return less(wallet.state, moved)


async def _final_books(
    tx: Transaction, wallet: StoredWallet, state: WalletState, span: Span, closed: datetime
) -> FinalBooks:
    """Return a wallet before a slice, with what was booked for the slice.

    Its usage is rated by the procedure versions that rated it when its periods were closed.
    """
    booked = await store.booked(tx, wallet.account_id, wallet.id, span)
    versions = await as_rated(tx, booked, state.rating_versions)
    return FinalBooks(
        state=replace(state, rating_versions=versions),
        since=span.since,
        closed=closed,
        effects=wallet.effects,
        booked={key: line for key, line in booked.items() if key.origin_start < closed},
    )
