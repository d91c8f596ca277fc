"""Binding targets: contracts and other objects that an account binds its grants to."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from asyncpg import Record

from server.domain.audit import Audit
from server.domain.calendar import Cadence, CadenceUnit
from server.domain.errors import NotFound
from server.domain.ids import AccountId, BindingTargetId, ResourceId
from server.domain.modeling.catalog import PolicyIds
from server.domain.selling.targets import TargetKind
from server.store.audit import audit_of
from server.store.connection import Transaction
from server.store.modeling.policies import policy_ids
from server.store.modeling.records import Kind
from server.store.sql import load

SQL = load("selling/binding_targets.sql")

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingTarget:
    """A contract or a custom target, with the policies of its wallets.

    `audit` is None until the target is stored, and `revision` 0.
    """

    id: BindingTargetId
    display_name: str
    kind: TargetKind
    policies: Mapping[ResourceId, PolicyIds] = field(default_factory=dict)
    audit: Audit | None = None
    revision: int = 0


def name_of(account_id: AccountId, target_id: str) -> str:
    """Return the resource name of a target."""
    return f"accounts/{account_id}/bindingTargets/{target_id}"


async def add(tx: Transaction, account_id: AccountId, target: BindingTarget) -> bool:
    """Insert a target; return False if its id is taken."""
    args = (tx.tenant_id, account_id, target.id, target.display_name, target.kind)
    if await tx.fetchval(SQL["add_target"], *args) is None:
        return False
    await _add_policies(tx, account_id, target)
    return True


async def _add_policies(tx: Transaction, account_id: AccountId, target: BindingTarget) -> None:
    if not target.policies:
        return
    keys = sorted(target.policies)
    policies = [target.policies[key] for key in keys]
    await tx.execute(
        SQL["add_target_policies"],
        tx.tenant_id,
        account_id,
        target.id,
        keys,
        [ids.aggregation for ids in policies],
        [ids.rating_frequency for ids in policies],
        [ids.overage for ids in policies],
        [ids.commitment for ids in policies],
        [ids.order for ids in policies],
    )


async def find(tx: Transaction, account_id: AccountId, target_id: str) -> BindingTarget | None:
    """Return the target with that id, whatever its case."""
    row = await tx.fetchrow(SQL["find_target"], tx.tenant_id, account_id, target_id)
    if row is None:
        return None
    [target] = await _with_policies(tx, account_id, [row])
    return target


async def get(tx: Transaction, account_id: AccountId, target_id: str) -> BindingTarget:
    """Return one target. Raises BINDING_TARGET_NOT_FOUND."""
    target = await find(tx, account_id, target_id)
    # The look-up ignores case, but a name must match exactly.
    if target is None or target.id != target_id:
        raise NotFound.of("BindingTarget", name_of(account_id, target_id))
    return target


async def lock(tx: Transaction, account_id: AccountId, target_id: str) -> BindingTarget:
    """Lock a target against sales, and return it. Raises BINDING_TARGET_NOT_FOUND."""
    await tx.execute(SQL["lock_target"], tx.tenant_id, account_id, target_id)
    # Read after the lock, to see what was committed while this transaction waited.
    return await get(tx, account_id, target_id)


async def lock_for_sale(tx: Transaction, account_id: AccountId, target_id: str) -> BindingTarget:
    """Lock a target against changes, and return it. Raises BINDING_TARGET_NOT_FOUND."""
    await tx.execute(SQL["lock_for_sale"], tx.tenant_id, account_id, target_id)
    return await get(tx, account_id, target_id)


async def users(
    tx: Transaction, account_id: AccountId, target_id: BindingTargetId, *, limit: int
) -> list[str]:
    """Return the names of the quotes and orders that are bound to a target, which is locked."""
    args = (tx.tenant_id, account_id, target_id, limit)
    return [row["name"] for row in await tx.fetch(SQL["target_users"], *args)]


async def save(tx: Transaction, account_id: AccountId, target: BindingTarget) -> None:
    """Update a target, which is locked."""
    key = (tx.tenant_id, account_id, target.id)
    await tx.execute(SQL["save_target"], *key, target.display_name, target.kind)
    await tx.execute(SQL["delete_target_policies"], *key)
    await _add_policies(tx, account_id, target)


async def drop(tx: Transaction, account_id: AccountId, target_id: BindingTargetId) -> None:
    """Delete a target, which is locked."""
    key = (tx.tenant_id, account_id, target_id)
    await tx.execute(SQL["delete_target_policies"], *key)
    await tx.execute(SQL["delete_target"], *key)


@dataclass(frozen=True, slots=True, kw_only=True)
class EqualTargets:
    """Targets with equal policies and equal billing periods: their number, and the first names."""

    policies: Mapping[ResourceId, PolicyIds]
    billing: Cadence
    count: int
    names: tuple[str, ...]


async def naming(tx: Transaction, kind: Kind[T], policy_id: str) -> list[EqualTargets]:
    """Return the targets of all accounts that name a policy, in groups of equal ones."""
    rows = await tx.fetch(SQL["targets_naming"], tx.tenant_id, kind.name, policy_id)
    return [
        EqualTargets(
            policies=dict(_policies_by_resource(row)),
            billing=Cadence(CadenceUnit(row["billing_unit"]), row["billing_count"]),
            count=row["targets"],
            names=tuple(row["names"]),
        )
        for row in rows
    ]


def _policies_by_resource(row: Record) -> Iterator[tuple[ResourceId, PolicyIds]]:
    ids = zip(
        row["usage_resource_ids"],
        row["aggregation_policy_ids"],
        row["rating_frequency_policy_ids"],
        row["overage_policy_ids"],
        row["commitment_policy_ids"],
        strict=True,
    )
    for resource_id, aggregation, rating_frequency, overage, commitment in ids:
        yield (
            ResourceId(resource_id),
            PolicyIds(
                aggregation=aggregation,
                rating_frequency=rating_frequency,
                overage=overage,
                commitment=commitment,
            ),
        )


async def list_targets(
    tx: Transaction,
    account_id: AccountId,
    *,
    after: tuple[str] | None,
    limit: int,
) -> list[BindingTarget]:
    """Return an account's targets by id, after the last one seen."""
    last = after[0] if after else ""
    rows = await tx.fetch(SQL["list_targets"], tx.tenant_id, account_id, last, limit)
    return await _with_policies(tx, account_id, rows)


async def _with_policies(
    tx: Transaction, account_id: AccountId, rows: Sequence[Record]
) -> list[BindingTarget]:
    ids = [row["binding_target_id"] for row in rows]
    policies: dict[str, dict[ResourceId, PolicyIds]] = {id_: {} for id_ in ids}
    for row in await tx.fetch(SQL["target_policies"], tx.tenant_id, account_id, ids):
        policies[row["binding_target_id"]][ResourceId(row["usage_resource_id"])] = policy_ids(row)
    return [_target(row, policies[row["binding_target_id"]]) for row in rows]


def _target(row: Record, policies: Mapping[ResourceId, PolicyIds]) -> BindingTarget:
    return BindingTarget(
        id=BindingTargetId(row["binding_target_id"]),
        display_name=row["display_name"],
        kind=TargetKind(row["kind"]),
        policies=policies,
        audit=audit_of(row),
        revision=row["revision"],
    )
