"""The audit fields of a resource: its creation, its last change, and by whom."""

from dataclasses import dataclass
from datetime import datetime

from server.domain.ids import CredentialId


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """The times of creation and last change of a resource, and the credentials behind them.

    A credential is None if the service itself made the change. The last change of an unchanged
    resource is its creation.
    """

    create_time: datetime
    created_by: CredentialId | None = None
    update_time: datetime
    updated_by: CredentialId | None = None

    @classmethod
    def at(cls, instant: datetime) -> "Audit":
        """Return the audit fields of a resource that the service creates at `instant`."""
        return cls(create_time=instant, update_time=instant)
