"""Refused records: insert with a bound, and list."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from asyncpg import Record

from server.domain.consumption.refusals import MOST_KEPT, Refusal
from server.domain.ids import AccountId
from server.store.audit import credential_id
from server.store.connection import Transaction
from server.store.sql import load

SQL = load("consumption/refused_records.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalFilter:
    """The filters of a list of refusals; None for any."""

    account_id: AccountId | None = None
    reason: str | None = None


async def add(tx: Transaction, refusals: Sequence[tuple[UUID, Refusal]]) -> None:
    """Insert refusals, whose ids are in the order of time, and delete the oldest of the tenant."""
    await tx.execute(
        SQL["add_refusals"],
        tx.tenant_id,
        [refusal_id for refusal_id, _ in refusals],
        [refusal.account_id for _, refusal in refusals],
        [refusal.record_id for _, refusal in refusals],
        [refusal.asset for _, refusal in refusals],
        [refusal.usage_resource for _, refusal in refusals],
        [refusal.reason for _, refusal in refusals],
        [refusal.status for _, refusal in refusals],
        [refusal.content_hash for _, refusal in refusals],
    )
    await tx.execute(SQL["drop_oldest"], tx.tenant_id, MOST_KEPT)


async def list_refusals(
    tx: Transaction, only: RefusalFilter, *, after: tuple[UUID] | None, limit: int
) -> list[tuple[UUID, Refusal]]:
    """Return refusals with their ids, newest first."""
    last = after[0] if after else None
    args = (tx.tenant_id, last, limit, only.account_id, only.reason)
    return [
        (row["refusal_id"], _refusal(row)) for row in await tx.fetch(SQL["list_refusals"], *args)
    ]


def _refusal(row: Record) -> Refusal:
    return Refusal(
        account_id=AccountId(row["account_id"]),
        record_id=row["record_id"],
        asset=row["asset"],
        usage_resource=row["usage_resource"],
        reason=row["reason"],
        status=row["status"],
        content_hash=row["content_hash"],
        time=row["create_time"],
        credential_id=credential_id(row["created_by"]),
    )
