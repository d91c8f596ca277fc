"""The audit columns of a row: the columns that the database fills by itself.

The begin of a transaction names the credential (`server.store.pool.begin`), a column default notes
it with a new row, and the trigger `change_is_noted` with a change that callers can see.
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
    """Return a credential of a row; None where the service acted by itself."""
    return None if value is None else CredentialId(value)
