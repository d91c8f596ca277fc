"""Credentials: keys of 256 random bits, stored as hashes."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from server.domain.access import Identity, Role, permissions_of
from server.domain.errors import NotFound
from server.domain.ids import CredentialId
from server.env import new_id
from server.store.access import credentials as store
from server.store.access.credentials import Credential, NewCredential
from server.store.connection import Transaction
from server.store.shares import SharedPool
from server.store.transaction import read, read_control

PREFIX = "usage_"
LONGEST_KEY = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateCredential:
    """The roles of a new credential, and its expiry."""

    display_name: str
    roles: tuple[Role, ...]
    expire_time: datetime | None = None


async def authenticate(pool: SharedPool, key: str, seconds: float) -> Identity | None:
    """Return the identity behind a key, or None if it is unknown, revoked or expired.

    Keys are compared by their SHA-256, so the response time reveals nothing about them.
    """
    # Bounded before hashing, so that a caller without a key cannot make the server hash long texts.
    if not key.startswith(PREFIX) or len(key) > LONGEST_KEY:
        return None
    key_hash = _hash(key)
    # Two steps: a control transaction finds the tenant of the key, and the roles are read under
    # that tenant's row-level security.
    owner = await read_control(pool, lambda tx: store.find_owner(tx, key_hash), seconds=seconds)
    if owner is None:
        return None
    tenant_id, credential_id = owner
    roles = await read(
        pool,
        tenant_id,
        lambda tx: store.find_roles(tx, credential_id),
        seconds=seconds,
    )
    if roles is None:
        return None
    return Identity(
        tenant_id=tenant_id, credential_id=credential_id, permissions=permissions_of(roles)
    )


async def create(tx: Transaction, command: CreateCredential) -> tuple[Credential, str]:
    """Create a credential. The key is only in this answer; it is not stored."""
    key = PREFIX + secrets.token_urlsafe(32)
    new = NewCredential(
        id=CredentialId(new_id()),
        key_hash=_hash(key),
        display_name=command.display_name,
        roles=command.roles,
        expire_time=command.expire_time,
    )
    made = await store.add(tx, new)
    return made, key


async def revoke(tx: Transaction, credential_id: CredentialId) -> Credential:
    """Revoke a credential; a second call changes nothing. Raises CREDENTIAL_NOT_FOUND."""
    found = await store.revoke(tx, credential_id)
    if found is None:
        raise NotFound.of("Credential", f"credentials/{credential_id}")
    return found


def _hash(key: str) -> bytes:
    return sha256(key.encode()).digest()
