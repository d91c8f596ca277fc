"""Access: the permissions of each role, and the identity behind a key.

This table is the only definition; permissions are the words that the methods of the protos require.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from server.domain.errors import PermissionDenied
from server.domain.ids import CredentialId, TenantId


class Role(StrEnum):
    """A role of a credential; the permissions of several roles add up."""

    OPERATOR = "OPERATOR"
    ADMIN = "ADMIN"
    DESIGNER = "DESIGNER"
    RATE_MANAGER = "RATE_MANAGER"
    RUN_TIME_USER = "RUN_TIME_USER"
    WALLET_USER = "WALLET_USER"
    COLLECTOR = "COLLECTOR"
    APPROVER = "APPROVER"


_READ_CATALOG = {"tenant.read", "catalog.read", "rates.read", "rates.discover"}
_READ_RUN_TIME = {
    "tenant.read",
    "accounts.read",
    "sales.read",
    "usage.read",
    "wallets.read",
    "summaries.read",
    "runs.read",
}
_WRITE_CATALOG = {"catalog.write", "catalog.activate"}
_SET_UP = {"catalog.setup"}  # writes and activates the catalog, and writes rates
_WRITE_RATES = {"rates.write"}
_WRITE_RUN_TIME = {
    "accounts.write",
    "sales.write",
    "sales.activate",
    "usage.record",
    "usage.correct",
    "summaries.write",
}
_APPROVE = {"sales.approve"}
_ADMINISTER = {"tenant.write", "credentials.write", "clock.advance", "runs.write"}

PERMISSIONS: dict[Role, frozenset[str]] = {
    Role.OPERATOR: frozenset(
        {
            "tenants.read",
            "tenants.write",
            "tenant.read",
            "tenant.write",
            "credentials.write",
            "runs.read",
        }
    ),
    Role.ADMIN: frozenset(
        _READ_CATALOG
        | _READ_RUN_TIME
        | _WRITE_CATALOG
        | _SET_UP
        | _WRITE_RATES
        | _WRITE_RUN_TIME
        | _APPROVE
        | _ADMINISTER
    ),
    Role.DESIGNER: frozenset(
        _READ_CATALOG | _READ_RUN_TIME | _WRITE_CATALOG | _SET_UP | _WRITE_RATES
    ),
    Role.RATE_MANAGER: frozenset(_READ_CATALOG | _WRITE_RATES | {"runs.read"}),
    Role.RUN_TIME_USER: frozenset(_READ_CATALOG | _READ_RUN_TIME | _WRITE_RUN_TIME),
    Role.WALLET_USER: frozenset({"tenant.read", "accounts.read", "wallets.read", "summaries.read"}),
    Role.COLLECTOR: frozenset({"usage.record"}),
    Role.APPROVER: frozenset(_READ_CATALOG | _READ_RUN_TIME | _APPROVE),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The tenant and credential of a key, and their permissions."""

    tenant_id: TenantId
    credential_id: CredentialId
    permissions: frozenset[str]


def permissions_of(roles: Iterable[Role]) -> frozenset[str]:
    """Return the permissions of several roles together."""
    return frozenset().union(*(PERMISSIONS[role] for role in roles))


def is_operator(permissions: frozenset[str]) -> bool:
    """Return whether the permissions reach across tenants."""
    return "tenants.write" in permissions


def refuse_escalation(own: frozenset[str], roles: Iterable[Role], *, is_own_tenant: bool) -> None:
    """Raise ESCALATION if a caller would give permissions that it does not have.

    An operator may give any role except OPERATOR in other tenants.
    """
    for role in roles:
        beyond = PERMISSIONS[role] - own
        is_theirs = role is not Role.OPERATOR or is_own_tenant
        if not is_theirs or (beyond and not is_operator(own)):
            raise PermissionDenied(
                "ESCALATION",
                f"a credential with the role {role} could do what you may not give",
                {"role": role, "permissions": ", ".join(sorted(beyond))[:200]},
            )
