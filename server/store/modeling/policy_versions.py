"""Versions of policies: the policy's own row is the active one; this table has the earlier ones."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, TypeVar

from server.domain.ids import PolicyId, ProductId, ResourceId
from server.domain.limits import value_of
from server.domain.modeling.catalog import CatalogState, StoredRecord
from server.store.connection import Transaction
from server.store.documents import DocumentCodec
from server.store.modeling import records
from server.store.modeling.records import Kind
from server.store.sql import load

SQL = load("modeling/policy_versions.sql")

MOST_VERSIONS = value_of("policy.versions")

T = TypeVar("T")


async def supersede(
    tx: Transaction, kind: Kind[T], current: StoredRecord[T], new: T, at: datetime
) -> None:
    """Make another version active from `at` on, and store the previous content.

    Raises CONCURRENT_CHANGE.
    """
    [policy_id] = kind.key(current.content)
    # First, because it locks the policy and raises if the policy has changed.
    await records.save(tx, kind, new, revision=current.revision)
    content = DocumentCodec[T](type(current.content)).encode(current.content)
    args = (tx.tenant_id, kind.name, policy_id, current.version, content, at)
    await tx.execute(SQL["keep_version"], *args)
    await tx.execute(SQL["raise_version"], tx.tenant_id, kind.name, policy_id)


async def versions_at(
    tx: Transaction, kind: Kind[Any], content: type[T], ids: Iterable[PolicyId], at: datetime
) -> dict[PolicyId, tuple[int, T]]:
    """Return number and content of the versions in force just before `at`, unless still current."""
    rows = await tx.fetch(SQL["versions_at"], tx.tenant_id, kind.name, sorted(ids), at)
    codec = DocumentCodec[T](content)
    return {
        PolicyId(row["policy_id"]): (row["version"], codec.decode(row["content"])) for row in rows
    }


async def users(tx: Transaction, kind: Kind[T], policy_id: str) -> list[ProductId]:
    """Return the active products that refer to a policy, by id."""
    rows = await tx.fetch(SQL["users"], tx.tenant_id, kind.name, policy_id)
    return [ProductId(row["product_id"]) for row in rows]


async def anchors_of(tx: Transaction, resource_ids: Iterable[ResourceId]) -> list[ProductId]:
    """Return the active anchors that meter some of these resources, by id."""
    rows = await tx.fetch(SQL["anchors_of"], tx.tenant_id, sorted(set(resource_ids)))
    return [ProductId(row["product_id"]) for row in rows]


async def list_superseded(
    tx: Transaction, kind: Kind[T], current: StoredRecord[T]
) -> list[tuple[StoredRecord[T], datetime]]:
    """Return the earlier versions of a policy, newest first, each with its end time."""
    [policy_id] = kind.key(current.content)
    codec = DocumentCodec[T](type(current.content))
    # One less, because the current version is the policy's own row.
    args = (tx.tenant_id, kind.name, policy_id, MOST_VERSIONS - 1)
    return [
        (
            StoredRecord(
                codec.decode(row["content"]),
                CatalogState.INACTIVE,
                current.revision,
                current.audit,
                row["version"],
            ),
            row["supersede_time"],
        )
        for row in await tx.fetch(SQL["list_versions"], *args)
    ]
