"""Credentials: looked up by the hash of their key."""

from dataclasses import dataclass
from datetime import datetime

from asyncpg import Record

from server.domain.access import Role
from server.domain.audit import Audit
from server.domain.ids import CredentialId, TenantId
from server.store.audit import audit_of
from server.store.connection import ControlTransaction, Transaction
from server.store.sql import load

SQL = load("access/credentials.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """The row of a credential, without its key."""

    id: CredentialId
    display_name: str
    roles: tuple[Role, ...]
    expire_time: datetime | None
    audit: Audit
    revoke_time: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCredential:
    """A credential to insert, with the SHA-256 of its key."""

    id: CredentialId
    key_hash: bytes
    display_name: str
    roles: tuple[Role, ...]
    expire_time: datetime | None


async def find_owner(
    connection: ControlTransaction, key_hash: bytes
) -> tuple[TenantId, CredentialId] | None:
    """Return the tenant and the credential of a key, even if it was revoked or has expired."""
    # No tenant is known yet, so a function of the database looks across all tenants.
    row = await connection.fetchrow(SQL["tenant_of_credential"], key_hash)
    return None if row is None else (TenantId(row["tenant_id"]), CredentialId(row["credential_id"]))


async def find_roles(tx: Transaction, credential_id: CredentialId) -> tuple[Role, ...] | None:
    """Return the roles of a credential; None if it was revoked or has expired."""
    roles = await tx.fetchval(SQL["find_live"], tx.tenant_id, credential_id)
    return None if roles is None else tuple(Role(role) for role in roles)


async def add(tx: Transaction, new: NewCredential) -> Credential:
    """Insert a credential and return it."""
    row = await tx.fetchrow(
        SQL["add_credential"],
        tx.tenant_id,
        new.id,
        new.key_hash,
        new.display_name,
        list(new.roles),
        new.expire_time,
    )
    assert row is not None
    return _credential(row)


async def revoke(tx: Transaction, credential_id: CredentialId) -> Credential | None:
    """Revoke a credential permanently; None if it does not exist."""
    row = await tx.fetchrow(SQL["revoke_credential"], tx.tenant_id, credential_id)
    return None if row is None else _credential(row)


async def count(tx: Transaction) -> int:
    """Return the number of usable credentials: neither revoked nor expired."""
    number: int = await tx.fetchval(SQL["count_credentials"], tx.tenant_id)
    return number


def _credential(row: Record) -> Credential:
    return Credential(
        id=CredentialId(row["credential_id"]),
        display_name=row["display_name"],
        roles=tuple(Role(role) for role in row["roles"]),
        expire_time=row["expire_time"],
        audit=audit_of(row),
        revoke_time=row["revoke_time"],
    )
