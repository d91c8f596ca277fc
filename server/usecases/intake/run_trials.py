"""Try a dry run over records as a whole, to tell what it would change in money."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from server.domain.consumption.amendments import KnownRecord
from server.domain.consumption.record_runs import RecordEffect, RecordRun, RunMoney
from server.domain.consumption.recording import MeterKey
from server.domain.errors import ResourceExhausted
from server.domain.ids import WalletId
from server.domain.limits import value_of
from server.store.connection import Transaction
from server.store.consumption import record_runs as store
from server.store.consumption import recording
from server.usecases.billing import trials
from server.usecases.billing.trials import NotTried, TrialScope
from server.usecases.intake.record_changes import change_records

MOST_RECORDS = value_of("dry_run.records")
MOST_SECONDS = trials.MOST_SECONDS


@dataclass(frozen=True, slots=True)
class Trial:
    """The effect of a run on records and in money, and the last record that it looked at."""

    effect: RecordEffect
    money: RunMoney
    last: tuple[datetime, str]


async def tried(tx: Transaction, run: RecordRun, at_once: int) -> Trial | NotTried:
    """Try a run, `at_once` records at a time; nothing is left of it but the answer.

    Raises Aborted (CONCURRENT_CHANGE).
    """
    hint = "choose a shorter window"
    return await trials.tried(tx, lambda: _try(tx, run, at_once), hint, MOST_SECONDS)


async def _try(tx: Transaction, run: RecordRun, at_once: int) -> Trial:
    records, last = await _records(tx, run, at_once)
    scope = TrialScope(
        account_id=run.account_id,
        groups=await trials.groups_of(tx, run.account_id, await _wallets(tx, run, records)),
        since=min((record.stored.time for record in records), default=run.only.start),
    )

    async def change() -> RecordEffect:
        effect = RecordEffect()
        for start in range(0, len(records), at_once):
            effect += await change_records(tx, run, records[start : start + at_once])
        return effect

    effect, money = await trials.measured(tx, scope, change)
    return Trial(effect, money, last)


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


async def _wallets(
    tx: Transaction, run: RecordRun, records: Iterable[KnownRecord]
) -> set[WalletId]:
    """Return the wallets that records leave and enter."""
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
    return wallets


def _too_many() -> ResourceExhausted:
    text = f"the money is computed for at most {MOST_RECORDS} records; choose a shorter window"
    return ResourceExhausted("TOO_MANY_ITEMS", text, {"limit": str(MOST_RECORDS)})
