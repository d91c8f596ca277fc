"""Edits of the catalogue: other content, another state, no record any more.

Each is done only if the record still is what was looked at, and says whether it was.
"""

from typing import TypeVar

import asyncpg

from server.domain.errors import Aborted, FailedPrecondition
from server.domain.modeling.catalog import CatalogState, StoredRecord
from server.store.connection import Transaction
from server.store.modeling.records import Kind
from server.store.sql import load

SQL = load("modeling/edits.sql")

T = TypeVar("T")

MOST_REFERRERS = 20


async def save(tx: Transaction, kind: Kind[T], content: T, *, revision: int) -> None:
    """Keep other content under the id. Raises CONCURRENT_CHANGE."""
    check_done(await tx.execute(kind.save, tx.tenant_id, *kind.to_row(content), revision))


async def drop(tx: Transaction, kind: Kind[T], record: StoredRecord[T]) -> None:
    """Forget a record. Raises CONCURRENT_CHANGE, and IN_USE when something was sold under it."""
    key = kind.key(record.content)
    try:
        done = await tx.execute(kind.drop, tx.tenant_id, *key, record.revision)
    except asyncpg.ForeignKeyViolationError as error:
        name = kind.resource_name(*key)
        text = f"{name} was quoted or sold, so it stays; it is out of force for new sales"
        raise FailedPrecondition("IN_USE", text, {"name": name}) from error
    check_done(done)


async def move(
    tx: Transaction, kind: Kind[T], record: StoredRecord[T], state: CatalogState
) -> None:
    """Put a record in another state. Raises CONCURRENT_CHANGE."""
    key = kind.key(record.content)
    check_done(await tx.execute(kind.move, tx.tenant_id, *key, state, record.revision))


async def referrers(tx: Transaction, kind: Kind[T], *key: str) -> list[tuple[str, str]]:
    """The names and states of what refers to a record, at most one more than are ever named."""
    second = key[1] if len(key) > 1 else None
    rows = await tx.fetch(SQL["referrers"], tx.tenant_id, kind.name, key[0], second)
    return [(row["name"], row["state"]) for row in rows]


async def tokens_of(tx: Transaction, product_id: str) -> list[tuple[str, str]]:
    """The resources of a product that are rated in a token, each with its token."""
    rows = await tx.fetch(SQL["tokens_of"], tx.tenant_id, product_id)
    return [(row["usage_resource_id"], row["token_resource_id"]) for row in rows]


def check_done(done: str, *, count: int = 1) -> None:
    """Raise CONCURRENT_CHANGE when a command touched fewer rows than were looked at."""
    if done != f"{done.split(maxsplit=1)[0]} {count}":
        raise Aborted("CONCURRENT_CHANGE", "somebody else changed it at this moment; try again")
