"""Try a change of an account, to tell what it changes in money, and take everything back.

The change is made, the corrections that it causes are booked, and the books before and after are
compared: so the figures are those of the real change. All of it is behind a savepoint, which also
gives back the locks. Recorders of these wallets wait meanwhile, so the time is bounded.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import asyncpg

from server.domain.billing.run_books import WalletBooks, compared
from server.domain.consumption.record_runs import RunMoney
from server.domain.errors import Aborted, DeadlineExceeded, FailedPrecondition, UsageError
from server.domain.ids import AccountId, WalletId
from server.store.billing import pending
from server.store.connection import Transaction
from server.store.transaction import Savepoint
from server.usecases.billing.corrections import CorrectUsage, correct_usage
from server.usecases.billing.run_books import read_books

R = TypeVar("R")

MOST_SECONDS = 5.0
"""The longest wait of recorders for a trial: a call tries three times, for two seconds each."""


@dataclass(frozen=True, slots=True)
class NotTried:
    """The reason why a change was not tried as a whole, as `REASON: sentence`."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialScope:
    """The settlement groups that a change is about, and the time of its earliest effect."""

    account_id: AccountId
    groups: Sequence[Sequence[WalletId]]
    since: datetime


async def tried(
    tx: Transaction, attempt: Callable[[], Awaitable[R]], hint: str, most_seconds: float
) -> R | NotTried:
    """Return the result of an attempt; nothing is left of it but the answer.

    `hint` says what to do if it takes too long. Raises Aborted (CONCURRENT_CHANGE).
    """
    before = Savepoint(tx)
    await before.make()
    found: R | NotTried
    try:
        async with asyncio.timeout(most_seconds):
            found = await attempt()
    except (TimeoutError, asyncpg.QueryCanceledError):
        found = _not_tried(_too_slow(hint, most_seconds))
    except Aborted:
        raise
    except UsageError as error:
        found = _not_tried(error)
    await before.roll_back()
    return found


async def measured(
    tx: Transaction, scope: TrialScope, change: Callable[[], Awaitable[R]]
) -> tuple[R, RunMoney]:
    """Make a change and book its corrections; return its result and the difference in money.

    What waited before is booked first, so that it is not a part of the difference. Raises
    RATED_LINE_FAILED, ITEM_STATE, and the errors of the change.
    """
    account_id, groups = scope.account_id, scope.groups
    for group in groups:
        # Before a cell is locked: recorders and corrections take the locks in this order.
        await pending.take_late(tx, group)
    await _correct(tx, account_id, groups)
    books = await _read(tx, scope)
    result = await change()
    await _correct(tx, account_id, groups)
    return result, compared(books, await _read(tx, scope))


async def groups_of(
    tx: Transaction, account_id: AccountId, wallet_ids: Iterable[WalletId]
) -> list[list[WalletId]]:
    """Return the settlement groups of some wallets, in one order."""
    groups: list[list[WalletId]] = []
    for wallet_id in sorted(set(wallet_ids)):
        if not any(wallet_id in group for group in groups):
            groups.append(await pending.group_of(tx, account_id, wallet_id))
    return groups


async def _correct(
    tx: Transaction, account_id: AccountId, groups: Sequence[Sequence[WalletId]]
) -> None:
    """Book what is pending for some groups. Raises RATED_LINE_FAILED, ITEM_STATE."""
    for group in groups:
        if not await _is_pending(tx, account_id, group):
            continue
        await correct_usage(tx, CorrectUsage(account_id=account_id, wallet_id=group[0]))
        if await _is_pending(tx, account_id, group):
            raise _is_loading()


async def _is_pending(tx: Transaction, account_id: AccountId, group: Iterable[WalletId]) -> bool:
    firsts = [await pending.first(tx, account_id, wallet_id) for wallet_id in group]
    return any(first is not None for first in firsts)


async def _read(tx: Transaction, scope: TrialScope) -> dict[WalletId, WalletBooks]:
    wallets = [wallet_id for group in scope.groups for wallet_id in group]
    return await read_books(tx, scope.account_id, wallets, scope.since)


def _not_tried(error: UsageError) -> NotTried:
    return NotTried(f"{error.reason}: {error.message}"[:1000])


def _too_slow(hint: str, most_seconds: float) -> DeadlineExceeded:
    text = f"the money was not computed within {most_seconds:g} seconds; {hint}"
    return DeadlineExceeded("DEADLINE_EXCEEDED", text)


def _is_loading() -> FailedPrecondition:
    text = "the account is being loaded, and its corrections wait; the money is known afterwards"
    return FailedPrecondition("ITEM_STATE", text)
