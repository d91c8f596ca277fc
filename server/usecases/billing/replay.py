"""Replay rates: final usage priced again by a price book, compared with its original amounts.

Everything is read in one snapshot and nothing is written. The original rating is repeated too and
compared with the stored amounts: where they differ, the replay returns an error.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from server.domain.billing.replay import Pair, line_before, not_reproduced
from server.domain.errors import InvalidArgument, NotFound, UsageError
from server.domain.exact import ZERO, exact
from server.domain.ids import (
    RatableSummaryId,
    UnitId,
    WalletId,
)
from server.domain.limits import value_of
from server.domain.rating.line_rating import WaterfallStep
from server.domain.rating.rates import RateTerms
from server.domain.settlement.ratable_lines import RatableLine
from server.store.billing import replay as store
from server.store.billing.replay import ReplayLine
from server.store.connection import Transaction
from server.store.modeling import records
from server.store.rating.rates import PRICE_BOOK
from server.store.selling import accounts
from server.usecases.billing.replay_inputs import (
    ReplayContext,
    ReplayRates,
    WalletReplay,
    unpriced,
)

MOST_LINES = value_of("replay.lines")


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """A line with its original amount and its replay, or the `error` that prevents the replay.

    It becomes several `parts` where the other rates change at other times, and none where nothing
    would be used. A line that `is_new` has no original, because nothing was used.
    """

    line: ReplayLine
    parts: tuple[RatableLine, ...] = ()
    error: UsageError | None = None
    is_new: bool = False

    @property
    def pair(self) -> Pair:
        """The original and the replayed amount."""
        replayed = None if self.error else _sum(part.amount for part in self.parts)
        return Pair(unit=self.line.unit, rated=self.line.amount, replayed=replayed)

    @property
    def overage(self) -> Decimal | None:
        """The replayed overage."""
        return None if self.error else _sum(part.overage for part in self.parts)

    @property
    def terms(self) -> RateTerms | None:
        """The terms that price the first part."""
        return next((part.terms for part in self.parts), None)

    @property
    def steps(self) -> tuple[WaterfallStep, ...]:
        """The steps that lead to the replayed amount."""
        return tuple(step for part in self.parts for step in part.steps)


async def replay(tx: Transaction, command: ReplayRates) -> list[Replayed]:
    """Return the replay of each ratable line, oldest first; `tx` should read one snapshot.

    Raises ACCOUNT_NOT_FOUND, PRICE_BOOK_NOT_FOUND, ASSET_NOT_FOUND, TOO_MANY_ITEMS.
    """
    account_id = command.account_id
    await accounts.get(tx, account_id)
    await records.get(tx, PRICE_BOOK, command.price_book_id)
    sold = await store.sold_as(tx, account_id)
    if command.asset_id is not None and command.asset_id not in sold:
        raise NotFound.of("Asset", f"accounts/{account_id}/assets/{command.asset_id}")
    # One more than allowed, to see that there are too many without counting them.
    lines = await store.rated_lines(
        tx, account_id, command.asset_id, command.within, limit=MOST_LINES + 1
    )
    if len(lines) > MOST_LINES:
        text = f"there are more than {MOST_LINES} ratable summaries; name a shorter time"
        raise InvalidArgument.at("end_time", "TOO_MANY_ITEMS", text, limit=str(MOST_LINES))
    context = ReplayContext(tx, command, sold)
    by_wallet: dict[WalletId, list[ReplayLine]] = {}
    for line in lines:
        by_wallet.setdefault(line.wallet_id, []).append(line)
    found: list[Replayed] = []
    for wallet_id in await _with_token_wallets(context, sorted(by_wallet)):
        wallet_replay = await context.replay_of(wallet_id)
        found += _compared(wallet_replay, by_wallet.get(wallet_id, ()), command)
    return sorted(found, key=lambda one: (one.line.start, one.line.id))


async def _with_token_wallets(
    context: ReplayContext, wallet_ids: Iterable[WalletId]
) -> list[WalletId]:
    """Return these wallets and those of the tokens in which their usage is rated."""
    found = set(wallet_ids)
    for wallet_id in wallet_ids:
        found |= set((await context.wallet(wallet_id)).token_wallet_ids)
    return sorted(found)


def _compared(
    wallet_replay: WalletReplay, lines: Iterable[ReplayLine], command: ReplayRates
) -> list[Replayed]:
    """Return each line with its replay, and the replayed lines that have no original."""
    before = {line.id: line for line in wallet_replay.before.lines}
    after: dict[RatableSummaryId, list[RatableLine]] = {}
    for line in wallet_replay.after.lines:
        after.setdefault(line_before(wallet_replay.wallet.state, line.key), []).append(line)
    found = [
        _replayed(wallet_replay, line, before.get(line.id), after.get(line.id, ()))
        for line in lines
    ]
    for id_, parts in after.items():
        key = parts[0].key
        is_asked = command.asset_id in (None, key.asset_id)
        if (
            id_ not in before
            and is_asked
            and command.within.contains(_served_start(wallet_replay, key.period_start))
        ):
            found.append(_without_original(wallet_replay, id_, parts))
    return found


def _replayed(
    wallet_replay: WalletReplay,
    line: ReplayLine,
    before: RatableLine | None,
    after: Sequence[RatableLine],
) -> Replayed:
    # The original rating is repeated first: if it does not give the stored amounts, a comparison
    # with other rates would mean nothing.
    if before is None or (line.overage, line.amount) != (before.overage, before.amount):
        return Replayed(line=line, error=not_reproduced())
    if wallet_replay.fault is not None:
        return Replayed(line=line, error=wallet_replay.fault)
    return _with_parts(wallet_replay, line, after)


def _with_parts(
    wallet_replay: WalletReplay, line: ReplayLine, after: Sequence[RatableLine]
) -> Replayed:
    failed = next((part for part in after if part.amount is None), None)
    error = None if failed is None else unpriced(wallet_replay, failed)
    return Replayed(line=line, parts=tuple(after), error=error)


def _without_original(
    wallet_replay: WalletReplay, id_: RatableSummaryId, after: Sequence[RatableLine]
) -> Replayed:
    """Return a replayed line without an original, for example of tokens that cost nothing."""
    first = after[0]
    unit = wallet_replay.wallet.currency_code if first.terms is None else first.terms.unit
    line = ReplayLine(
        id=id_,
        wallet_id=wallet_replay.wallet.id,
        asset_id=first.key.asset_id,
        resource_id=wallet_replay.wallet.resource_id,
        start=_served_start(wallet_replay, first.key.period_start),
        origin_start=_served_start(wallet_replay, first.key.origin_start),
        segment_start=first.key.segment_start,
        dimensions=first.key.dimensions,
        overage=ZERO,
        amount=ZERO,
        unit=UnitId(unit),
    )
    return replace(_with_parts(wallet_replay, line, after), is_new=True)


def _served_start(wallet_replay: WalletReplay, period_start: datetime) -> datetime:
    """Return the start of a period; the first one begins with the service."""
    return max(period_start, wallet_replay.wallet.service_start)


@exact
def _sum(figures: Iterable[Decimal | None]) -> Decimal | None:
    found = list(figures)
    known = [figure for figure in found if figure is not None]
    return sum(known, ZERO) if len(known) == len(found) else None
