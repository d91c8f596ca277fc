"""Void usage: records that count no longer, and keep their rows and histories."""

from collections.abc import Sequence
from dataclasses import dataclass

from server.domain.billing.causes import Cause
from server.domain.consumption.amendments import KnownRecord, VoidCode, VoidOutcome, no_record
from server.domain.consumption.recording import PeriodKey, RecordKey
from server.domain.errors import UsageError
from server.domain.ids import CredentialId
from server.store.connection import Transaction
from server.store.consumption import amendments as store
from server.store.consumption.recording import PeriodState
from server.usecases.billing import pending
from server.usecases.intake import recounting

ALREADY_VOIDED = VoidOutcome(VoidCode.ALREADY_VOIDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class VoidUsage:
    """Up to 1,000 records to void, each named or refused, and the reason."""

    records: tuple[RecordKey | UsageError, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Voided:
    """The records that were voided, and the states of their periods."""

    records: tuple[KnownRecord, ...]
    periods: dict[PeriodKey, PeriodState]


async def void(tx: Transaction, command: VoidUsage) -> tuple[VoidOutcome, ...]:
    """Void the records that are not voided yet; outcomes are in the order of the records.

    Raises Aborted (CONCURRENT_CHANGE) only.
    """
    keys = {item for item in command.records if not isinstance(item, UsageError)}
    known = await store.find_known(tx, keys) if keys else {}
    waiting = [record for record in known.values() if record.void_time is None]
    done = await void_records(tx, waiting, reason=command.reason)
    voided = {record.key for record in done.records}
    outcomes = []
    for item in command.records:
        if isinstance(item, UsageError):
            outcomes.append(VoidOutcome(VoidCode.REJECTED, item))
        elif item not in known:
            outcomes.append(VoidOutcome(VoidCode.NOT_FOUND, no_record(item)))
        else:
            outcomes.append(VoidOutcome(VoidCode.VOIDED) if item in voided else ALREADY_VOIDED)
            # A record that is named twice is voided once.
            voided.discard(item)
    return tuple(outcomes)


async def void_records(
    tx: Transaction,
    records: Sequence[KnownRecord],
    *,
    reason: str,
    by: CredentialId | None = None,
) -> Voided:
    """Void those of some records that nobody has voided meanwhile, and count again without them.

    Raises Aborted (CONCURRENT_CHANGE).
    """
    if not records:
        return Voided((), {})
    states = await recounting.lock_periods(tx, records)
    # Before any cell is locked: corrections take the locks in this order.
    await pending.mark(tx, recounting.final_of(states), Cause.VOID)
    values = await recounting.lock_values(tx, await recounting.counted_before(tx, records))
    locked = await recounting.lock_records(tx, records)
    active = tuple(record for record in records if not locked[record.key].is_voided)
    keys = {record.key for record in active}
    await store.void(tx, keys, reason, by)
    cells = {(record.account_id, record.cell_id) for record in active}
    await recounting.recount(tx, values, keys, cells)
    return Voided(active, states)
