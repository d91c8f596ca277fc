"""Pages: how many, after which row, and the token of the next one (AIP-158).

A token holds the key of the last row seen. It is sealed for one tenant, one list and one set of
filters; anything else is refused. The seal's key is the tenant's own id, which callers never see.
"""

import base64
import hmac
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, TypeVar

from google.protobuf.message import Message

from server.api.forms import fields_of
from server.domain.errors import InvalidArgument
from server.domain.ids import TenantId

T = TypeVar("T")

USUAL_SIZE, LARGEST_SIZE = 50, 1000
SEAL = 16
LONGEST_TOKEN = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What is asked for; `limit` is one row more than the page has, to see whether more follow."""

    size: int
    after: tuple[str, ...] | None
    tenant_id: TenantId
    query: bytes

    @property
    def limit(self) -> int:
        """How many rows to fetch."""
        return self.size + 1


def read(request: Any, tenant_id: TenantId) -> Page:
    """The page a list request asks for. Raises PAGE_SIZE, PAGE_TOKEN."""
    if request.page_size < 0:
        raise InvalidArgument.at("page_size", "PAGE_SIZE", "must not be negative")
    query = _query(request)
    after = _open(request.page_token, tenant_id, query) if request.page_token else None
    size = min(request.page_size or USUAL_SIZE, LARGEST_SIZE)
    return Page(size=size, after=after, tenant_id=tenant_id, query=query)


def cut(
    page: Page, rows: Sequence[T], key: Callable[[T], tuple[object, ...]]
) -> tuple[Sequence[T], str]:
    """The rows of the page, and the token of the next one, empty on the last."""
    if len(rows) <= page.size:
        return rows, ""
    kept = rows[: page.size]
    return kept, _seal([str(part) for part in key(kept[-1])], page)


def _query(request: Message) -> bytes:
    fields = {k: v for k, v in fields_of(request).items() if k not in ("page_size", "page_token")}
    text = json.dumps([request.DESCRIPTOR.full_name, fields], sort_keys=True)
    return sha256(text.encode()).digest()


def _seal(key: list[str], page: Page) -> str:
    body = json.dumps(key, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_mac(body, page.tenant_id, page.query) + body).decode()


def _open(token: str, tenant_id: TenantId, query: bytes) -> tuple[str, ...]:
    try:
        sealed = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
    except ValueError:
        sealed = b""
    seal, body = sealed[:SEAL], sealed[SEAL:]
    is_ours = len(token) <= LONGEST_TOKEN and hmac.compare_digest(
        seal, _mac(body, tenant_id, query)
    )
    if not is_ours:
        message = "is not the next_page_token of this very list"
        raise InvalidArgument.at("page_token", "PAGE_TOKEN", message)
    return tuple(json.loads(body))


def _mac(body: bytes, tenant_id: TenantId, query: bytes) -> bytes:
    return hmac.new(tenant_id.bytes, query + body, sha256).digest()[:SEAL]
