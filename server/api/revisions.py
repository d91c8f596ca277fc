"""Revision tokens: which state of a tenant's rates a change made, for whoever asks afterwards.

A token says a revision of the catalogue and is sealed for one tenant (`server.runtime.token_seal`).
Of two, the one that sorts later is the later. What assets were sold under is read from the database
at every call, so the token of an order needs no number of its own.
"""

import re

from server.domain.errors import InvalidArgument
from server.domain.ids import TenantId
from server.runtime.token_seal import TokenSeal

METADATA_KEY = "usage-revision-token"
# After a change of these services the catalogue or an asset may cost something else.
SERVICES = frozenset(
    f"usage_management.v1.{name}Service"
    for name in ("Asset", "Catalog", "Order", "Policy", "Procedure", "Rate", "Setup")
)
_FORM = re.compile(r"r1-([0-9a-f]{16})-([0-9a-f]{32})", re.ASCII)


def is_noted(method: str) -> bool:
    """Whether the changes of `/{service}/{method}` answer with a token."""
    return method[1:].partition("/")[0] in SERVICES


def token_of(seal: TokenSeal, tenant_id: TenantId, revision: int) -> str:
    """The token of a revision of a tenant's catalogue."""
    body = f"{revision:016x}"
    return f"r1-{body}-{seal.of(_purpose(tenant_id), body.encode()).hex()}"


def revision_in(seal: TokenSeal, token: str, tenant_id: TenantId) -> int:
    """The revision that a token says. Raises REVISION_TOKEN_INVALID."""
    found = _FORM.fullmatch(token)
    if found is None or not seal.is_of(
        bytes.fromhex(found[2]), _purpose(tenant_id), found[1].encode()
    ):
        raise refused("is not a token that this tenant was given")
    return int(found[1], 16)


def refused(fault: str) -> InvalidArgument:
    """The refusal of a token."""
    return InvalidArgument.at("revision_token", "REVISION_TOKEN_INVALID", fault)


def _purpose(tenant_id: TenantId) -> bytes:
    return b"revision" + tenant_id.bytes
