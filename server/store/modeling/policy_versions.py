"""Versions of policies: the policy's own row is the active one; this table has the earlier ones."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple, TypeVar

from server.domain.ids import PolicyId, ProductId, ResourceId
from server.domain.limits import value_of
from server.domain.modeling.catalog import CatalogState, StoredRecord
from server.domain.modeling.policy_versions import EndingVersion, version_on
from server.store.connection import Transaction
from server.store.documents import DocumentCodec
from server.store.modeling import records
from server.store.modeling.records import Kind
from server.store.sql import load

SQL = load("modeling/policy_versions.sql")

MOST_VERSIONS = value_of("policy.versions")

T = TypeVar("T")


class VersionStart(NamedTuple):
    """The beginning of a version: a time, or the local day of each buyer."""

    time: datetime
    date: date | None


class LocalDay(NamedTuple):
    """A local day, and the time at which it ends."""

    date: date
    end: datetime


async def supersede(
    tx: Transaction, kind: Kind[T], current: StoredRecord[T], new: T, since: VersionStart
) -> None:
    """Make another version active, and store the previous content. Raises CONCURRENT_CHANGE."""
    [policy_id] = kind.key(current.content)
    # First, because it locks the policy and raises if the policy has changed.
    await records.save(tx, kind, new, revision=current.revision)
    content = DocumentCodec[T](type(current.content)).encode(current.content)
    args = (tx.tenant_id, kind.name, policy_id, current.version, content, *since)
    await tx.execute(SQL["keep_version"], *args)
    await tx.execute(SQL["raise_version"], tx.tenant_id, kind.name, policy_id)


async def pending_day(tx: Transaction, kind: Kind[Any], policy_id: str, today: date) -> date | None:
    """Return the day on which the newest version of a policy begins, if it is after today."""
    found: date | None = await tx.fetchval(
        SQL["pending_day"], tx.tenant_id, kind.name, policy_id, today
    )
    return found


async def versions_at(
    tx: Transaction, kind: Kind[Any], content: type[T], ids: Iterable[PolicyId], day: LocalDay
) -> dict[PolicyId, tuple[int, T]]:
    """Return number and content of the versions in force on a day, unless they are the newest."""
    args = (tx.tenant_id, kind.name, sorted(ids), day.end, day.date)
    rows = await tx.fetch(SQL["versions_at"], *args)
    codec = DocumentCodec[T](content)
    return {
        PolicyId(row["policy_id"]): (row["version"], codec.decode(row["content"])) for row in rows
    }


async def in_force(
    tx: Transaction, kind: Kind[T], stored: Sequence[StoredRecord[T]], today: date
) -> list[StoredRecord[T]]:
    """Return policies with the contents in force today; the newest version may begin later."""
    ending = await ending_after(tx, kind, stored, today)
    return [
        version_on(one, ending.get(PolicyId(kind.key(one.content)[0]), ()), today) for one in stored
    ]


async def ending_after(
    tx: Transaction, kind: Kind[T], stored: Sequence[StoredRecord[T]], day: date
) -> dict[PolicyId, list[EndingVersion[T]]]:
    """Return the versions of policies that end on a day after `day`, by policy, oldest first."""
    revised = sorted(kind.key(one.content)[0] for one in stored if one.version > 1)
    if not revised:
        return {}
    rows = await tx.fetch(SQL["ending_after"], tx.tenant_id, kind.name, revised, day)
    codec = DocumentCodec[T](type(stored[0].content))
    found: defaultdict[PolicyId, list[EndingVersion[T]]] = defaultdict(list)
    for row in rows:
        version = EndingVersion(row["version"], codec.decode(row["content"]), row["supersede_date"])
        found[PolicyId(row["policy_id"])].append(version)
    return dict(found)


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
) -> list[tuple[StoredRecord[T], VersionStart]]:
    """Return the earlier versions of a policy, newest first, each with what replaced it."""
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
            VersionStart(row["supersede_time"], row["supersede_date"]),
        )
        for row in await tx.fetch(SQL["list_versions"], *args)
    ]
