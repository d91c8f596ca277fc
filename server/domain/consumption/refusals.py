"""Refused records: the last of a tenant are kept, so that they can be found and corrected."""

from dataclasses import dataclass
from datetime import datetime

from server.domain.ids import AccountId, CredentialId

# The refusals kept of a tenant, and of one call.
MOST_KEPT = 1_000
MOST_OF_A_CALL = 100
# Longer texts than those of valid names are cut.
LONGEST = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A refused record, with its texts as sent, and the serialized status of its outcome.

    `account_id` is empty if it could not be read. The time and the credential are those of the
    stored refusal.
    """

    account_id: AccountId
    record_id: str
    asset: str
    usage_resource: str
    reason: str
    status: bytes
    content_hash: bytes
    time: datetime | None = None
    credential_id: CredentialId | None = None
