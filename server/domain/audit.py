"""The audit fields of a resource: its creation, its last change, and by whom."""

from dataclasses import dataclass
from datetime import datetime

from server.domain.ids import CredentialId


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """The times of creation and last change of a resource, and the credentials behind them.

    A credential is None where the service itself did it. What was never changed was last changed
    when it was made.
    """

    create_time: datetime
    created_by: CredentialId | None = None
    update_time: datetime
    updated_by: CredentialId | None = None

    @classmethod
    def at(cls, instant: datetime) -> "Audit":
        """Return the audit of what the service made at `instant`, and nobody changed."""
        return cls(create_time=instant, update_time=instant)
