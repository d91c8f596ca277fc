"""Revision tokens: a token names the catalog revision that a change made.

A token is sealed for one tenant (`server.runtime.token_seal`). Later revisions sort after earlier
ones. The rates that assets were sold under are read from the database at every call, so the token
of an order needs no number of its own.
"""

import re

from server.domain.errors import InvalidArgument
from server.domain.ids import TenantId
from server.runtime.token_seal import TokenSeal

METADATA_KEY = "usage-revision-token"
# A change through these services may change a rate.
SERVICES = frozenset(
    f"usage_management.v1.{name}Service"
    for name in ("Asset", "Catalog", "Order", "Policy", "Procedure", "Rate", "Setup")
)
_FORM = re.compile(r"r1-([0-9a-f]{16})-([0-9a-f]{32})", re.ASCII)


def is_noted(method: str) -> bool:
    """Return True if the changes of `/{service}/{method}` answer with a token."""
    return method[1:].partition("/")[0] in SERVICES


def token_of(seal: TokenSeal, tenant_id: TenantId, revision: int) -> str:
    """Return the token of a revision of a tenant's catalog."""
    # Of fixed width, so that tokens sort by revision.
    body = f"{revision:016x}"
    return f"r1-{body}-{seal.of(_purpose(tenant_id), body.encode()).hex()}"


def revision_in(seal: TokenSeal, token: str, tenant_id: TenantId) -> int:
    """Return the revision in a token. Raises REVISION_TOKEN_INVALID."""
    match = _FORM.fullmatch(token)
    if match is None or not seal.is_of(
        bytes.fromhex(match[2]), _purpose(tenant_id), match[1].encode()
    ):
        raise refused("is not a token that this tenant was given")
    return int(match[1], 16)


def refused(fault: str) -> InvalidArgument:
    """Return the refusal of a token."""
    return InvalidArgument.at("revision_token", "REVISION_TOKEN_INVALID", fault)


def _purpose(tenant_id: TenantId) -> bytes:
    return b"revision" + tenant_id.bytes
