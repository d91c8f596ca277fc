"""The procedure versions by which final usage was rated first, for rating it again.

Corrections rate by them, and so does everything that shows what a correction will make.
"""

from collections.abc import Mapping
from dataclasses import replace

from server.domain.billing.corrections import Booked
from server.domain.ids import AccountId
from server.domain.rating.compiled_rating import (
    SHIPPED_RATING,
    AsRated,
    CompiledRating,
    RatingVersionSource,
    VersionKey,
)
from server.domain.settlement.ratable_lines import UsageKey
from server.domain.settlement.rewinding import Span
from server.domain.settlement.wallet_states import WalletState
from server.store.billing import corrections as store
from server.store.connection import Transaction
from server.store.rating.procedures import compiled_versions
from server.store.settlement.wallets import StoredWallet

NOT_IN_FORCE, TIME_LIMIT = "PROCEDURE_NOT_IN_FORCE", "TIME_LIMIT"


async def as_rated(
    tx: Transaction, booked: Mapping[UsageKey, Booked], otherwise: RatingVersionSource
) -> AsRated:
    """Return the procedure versions by which usage was rated when its periods were closed."""
    named = {line.version for line in booked.values() if line.version}
    known = await compiled_versions(tx, named) if named else {}
    lines = {line.id: _version_of(line, known) for line in booked.values()}
    periods = {
        key.origin_start: version
        for key, line in booked.items()
        if not line.failure and (version := lines[line.id]) is not None
    }
    return AsRated(lines, otherwise, periods)


async def rated_as_before(tx: Transaction, wallet: StoredWallet) -> StoredWallet:
    """Return a wallet that rates final usage, its own and that of its sources, as corrections do.

    It stays as it is while all final usage is as it was settled.
    """
    state = await _as_before(tx, wallet.account_id, wallet.state)
    return wallet if state is wallet.state else replace(wallet, state=state)


async def _as_before(tx: Transaction, account_id: AccountId, state: WalletState) -> WalletState:
    sources = [await _as_before(tx, account_id, source) for source in state.sources]
    if any(new is not old for new, old in zip(sources, state.sources, strict=True)):
        state = replace(state, sources=tuple(sources))
    # Without rewound grants there is no final usage in it.
    if state.posted is None or not state.cells:
        return state
    since = Span(min(cell.period.start for cell in state.cells))
    booked = await store.booked(tx, account_id, state.terms.id, since)
    versions = await as_rated(tx, booked, state.rating_versions)
    return replace(state, rating_versions=versions)


def _version_of(line: Booked, known: Mapping[VersionKey, CompiledRating]) -> CompiledRating | None:
    # A line without a version in force then stays so. One that exceeded its time limit may be fast
    # enough now; it is left unrated again, so that rating it again gives the same.
    if line.failure in (NOT_IN_FORCE, TIME_LIMIT):
        return None
    return known[line.version] if line.version else SHIPPED_RATING
