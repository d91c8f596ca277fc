"""What methods of all kinds of catalogue record have in common: get one, list a page, create."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from google.protobuf.message import Message

from server.api import pages
from server.api.forms import Form
from server.api.names import Name
from server.api.work import caller, change, look
from server.domain.catalog import Kept
from server.domain.ids import TenantId
from server.env import Env
from server.store import records as store
from server.store.pool import Connection
from server.store.records import Kind
from server.usecases import records

T = TypeVar("T")
M = TypeVar("M", bound=Message)
Create = Callable[[Connection, TenantId, T], Awaitable[Kept[T]]]


async def get_record(env: Env, request: Any, kind: Kind[T], name: Name) -> Kept[T]:
    """The record that `request.name` names. Raises `…_NOT_FOUND`."""
    form = Form(request)
    key = form.name("name", name)
    form.done()
    tenant_id = caller().tenant_id
    return await look(env, lambda tx: store.get(tx, tenant_id, kind, *key))


async def list_records(
    env: Env, request: Any, kind: Kind[T], parent: Name | None = None
) -> tuple[Sequence[Kept[T]], str]:
    """A page of records by id, of `request.parent` if the kind has one, and the next token."""
    form = Form(request)
    key = form.name("parent", parent) if parent else ()
    form.done()
    tenant_id = caller().tenant_id
    page = pages.read(request, tenant_id)
    rows = await look(
        env,
        lambda tx: store.list_records(
            tx, tenant_id, kind, *key, after=page.after, limit=page.limit
        ),
    )
    return pages.cut(page, rows, lambda record: (kind.key(record.content)[-1],))


async def create_record(
    env: Env,
    request: Message,
    answer: type[M],
    create: Create[T],
    wanted: T,
    render: Callable[[Kept[T]], M],
) -> M:
    """Keep what is wanted, by a use case that knows what it must be."""
    tenant_id = caller().tenant_id
    return await change(env, request, answer, lambda tx: create(tx, tenant_id, wanted), render)


def creating(kind: Kind[T]) -> Create[T]:
    """The use case of a kind that has no rules of its own."""
    return lambda tx, tenant_id, wanted: records.create(tx, tenant_id, kind, wanted)
