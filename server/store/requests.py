"""Answers by `request_id`: a repeat gets the first answer, another body is a conflict.

Only committed calls are stored, with their serialized answer: a refused attempt leaves the key
free. Keys are compared as bytes: nothing is trimmed or folded.
"""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from server.domain.errors import AlreadyExists
from server.domain.ids import AccountId, TenantId
from server.store.connection import ControlTransaction, Transaction
from server.store.documents import TEXTS
from server.store.sql import load

SQL = load("requests.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A call with its idempotency key, the `request_id`.

    `account_id` is empty for a request about no account. `fields` holds a digest of each field of
    the request by its path, so that a conflict can name the fields that differ.
    """

    tenant_id: TenantId
    account_id: AccountId
    request_id: str
    method: str
    fingerprint: bytes
    fields: dict[str, str]


async def lock(tx: Transaction, request: Request) -> None:
    """Wait for concurrent calls with this id; hold the lock until the transaction ends."""
    await tx.execute(SQL["lock_request"], *_key(request))


async def find(tx: Transaction, request: Request) -> bytes | None:
    """Return the stored answer of the same request; None if there is none.

    Raises AlreadyExists (REQUEST_ID_CONFLICT) if the id was used with another method or body.
    """
    row = await tx.fetchrow(SQL["find_request"], *_key(request))
    if row is None:
        return None
    if (row["method"], row["fingerprint"]) != (request.method, request.fingerprint):
        raise _conflict(request, row["method"], TEXTS.decode(row["fields"]))
    answer: bytes = row["response"]
    return answer


async def keep(tx: Transaction, request: Request, response: bytes) -> None:
    """Store the answer, in the transaction of its effect."""
    await tx.execute(
        SQL["keep_request"],
        *_key(request),
        request.method,
        request.fingerprint,
        TEXTS.encode(request.fields),
        response,
    )


async def old_tenants(tx: ControlTransaction, kept: timedelta) -> list[TenantId]:
    """Return the tenants that have answers older than `kept`."""
    rows = await tx.fetch(SQL["old_request_tenants"], kept)
    return [TenantId(row["tenant_id"]) for row in rows]


async def delete_old(tx: Transaction, kept: timedelta, *, at_most: int) -> int:
    """Delete up to `at_most` answers older than `kept`; return the number."""
    done = await tx.execute(SQL["delete_old_requests"], tx.tenant_id, kept, at_most)
    return int(done.rpartition(" ")[2])


def _key(request: Request) -> tuple[UUID, str, str]:
    return request.tenant_id, request.account_id, request.request_id


def _conflict(request: Request, method: str, fields: dict[str, str]) -> AlreadyExists:
    if method != request.method:
        differing = ["method"]
    else:
        paths = sorted(fields.keys() | request.fields.keys())
        differing = [path for path in paths if fields.get(path) != request.fields.get(path)]
    # A few names suffice, and a status has a maximum size.
    named = ", ".join(differing[:5])
    return AlreadyExists(
        "REQUEST_ID_CONFLICT",
        f"request_id {request.request_id} was used for another request; it differs in {named}",
        {"request_id": request.request_id, "fields": named},
    )
