"""The change of some records of a run: they are voided, or amended as `AmendUsage` amends them."""

from collections.abc import Sequence
from dataclasses import replace

from server.domain.consumption.amendments import AmendCode, KnownRecord
from server.domain.consumption.changes import RecordChange
from server.domain.consumption.record_runs import RecordEffect, RecordRun
from server.domain.consumption.recording import Usage
from server.domain.errors import UsageError
from server.domain.ids import CredentialId, RecordId
from server.store.connection import Transaction
from server.store.consumption import amendments
from server.store.consumption import record_runs as store
from server.usecases.intake import recounting
from server.usecases.intake.amending import AmendUsage, amend
from server.usecases.intake.voiding import void_records


async def change_records(
    tx: Transaction, run: RecordRun, records: Sequence[KnownRecord]
) -> RecordEffect:
    """Change up to 1,000 records as a run says, in the name of its creator.

    Raises Aborted (CONCURRENT_CHANGE) only.
    """
    by = run.audit.created_by
    if not records:
        return RecordEffect()
    if run.change is None:
        done = await void_records(tx, records, reason=run.reason, by=by)
        effect = RecordEffect(tuple((record, None) for record in done.records))
    else:
        effect = await _amended(tx, run.change, records, by)
    keys = {one.period_key for pair in effect.changed for one in pair if one is not None}
    return replace(effect, periods=await store.find_periods(tx, run.account_id, keys))


async def _amended(
    tx: Transaction,
    change: RecordChange,
    records: Sequence[KnownRecord],
    by: CredentialId | None,
) -> RecordEffect:
    command = AmendUsage(
        records=tuple(_content(change, record) for record in records),
        most_quantity=change.most_quantity,
        by=by,
        may_return=True,
    )
    changed: list[KnownRecord] = []
    refused: list[tuple[RecordId, UsageError]] = []
    for record, outcome in zip(records, await amend(tx, command), strict=True):
        if outcome.error is not None:
            refused.append((record.record_id, outcome.error))
            continue
        is_changed = outcome.code is AmendCode.AMENDED
        if outcome.revision != record.stored.revision + is_changed:
            # Its new content was made of a revision that others have replaced meanwhile.
            raise recounting.concurrent_change()
        if is_changed:
            changed.append(record)
    now = await amendments.find_known(tx, [record.key for record in changed]) if changed else {}
    return RecordEffect(
        changed=tuple((record, now[record.key]) for record in changed),
        unchanged=len(records) - len(changed) - len(refused),
        refused=tuple(refused),
    )


def _content(change: RecordChange, record: KnownRecord) -> Usage | UsageError:
    try:
        return change.of(record)
    except UsageError as error:
        return error
