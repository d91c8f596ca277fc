"""Versions of policies: a new version changes an active policy for future sales.

A sale keeps its policies with their versions, so nothing that was sold changes.
"""

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from server.domain.errors import FailedPrecondition
from server.domain.modeling.catalog import CatalogState, StoredRecord, differences
from server.store.access import tenants
from server.store.connection import Transaction
from server.store.modeling import policy_versions as store
from server.store.modeling import records
from server.store.modeling.records import Kind
from server.usecases.modeling.edits import Record, current

T = TypeVar("T")


async def revise(
    tx: Transaction, record: Record[T], merge: Callable[[StoredRecord[T]], T]
) -> StoredRecord[T]:
    """Create the next version of an active policy, unless it would be equal.

    Raises `…_NOT_FOUND`, ETAG_MISMATCH, STATE_TRANSITION, and the errors of `merge`.
    """
    found = await current(tx, record)
    if found.state is not CatalogState.ACTIVE:
        text = f"{record.name} is {found.state}; only what is active gets another version"
        facts = {"name": record.name, "from": str(found.state), "to": "ACTIVE"}
        raise FailedPrecondition("STATE_TRANSITION", text, facts)
    wanted = merge(found)
    if not differences(found.content, wanted):
        return found
    await store.supersede(tx, record.kind, found, wanted)
    await tenants.bump_catalog(tx)
    return await records.get(tx, record.kind, *record.key)


async def list_versions(
    tx: Transaction, kind: Kind[T], *key: str
) -> list[tuple[StoredRecord[T], datetime | None]]:
    """Return the versions of a policy, the current one first. Raises `…_NOT_FOUND`."""
    found = await records.get(tx, kind, *key)
    before = await store.list_superseded(tx, kind, found)
    return [(found, None), *before]
