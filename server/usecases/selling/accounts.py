"""Accounts and their binding targets: create, update and list."""

from dataclasses import dataclass, replace

from server.domain.errors import Aborted, AlreadyExists, Subject
from server.domain.ids import AccountId
from server.domain.modeling.catalog import differences
from server.store.connection import Transaction
from server.store.selling import accounts as store
from server.store.selling import binding_targets
from server.store.selling.accounts import Account, KeptAccount
from server.store.selling.binding_targets import BindingTarget


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
    if command.revision not in (None, found.revision):
        raise Aborted(
            "ETAG_MISMATCH",
            "the account has changed since it was read; read it again",
            {"etag": f'"{found.revision}"'},
        )
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

    Raises ACCOUNT_NOT_FOUND, CODE_TAKEN.
    """
    await store.get(tx, account_id)
    await binding_targets.add(tx, account_id, wanted)
    found = await binding_targets.find(tx, account_id, wanted.id)
    assert found is not None, wanted
    differing = ", ".join(differences(replace(wanted, audit=found.audit), found))
    if differing:
        name = f"accounts/{account_id}/bindingTargets/{found.id}"
        text = f"{name} is there and differs in {differing}"
        facts = {"name": name, "fields": differing}
        raise AlreadyExists("CODE_TAKEN", text, facts, subject=Subject("BindingTarget", name))
    return found


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
