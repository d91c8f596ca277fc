"""The audit columns of a row, which the database fills by itself.

A transaction begins with the id of the caller's credential (`server.store.pool.begin`). A column
default writes it into a new row, and the trigger `change_is_noted` into a changed row.
"""

from uuid import UUID

from asyncpg import Record

from server.domain.audit import Audit
from server.domain.ids import CredentialId


def audit_of(row: Record) -> Audit:
    """Return who made and changed a row, and when."""
    changed = row["update_time"]
    maker, changer = row["created_by"], row["updated_by"]
    return Audit(
        create_time=row["create_time"],
        created_by=credential_id(maker),
        update_time=changed or row["create_time"],
        updated_by=credential_id(maker if changed is None else changer),
    )


def credential_id(value: UUID | None) -> CredentialId | None:
    """Return the credential id of a row; None if the service itself made the change."""
    return None if value is None else CredentialId(value)
