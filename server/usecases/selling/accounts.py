"""Accounts and their binding targets: create, update, delete and list."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from server.domain.errors import Aborted, AlreadyExists, Subject
from server.domain.ids import AccountId, BindingTargetId, ResourceId
from server.domain.modeling.catalog import PolicyIds, differences
from server.domain.modeling.policies import PolicyLevel
from server.domain.selling.bindings import check_unused
from server.domain.selling.targets import TargetKind
from server.store.connection import Transaction
from server.store.modeling import records
from server.store.modeling.catalog import RESOURCE
from server.store.selling import accounts as store
from server.store.selling import binding_targets
from server.store.selling.accounts import Account, KeptAccount
from server.store.selling.binding_targets import BindingTarget
from server.usecases.modeling.records import refuse_used
from server.usecases.modeling.resolution import policies_at

MOST_USERS = 20
"""The number of quotes and orders that a refusal names, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateBindingTarget:
    """New values of a target; None keeps the old one. `revision` is the last one seen."""

    account_id: AccountId
    target_id: BindingTargetId
    display_name: str | None
    kind: TargetKind | None
    policies: Mapping[ResourceId, PolicyIds] | None
    revision: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateAccount:
    """New values of an account; None keeps the old one. `revision` is the last one seen."""

    account_id: AccountId
    display_name: str | None
    labels: dict[str, str] | None
    revision: int | None


async def create(tx: Transaction, wanted: Account) -> KeptAccount:
    """Create an account, or return the equal one that exists. Raises CODE_TAKEN."""
    await store.add(tx, wanted)
    there = await store.taken_by(tx, wanted.id)
    found = await store.get(tx, there)
    differing = ", ".join(differences(wanted, found.content))
    if differing:
        name = f"accounts/{there}"
        raise AlreadyExists(
            "CODE_TAKEN",
            f"{name} is there and differs in {differing}",
            {"name": name, "fields": differing},
            subject=Subject("Account", name),
        )
    return found


async def update(tx: Transaction, command: UpdateAccount) -> KeptAccount:
    """Change an account's name or labels. Raises ACCOUNT_NOT_FOUND, ETAG_MISMATCH."""
    found = await store.lock(tx, command.account_id)
    _check_etag("account", command.revision, found.revision)
    content = found.content
    if command.display_name is not None:
        content = replace(content, display_name=command.display_name)
    if command.labels is not None:
        content = replace(content, labels=command.labels)
    if content != found.content:
        await store.save(tx, content)
    return await store.get(tx, command.account_id)


async def create_binding_target(
    tx: Transaction, account_id: AccountId, wanted: BindingTarget
) -> BindingTarget:
    """Create a target, or return the equal one that exists.

    Raises ACCOUNT_NOT_FOUND, CODE_TAKEN, USAGE_RESOURCE_NOT_FOUND, `…_POLICY_NOT_FOUND`.
    """
    await store.get(tx, account_id)
    await _check_policies(tx, wanted.policies)
    if await binding_targets.add(tx, account_id, wanted):
        await refuse_used(tx, [binding_targets.name_of(account_id, wanted.id)])
    found = await binding_targets.find(tx, account_id, wanted.id)
    assert found is not None, wanted
    same = replace(wanted, audit=found.audit, revision=found.revision)
    differing = ", ".join(differences(same, found))
    if differing:
        name = binding_targets.name_of(account_id, found.id)
        text = f"{name} is there and differs in {differing}"
        facts = {"name": name, "fields": differing}
        raise AlreadyExists("CODE_TAKEN", text, facts, subject=Subject("BindingTarget", name))
    return found


async def update_binding_target(tx: Transaction, command: UpdateBindingTarget) -> BindingTarget:
    """Change a target: its name, and its kind and policies while nothing is bound to it.

    Raises BINDING_TARGET_NOT_FOUND, ETAG_MISMATCH, IN_USE, USAGE_RESOURCE_NOT_FOUND,
    `…_POLICY_NOT_FOUND`.
    """
    account_id = command.account_id
    found = await binding_targets.lock(tx, account_id, command.target_id)
    _check_etag("binding target", command.revision, found.revision)
    changed = replace(
        found,
        display_name=found.display_name if command.display_name is None else command.display_name,
        kind=command.kind or found.kind,
        policies=found.policies if command.policies is None else command.policies,
    )
    if changed == found:
        return found
    if (changed.kind, changed.policies) != (found.kind, found.policies):
        act = "its kind and its policies can no longer change"
        await _check_unused(tx, account_id, found, act)
        await _check_policies(tx, changed.policies)
    await binding_targets.save(tx, account_id, changed)
    return await binding_targets.get(tx, account_id, found.id)


async def delete_binding_target(
    tx: Transaction, account_id: AccountId, target_id: BindingTargetId, revision: int | None
) -> None:
    """Delete a target that nothing is bound to.

    Raises BINDING_TARGET_NOT_FOUND, ETAG_MISMATCH, IN_USE.
    """
    found = await binding_targets.lock(tx, account_id, target_id)
    _check_etag("binding target", revision, found.revision)
    await _check_unused(tx, account_id, found, "it cannot be deleted")
    await binding_targets.drop(tx, account_id, found.id)


async def _check_policies(tx: Transaction, policies: Mapping[ResourceId, PolicyIds]) -> None:
    """Raise USAGE_RESOURCE_NOT_FOUND or `…_POLICY_NOT_FOUND` for what does not exist."""
    for resource_id in policies:
        await records.get(tx, RESOURCE, resource_id)
    for ids in set(policies.values()):
        await policies_at(tx, PolicyLevel.TARGET, ids)


async def _check_unused(
    tx: Transaction, account_id: AccountId, target: BindingTarget, act: str
) -> None:
    users = await binding_targets.users(tx, account_id, target.id, limit=MOST_USERS)
    check_unused(binding_targets.name_of(account_id, target.id), users, act)


def _check_etag(what: str, seen: int | None, revision: int) -> None:
    if seen not in (None, revision):
        text = f"the {what} has changed since it was read; read it again"
        raise Aborted("ETAG_MISMATCH", text, {"etag": f'"{revision}"'})


async def list_binding_targets(
    tx: Transaction,
    account_id: AccountId,
    *,
    after: tuple[str] | None,
    limit: int,
) -> list[BindingTarget]:
    """Return an account's targets by id. Raises ACCOUNT_NOT_FOUND."""
    await store.get(tx, account_id)
    return await binding_targets.list_targets(tx, account_id, after=after, limit=limit)
