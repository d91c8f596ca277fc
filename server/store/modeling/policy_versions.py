"""Versions of policies: the policy's own record is in force, those before it are kept here."""

from datetime import datetime
from typing import TypeVar

import msgspec

from server.domain.ids import TenantId
from server.domain.modeling.catalog import CatalogState, Kept
from server.store.modeling import edits
from server.store.modeling.records import Kind
from server.store.pool import Connection
from server.store.sql import load

SQL = load("modeling/policy_versions.sql")

MOST_VERSIONS = 100

T = TypeVar("T")


async def supersede(
    tx: Connection, tenant_id: TenantId, kind: Kind[T], found: Kept[T], wanted: T
) -> None:
    """Put another version in force, and keep what the policy said. Raises CONCURRENT_CHANGE."""
    [policy_id] = kind.key(found.content)
    await edits.save(tx, tenant_id, kind, wanted, revision=found.revision)
    content = msgspec.to_builtins(found.content, builtin_types=())
    args = (tenant_id, kind.name, policy_id, found.version, content)
    await tx.execute(SQL["keep_version"], *args)
    await tx.execute(SQL["raise_version"], tenant_id, kind.name, policy_id)


async def list_superseded(
    tx: Connection, tenant_id: TenantId, kind: Kind[T], found: Kept[T]
) -> list[tuple[Kept[T], datetime]]:
    """What a policy said before, newest first, each with when another took its place."""
    [policy_id] = kind.key(found.content)
    args = (tenant_id, kind.name, policy_id, MOST_VERSIONS - 1)
    return [
        (
            Kept(
                msgspec.convert(row["content"], type(found.content)),
                CatalogState.INACTIVE,
                found.revision,
                found.audit,
                row["version"],
            ),
            row["supersede_time"],
        )
        for row in await tx.fetch(SQL["list_versions"], *args)
    ]
