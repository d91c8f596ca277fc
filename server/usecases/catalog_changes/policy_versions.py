"""Versions of policies: a new version changes an active policy for future sales.

A sale keeps its policies with their versions, so nothing that was sold changes. A sale gets the
version of the day on which it starts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Generic, TypeVar

from server.domain.errors import FailedPrecondition, InvalidArgument
from server.domain.modeling.catalog import CatalogState, StoredRecord, differences
from server.domain.validation.activation import check_revision
from server.store.access import tenants
from server.store.connection import Transaction
from server.store.modeling import policy_versions as store
from server.store.modeling import records
from server.store.modeling.policy_versions import VersionStart
from server.store.modeling.records import Kind
from server.usecases.catalog_changes.policy_users import find_users
from server.usecases.modeling.edits import Record, current

T = TypeVar("T")

MOST_AFFECTED = 100


@dataclass(frozen=True, slots=True)
class Revised(Generic[T]):
    """A policy after its revision, and what uses it: the first names, and their number."""

    policy: StoredRecord[T]
    affected: tuple[str, ...]
    affected_count: int


async def revise(
    tx: Transaction,
    record: Record[T],
    merge: Callable[[StoredRecord[T]], T],
    start: date | None = None,
) -> Revised[T]:
    """Create the next version of an active policy, unless it would be equal.

    It begins now, or on a later day. Raises RANGE, EFFECTIVITY_OVERLAP, `…_NOT_FOUND`,
    ETAG_MISMATCH, STATE_TRANSITION, the errors of `merge`, and VALIDATION_FAILED for a version with
    which a product or a target that uses the policy would break a rule that it keeps now.
    """
    # First, so that nothing that uses the policy becomes active meanwhile.
    await tenants.bump_catalog(tx)
    found = await current(tx, record)
    if found.state is not CatalogState.ACTIVE:
        text = f"{record.name} is {found.state}; only what is active gets another version"
        facts = {"name": record.name, "from": str(found.state), "to": "ACTIVE"}
        raise FailedPrecondition("STATE_TRANSITION", text, facts)
    wanted = merge(found)
    users = await find_users(tx, record)
    if differences(found.content, wanted):
        before = await users.faults(tx)
        since = await _since(tx, record, start)
        await store.supersede(tx, record.kind, found, wanted, since)
        check_revision(record.name, before, await users.faults(tx))
        found = await records.get(tx, record.kind, *record.key)
    return Revised(found, users.names(MOST_AFFECTED), users.count)


async def _since(tx: Transaction, record: Record[T], start: date | None) -> VersionStart:
    """Return the beginning of the next version: not before that of the newest one."""
    now = await tenants.now(tx)
    today = now.date()
    if start is not None and start <= today:
        fault = f"must be after today, {today}; without it the version begins now"
        raise InvalidArgument.at("start_date", "RANGE", fault, today=str(today))
    pending = await store.pending_day(tx, record.kind, record.key[0], today)
    if pending is not None and (start is None or start < pending):
        text = f"the newest version of {record.name} begins on {pending}, and none before it can"
        text += " follow it; let this one begin on that day or later"
        raise FailedPrecondition(
            "EFFECTIVITY_OVERLAP", text, {"name": record.name, "start_date": str(pending)}
        )
    return VersionStart(now, start)


async def list_versions(
    tx: Transaction, kind: Kind[T], *key: str
) -> list[tuple[StoredRecord[T], VersionStart | None]]:
    """Return the versions of a policy, the current one first. Raises `…_NOT_FOUND`."""
    found = await records.get(tx, kind, *key)
    before = await store.list_superseded(tx, kind, found)
    return [(found, None), *before]
