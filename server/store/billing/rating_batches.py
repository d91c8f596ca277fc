"""Rating batches: their lines and results are JSON documents with numbers as text."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from asyncpg import Record

from server.domain import errors
from server.domain.billing.rating_batches import BatchVerdict, LineResult, RatingBatch, RequestState
from server.domain.consumption.recording import Usage
from server.domain.errors import NotFound, UsageError
from server.domain.exact import plain
from server.domain.ids import (
    AccountId,
    AssetId,
    RatingBatchId,
    RecordId,
    ResourceId,
    UnitId,
)
from server.domain.rating.line_rating import WaterfallStep
from server.store.audit import audit_of
from server.store.connection import Transaction
from server.store.keys import NO_KEY, TimeKey
from server.store.sql import load

SQL = load("billing/rating_batches.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRequest:
    """A rating batch to insert."""

    id: RatingBatchId
    account_id: AccountId
    lines: Sequence[Usage]
    skips_waterfall: bool


async def add(tx: Transaction, new: NewRequest) -> None:
    """Insert a batch as pending."""
    lines = [_line_to_doc(line) for line in new.lines]
    args = (tx.tenant_id, new.account_id, new.id, new.skips_waterfall, lines)
    await tx.execute(SQL["add_request"], *args)


async def lock(tx: Transaction, account_id: AccountId, request_id: RatingBatchId) -> bool:
    """Lock a pending batch until the transaction ends; return False if it is not pending."""
    row = await tx.fetchrow(SQL["lock_request"], tx.tenant_id, account_id, request_id)
    return row is not None


async def get(tx: Transaction, account_id: AccountId, request_id: RatingBatchId) -> RatingBatch:
    """Return one batch. Raises RATING_BATCH_NOT_FOUND."""
    row = await tx.fetchrow(SQL["get_request"], tx.tenant_id, account_id, request_id)
    if row is None:
        raise NotFound.of("RatingBatch", f"accounts/{account_id}/ratingBatches/{request_id}")
    return _request(account_id, row)


async def list_requests(
    tx: Transaction,
    account_id: AccountId,
    *,
    after: TimeKey | None,
    limit: int,
) -> list[RatingBatch]:
    """Return an account's batches, newest first, without their lines and results."""
    time, id_ = after or NO_KEY
    rows = await tx.fetch(SQL["list_requests"], tx.tenant_id, account_id, time, id_, limit)
    return [_request(account_id, row) for row in rows]


async def finish(
    tx: Transaction,
    request: RatingBatch,
    results: Sequence[LineResult],
    verdict: BatchVerdict,
) -> None:
    """Save the state and the results of a batch."""
    docs = [_result_to_doc(result) for result in results]
    key = (tx.tenant_id, request.account_id, request.id)
    await tx.execute(SQL["finish_request"], *key, verdict.state, docs, verdict.code, verdict.text)


def _request(account_id: AccountId, row: Record) -> RatingBatch:
    return RatingBatch(
        id=RatingBatchId(row["rating_batch_id"]),
        account_id=account_id,
        state=RequestState(row["state"]),
        skips_waterfall=row["skips_waterfall"],
        lines=tuple(_line_from_doc(account_id, doc) for doc in row["lines"]),
        results=tuple(_result_from_doc(doc) for doc in row["results"] or ()),
        error_code=row["error_code"],
        error_text=row["error_text"],
        audit=audit_of(row),
        rate_time=row["rate_time"],
    )


def _line_to_doc(line: Usage) -> dict[str, Any]:
    return {
        "record_id": line.record_id,
        "asset_id": str(line.asset_id),
        "resource_id": line.resource_id,
        "quantity": plain(line.quantity),
        "unit_id": line.unit_id,
        "time": line.time.isoformat(),
        "labels": line.labels,
    }


def _line_from_doc(account_id: AccountId, doc: dict[str, Any]) -> Usage:
    return Usage(
        account_id,
        RecordId(doc["record_id"]),
        AssetId(UUID(doc["asset_id"])),
        ResourceId(doc["resource_id"]),
        Decimal(doc["quantity"]),
        UnitId(doc["unit_id"]),
        datetime.fromisoformat(doc["time"]),
        doc["labels"],
    )


def _result_to_doc(result: LineResult) -> dict[str, Any]:
    return {
        "error": None if result.error is None else _error_to_doc(result.error),
        "used": _text(result.used),
        "overage": _text(result.overage),
        "amount": _text(result.amount),
        "unit": result.unit,
        "steps": [
            {
                "sequence": step.sequence,
                "element": step.element,
                "inputs": dict(step.inputs),
                "outputs": dict(step.outputs),
                "note": step.note,
            }
            for step in result.steps
        ],
    }


def _result_from_doc(doc: dict[str, Any]) -> LineResult:
    return LineResult(
        error=None if doc["error"] is None else _error_from_doc(doc["error"]),
        used=_number(doc["used"]),
        overage=_number(doc["overage"]),
        amount=_number(doc["amount"]),
        unit=None if doc["unit"] is None else UnitId(doc["unit"]),
        steps=tuple(WaterfallStep(**step) for step in doc["steps"]),
    )


def _error_to_doc(error: UsageError) -> dict[str, Any]:
    # The direct subclass of UsageError decides the gRPC status, so it is stored too.
    groups = (kind for kind in type(error).__mro__ if UsageError in kind.__bases__)
    return {
        "group": next(groups, UsageError).__name__,
        "reason": error.reason,
        "message": error.message,
        "facts": error.facts,
    }


def _error_from_doc(doc: dict[str, Any]) -> UsageError:
    group: type[UsageError] = getattr(errors, doc["group"])
    return group(doc["reason"], doc["message"], doc["facts"])


def _text(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
