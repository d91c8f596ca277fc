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

    `audit` is None until the target is stored.
    """

    id: BindingTargetId
    display_name: str
    kind: TargetKind
    policies: Mapping[ResourceId, PolicyIds] = field(default_factory=dict)
    audit: Audit | None = None


async def add(tx: Transaction, account_id: AccountId, target: BindingTarget) -> None:
    """Insert a target, unless its id is taken."""
    args = (tx.tenant_id, account_id, target.id, target.display_name, target.kind)
    if await tx.fetchval(SQL["add_target"], *args) is None or not target.policies:
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
        name = f"accounts/{account_id}/bindingTargets/{target_id}"
        raise NotFound.of("BindingTarget", name)
    return target


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
    )
