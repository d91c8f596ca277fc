"""Rating batches: their lines and results are JSON documents."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import msgspec
from asyncpg import Record

from server.domain import errors
from server.domain.billing.rating_batches import BatchVerdict, LineResult, RatingBatch, RequestState
from server.domain.consumption.recording import Usage
from server.domain.errors import NotFound, UsageError
from server.domain.ids import AccountId, RatingBatchId
from server.store.audit import audit_of
from server.store.connection import Transaction
from server.store.documents import DocumentCodec
from server.store.keys import NO_KEY, TimeKey
from server.store.sql import load

SQL = load("billing/rating_batches.sql")


class ErrorDocument(msgspec.Struct, frozen=True):
    """An error; `group` is the direct subclass of UsageError, which decides the gRPC status."""

    group: str
    reason: str
    message: str
    facts: dict[str, str]


class ResultDocument(msgspec.Struct, frozen=True):
    """The result of a line without its error, and its error."""

    result: LineResult
    error: ErrorDocument | None


LINES: DocumentCodec[tuple[Usage, ...]] = DocumentCodec(tuple[Usage, ...])
_RESULTS: DocumentCodec[tuple[ResultDocument, ...]] = DocumentCodec(tuple[ResultDocument, ...])


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRequest:
    """A rating batch to insert."""

    id: RatingBatchId
    account_id: AccountId
    lines: Sequence[Usage]
    skips_waterfall: bool


async def add(tx: Transaction, new: NewRequest) -> None:
    """Insert a batch as pending."""
    lines = LINES.encode(tuple(new.lines))
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
    texts = encode_results(results)
    key = (tx.tenant_id, request.account_id, request.id)
    await tx.execute(SQL["finish_request"], *key, verdict.state, texts, verdict.code, verdict.text)


def _request(account_id: AccountId, row: Record) -> RatingBatch:
    return RatingBatch(
        id=RatingBatchId(row["rating_batch_id"]),
        account_id=account_id,
        state=RequestState(row["state"]),
        skips_waterfall=row["skips_waterfall"],
        lines=LINES.decode(row["lines"]) if row["lines"] else (),
        results=decode_results(row["results"]) if row["results"] else (),
        error_code=row["error_code"],
        error_text=row["error_text"],
        audit=audit_of(row),
        rate_time=row["rate_time"],
    )


def encode_results(results: Iterable[LineResult]) -> str:
    """Return the document of the results of a batch."""
    return _RESULTS.encode(tuple(map(_result_to_doc, results)))


def decode_results(text: str) -> tuple[LineResult, ...]:
    """Return the results of a document."""
    return tuple(map(_result_from_doc, _RESULTS.decode(text)))


def _result_to_doc(result: LineResult) -> ResultDocument:
    error = None if result.error is None else _error_to_doc(result.error)
    return ResultDocument(replace(result, error=None), error)


def _result_from_doc(doc: ResultDocument) -> LineResult:
    return replace(doc.result, error=None if doc.error is None else _error_from_doc(doc.error))


def _error_to_doc(error: UsageError) -> ErrorDocument:
    groups = (kind for kind in type(error).__mro__ if UsageError in kind.__bases__)
    group = next(groups, UsageError).__name__
    return ErrorDocument(group, error.reason, error.message, error.facts)


def _error_from_doc(doc: ErrorDocument) -> UsageError:
    group: type[UsageError] = getattr(errors, doc.group)
    return group(doc.reason, doc.message, doc.facts)
