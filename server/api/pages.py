"""Pages: their size, the row they follow, and the token of the next one (AIP-158).

A token holds the key of the last row seen, each part with its type. It is sealed for one tenant,
one list and one set of filters (`server.runtime.token_seal`); any other use is refused. A page ends
at its count or at `MAX_PAGE_BYTES`, whichever comes first.
"""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Any, Generic, TypeVar
from uuid import UUID

from google.protobuf.message import Message

from server.api.answers import MAX_PAGE_BYTES
from server.api.reader import fields_of
from server.domain.errors import InvalidArgument
from server.domain.ids import TenantId
from server.domain.limits import value_of
from server.runtime.token_seal import TokenSeal

T = TypeVar("T")
M = TypeVar("M", bound=Message)

# The types of the parts of a key, with the function that reads each from text.
READERS: dict[type, Callable[[str], Any]] = {
    str: str,
    int: int,
    UUID: UUID,
    datetime: datetime.fromisoformat,
}
Shape = tuple[type, ...]

USUAL_SIZE, LARGEST_SIZE = 50, value_of("page.size")
LONGEST_TOKEN = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The page that a request asks for.

    `limit` is one row more than the page has, to see whether more rows follow.
    """

    size: int
    after: tuple[Any, ...] | None
    tenant_id: TenantId
    query: bytes

    @property
    def limit(self) -> int:
        """The number of rows to fetch."""
        return self.size + 1


def read(request: Any, tenant_id: TenantId, seal: TokenSeal, shape: Shape) -> Page:
    """Return the page that a list request asks for, of rows with keys of `shape`.

    Raises PAGE_SIZE_INVALID, PAGE_TOKEN_INVALID.
    """
    if request.page_size < 0:
        raise InvalidArgument.at("page_size", "PAGE_SIZE_INVALID", "must not be negative")
    query = _query(request, tenant_id)
    after = _open(request.page_token, query, seal, shape) if request.page_token else None
    size = min(request.page_size or USUAL_SIZE, LARGEST_SIZE)
    return Page(size=size, after=after, tenant_id=tenant_id, query=query)


class PageFilling(Generic[T, M]):
    """A page that is read in parts, so that no more rows are loaded than fit into it.

    The first part has as many rows as a usual page. Their size tells how many more will fit.
    """

    def __init__(
        self,
        page: Page,
        key: Callable[[T], tuple[Any, ...]],
        render: Callable[[T], M],
        seal: TokenSeal,
    ) -> None:
        self.part: Page | None = replace(page, size=min(page.size, USUAL_SIZE))
        self.messages: list[M] = []
        self.token = ""
        self._page, self._key, self._render, self._seal = page, key, render, seal
        self._bytes = 0
        self._last: T | None = None

    def add(self, rows: Sequence[T]) -> None:
        """Add the rows of `part`; one row more than its size means that others follow."""
        part, self.part = self.part, None
        assert part is not None
        for row in rows[: part.size]:
            message = self._render(row)
            size = message.ByteSize()
            # A first row is added whatever its size, so that every page makes progress.
            if self.messages and self._bytes + size > MAX_PAGE_BYTES:
                self._end()
                return
            self.messages.append(message)
            self._bytes += size
            self._last = row
        left = self._page.size - len(self.messages)
        if len(rows) > part.size and left:
            fitting = (MAX_PAGE_BYTES - self._bytes) * len(self.messages) // max(1, self._bytes)
            # The estimate may be zero; one more row ensures progress.
            self.part = replace(self._page, size=min(left, fitting + 1), after=self._last_key())
        elif len(rows) > part.size:
            self._end()

    def _end(self) -> None:
        """Set the token of the next page."""
        key = [str(part) for part in self._last_key()]
        body = json.dumps(key, separators=(",", ":")).encode()
        sealed = self._seal.of(self._page.query, body) + body
        self.token = base64.urlsafe_b64encode(sealed).decode()

    def _last_key(self) -> tuple[Any, ...]:
        assert self._last is not None
        return self._key(self._last)


def cut(
    page: Page,
    rows: Sequence[T],
    key: Callable[[T], tuple[Any, ...]],
    render: Callable[[T], M],
    seal: TokenSeal,
) -> tuple[list[M], str]:
    """Return the messages of a page of loaded rows, and the token of the next page."""
    filling = PageFilling(page, key, render, seal)
    filling.part = page
    filling.add(rows)
    return filling.messages, filling.token


def _query(request: Message, tenant_id: TenantId) -> bytes:
    # A token is valid for every page size.
    fields = {k: v for k, v in fields_of(request).items() if k not in ("page_size", "page_token")}
    text = json.dumps([str(tenant_id), request.DESCRIPTOR.full_name, fields], sort_keys=True)
    return sha256(text.encode()).digest()


def _open(token: str, query: bytes, seal: TokenSeal, shape: Shape) -> tuple[Any, ...]:
    try:
        # Cut before decoding, so that an oversized token costs little.
        body = seal.opened(query, base64.b64decode(token[:LONGEST_TOKEN], b"-_", validate=True))
        parts = json.loads(body)
        # A release before this one may have sealed other keys.
        return tuple(READERS[kind](part) for kind, part in zip(shape, parts, strict=True))
    except (ValueError, TypeError):
        message = "is not the next_page_token of this very list"
        raise InvalidArgument.at("page_token", "PAGE_TOKEN_INVALID", message) from None
