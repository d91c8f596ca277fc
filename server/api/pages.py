"""Pages: how many, after which row, and the token of the next one (AIP-158).

A token holds the key of the last row seen, each part with its type. It is sealed for one tenant,
one list and one set of filters (`server.token_seal`); anything else is refused. A page ends at its
count or at `MAX_PAGE_BYTES`, whichever comes first.
"""

import base64
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, TypeVar
from uuid import UUID

from google.protobuf.message import Message

from server.api.answers import MAX_PAGE_BYTES
from server.api.forms import fields_of
from server.domain.errors import InvalidArgument
from server.domain.ids import TenantId
from server.token_seal import TokenSeal

T = TypeVar("T")
M = TypeVar("M", bound=Message)

# The types of the parts of a key, and how each is read back from its text.
READERS: dict[type, Callable[[str], Any]] = {
    str: str,
    int: int,
    UUID: UUID,
    datetime: datetime.fromisoformat,
}
Shape = tuple[type, ...]

USUAL_SIZE, LARGEST_SIZE = 50, 1000
LONGEST_TOKEN = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What is asked for; `limit` is one row more than the page has, to see whether more follow."""

    size: int
    after: tuple[Any, ...] | None
    tenant_id: TenantId
    query: bytes

    @property
    def limit(self) -> int:
        """How many rows to fetch."""
        return self.size + 1


def read(request: Any, tenant_id: TenantId, seal: TokenSeal, shape: Shape) -> Page:
    """The page a list request asks for, of rows with keys of `shape`.

    Raises PAGE_SIZE, PAGE_TOKEN.
    """
    if request.page_size < 0:
        raise InvalidArgument.at("page_size", "PAGE_SIZE", "must not be negative")
    query = _query(request, tenant_id)
    after = _open(request.page_token, query, seal, shape) if request.page_token else None
    size = min(request.page_size or USUAL_SIZE, LARGEST_SIZE)
    return Page(size=size, after=after, tenant_id=tenant_id, query=query)


def cut(
    page: Page,
    rows: Sequence[T],
    key: Callable[[T], tuple[Any, ...]],
    render: Callable[[T], M],
    seal: TokenSeal,
) -> tuple[list[M], str]:
    """The rows of the page as messages, and the token of the next page, empty on the last."""
    found = _within(MAX_PAGE_BYTES, map(render, rows[: page.size]))
    if len(found) == len(rows):
        return found, ""
    last = [str(part) for part in key(rows[len(found) - 1])]
    body = json.dumps(last, separators=(",", ":")).encode()
    return found, base64.urlsafe_b64encode(seal.of(page.query, body) + body).decode()


def _within(most_bytes: int, messages: Iterable[M]) -> list[M]:
    """The first messages, as many as fit; at least one, so that every list comes to its end."""
    found: list[M] = []
    size = 0
    for message in messages:
        size += message.ByteSize()
        if found and size > most_bytes:
            break
        found.append(message)
    return found


def _query(request: Message, tenant_id: TenantId) -> bytes:
    fields = {k: v for k, v in fields_of(request).items() if k not in ("page_size", "page_token")}
    text = json.dumps([str(tenant_id), request.DESCRIPTOR.full_name, fields], sort_keys=True)
    return sha256(text.encode()).digest()


def _open(token: str, query: bytes, seal: TokenSeal, shape: Shape) -> tuple[Any, ...]:
    try:
        body = seal.opened(query, base64.b64decode(token[:LONGEST_TOKEN], b"-_", validate=True))
        parts = json.loads(body)
        # A release before this one may have sealed other keys.
        return tuple(READERS[kind](part) for kind, part in zip(shape, parts, strict=True))
    except (ValueError, TypeError):
        message = "is not the next_page_token of this very list"
        raise InvalidArgument.at("page_token", "PAGE_TOKEN", message) from None
