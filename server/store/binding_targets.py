"""Binding targets: contracts and whatever else an account binds its grants to."""

from dataclasses import dataclass
from datetime import datetime

from asyncpg import Record

from server.domain.errors import NotFound
from server.domain.ids import AccountId, BindingTargetId, TenantId
from server.domain.targets import TargetKind
from server.store.pool import Connection
from server.store.sql import load

SQL = load("binding_targets.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingTarget:
    """A contract, or a target of the caller's own; `create_time` is absent until it is kept."""

    id: BindingTargetId
    display_name: str
    kind: TargetKind
    create_time: datetime | None = None


async def add(
    tx: Connection, tenant_id: TenantId, account_id: AccountId, target: BindingTarget
) -> None:
    """Keep a new target, unless its id is taken."""
    args = (tenant_id, account_id, target.id, target.display_name, target.kind)
    await tx.execute(SQL["add_target"], *args)


async def find(
    tx: Connection, tenant_id: TenantId, account_id: AccountId, target_id: str
) -> BindingTarget | None:
    """The target of that id, in whatever case."""
    row = await tx.fetchrow(SQL["find_target"], tenant_id, account_id, target_id)
    return None if row is None else _target(row)


async def get(
    tx: Connection, tenant_id: TenantId, account_id: AccountId, target_id: str
) -> BindingTarget:
    """One target. Raises BINDING_TARGET_NOT_FOUND."""
    found = await find(tx, tenant_id, account_id, target_id)
    if found is None or found.id != target_id:
        name = f"accounts/{account_id}/bindingTargets/{target_id}"
        raise NotFound.of("BindingTarget", name)
    return found


async def kind_of(
    tx: Connection, tenant_id: TenantId, account_id: AccountId, target_id: str
) -> TargetKind:
    """What kind a target is. Raises BINDING_TARGET_NOT_FOUND."""
    return (await get(tx, tenant_id, account_id, target_id)).kind


async def list_targets(
    tx: Connection,
    tenant_id: TenantId,
    account_id: AccountId,
    *,
    after: tuple[str, ...] | None,
    limit: int,
) -> list[BindingTarget]:
    """An account's targets by id, after the last one seen."""
    last = after[0] if after else ""
    rows = await tx.fetch(SQL["list_targets"], tenant_id, account_id, last, limit)
    return [_target(row) for row in rows]


def _target(row: Record) -> BindingTarget:
    return BindingTarget(
        id=BindingTargetId(row["binding_target_id"]),
        display_name=row["display_name"],
        kind=TargetKind(row["kind"]),
        create_time=row["create_time"],
    )
