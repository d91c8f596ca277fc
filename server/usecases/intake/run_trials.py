"""Try a dry run as a whole, to tell what it would change in money, and take everything back.

The change is made, the corrections that it causes are booked, and the books before and after are
compared: so the figures are those of a real run. All of it is behind a savepoint, which also gives
back the locks. Recorders of these wallets wait meanwhile, so the number of records and the time are
bounded.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from server.domain.billing.run_books import WalletBooks, compared
from server.domain.consumption.amendments import KnownRecord
from server.domain.consumption.record_runs import RecordEffect, RecordRun, RunMoney
from server.domain.consumption.recording import MeterKey
from server.domain.errors import (
    Aborted,
    DeadlineExceeded,
    FailedPrecondition,
    ResourceExhausted,
    UsageError,
)
from server.domain.ids import AccountId, WalletId
from server.domain.limits import value_of
from server.store.billing import pending
from server.store.connection import Transaction
from server.store.consumption import record_runs as store
from server.store.consumption import recording
from server.store.transaction import Savepoint
from server.usecases.billing.corrections import CorrectUsage, correct_usage
from server.usecases.billing.run_books import read_books
from server.usecases.intake.record_changes import change_records

MOST_RECORDS = value_of("dry_run.records")
MOST_SECONDS = 5.0
"""The longest wait of recorders for a trial: a call tries three times, for two seconds each."""


@dataclass(frozen=True, slots=True)
class Trial:
    """The effect of a run on records and in money, and the last record that it looked at."""

    effect: RecordEffect
    money: RunMoney
    last: tuple[datetime, str]


@dataclass(frozen=True, slots=True)
class NotTried:
    """The reason why a run was not tried as a whole, as `REASON: sentence`."""

    reason: str


async def tried(tx: Transaction, run: RecordRun, at_once: int) -> Trial | NotTried:
    """Try a run, `at_once` records at a time; nothing is left of it but the answer.

    Raises Aborted (CONCURRENT_CHANGE).
    """
    before = Savepoint(tx)
    await before.make()
    found: Trial | NotTried
    try:
        async with asyncio.timeout(MOST_SECONDS):
            found = await _try(tx, run, at_once)
    except (TimeoutError, asyncpg.QueryCanceledError):
        found = _not_tried(_too_slow())
    except Aborted:
        raise
    except UsageError as error:
        found = _not_tried(error)
    await before.roll_back()
    return found


async def _try(tx: Transaction, run: RecordRun, at_once: int) -> Trial:
    records, last = await _records(tx, run, at_once)
    groups = await _groups(tx, run, records)
    for group in groups:
        # Before a cell is locked: recorders and corrections take the locks in this order.
        await pending.take_late(tx, group)
    await _correct(tx, run.account_id, groups)
    since = min((record.stored.time for record in records), default=run.only.start)
    books = await _read(tx, run.account_id, groups, since)
    effect = RecordEffect()
    for start in range(0, len(records), at_once):
        effect += await change_records(tx, run, records[start : start + at_once])
    await _correct(tx, run.account_id, groups)
    after = await _read(tx, run.account_id, groups, since)
    return Trial(effect, compared(books, after), last)


async def _records(
    tx: Transaction, run: RecordRun, at_once: int
) -> tuple[list[KnownRecord], tuple[datetime, str]]:
    """Return all records of a run, and the last one looked at. Raises TOO_MANY_ITEMS."""
    records: list[KnownRecord] = []
    after, is_last = run.cursor, False
    while not is_last:
        found = await store.next_records(tx, run, after=after, limit=at_once)
        records += found.records
        if len(records) > MOST_RECORDS:
            raise _too_many()
        after, is_last = found.last, found.is_last
    return records, after


async def _groups(
    tx: Transaction, run: RecordRun, records: Iterable[KnownRecord]
) -> list[list[WalletId]]:
    """Return the settlement groups of the wallets that records leave and enter, in one order."""
    found = list(records)
    wallets = {record.wallet_id for record in found}
    if run.change is not None:
        resource, asset = run.change.resource_id, run.change.asset_id
        keys: set[MeterKey] = {
            (
                run.account_id,
                asset or record.stored.asset_id,
                resource or record.stored.resource_id,
            )
            for record in found
        }
        meters = await recording.find_meters(tx, keys) if keys else {}
        wallets |= {meter.wallet_id for meter in meters.values() if meter is not None}
    groups: list[list[WalletId]] = []
    for wallet_id in sorted(wallets):
        if not any(wallet_id in group for group in groups):
            groups.append(await pending.group_of(tx, run.account_id, wallet_id))
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


async def _read(
    tx: Transaction, account_id: AccountId, groups: Iterable[Iterable[WalletId]], since: datetime
) -> dict[WalletId, WalletBooks]:
    wallets = [wallet_id for group in groups for wallet_id in group]
    return await read_books(tx, account_id, wallets, since)


def _not_tried(error: UsageError) -> NotTried:
    return NotTried(f"{error.reason}: {error.message}"[:1000])


def _too_slow() -> DeadlineExceeded:
    text = f"the money was not computed within {MOST_SECONDS:g} seconds; choose a shorter window"
    return DeadlineExceeded("DEADLINE_EXCEEDED", text)


def _too_many() -> ResourceExhausted:
    text = f"the money is computed for at most {MOST_RECORDS} records; choose a shorter window"
    return ResourceExhausted("TOO_MANY_ITEMS", text, {"limit": str(MOST_RECORDS)})


def _is_loading() -> FailedPrecondition:
    text = "the account is being loaded, and its corrections wait; the money is known afterwards"
    return FailedPrecondition("ITEM_STATE", text)
