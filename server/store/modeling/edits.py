"""Edits of catalog records: update, delete, and change of state.

Each edit compares the revision that the caller read, and raises CONCURRENT_CHANGE if it changed.
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
    """Update the content of a record. Raises CONCURRENT_CHANGE."""
    check_done(await tx.execute(kind.save, tx.tenant_id, *kind.to_row(content), revision))


async def drop(tx: Transaction, kind: Kind[T], record: StoredRecord[T]) -> None:
    """Delete a record. Raises CONCURRENT_CHANGE, and IN_USE if something was sold under it."""
    key = kind.key(record.content)
    try:
        done = await tx.execute(kind.drop, tx.tenant_id, *key, record.revision)
    # Deleting is the check: a sale made after an earlier look would be missed.
    except asyncpg.ForeignKeyViolationError as error:
        name = kind.resource_name(*key)
        text = f"{name} was quoted or sold, so it cannot be deleted; it is inactive for new sales"
        raise FailedPrecondition("IN_USE", text, {"name": name}) from error
    check_done(done)


async def move(
    tx: Transaction, kind: Kind[T], record: StoredRecord[T], state: CatalogState
) -> None:
    """Set the state of a record. Raises CONCURRENT_CHANGE."""
    key = kind.key(record.content)
    check_done(await tx.execute(kind.move, tx.tenant_id, *key, state, record.revision))


async def referrers(tx: Transaction, kind: Kind[T], *key: str) -> list[tuple[str, str]]:
    """Return the names and states of the records that refer to one.

    The list has at most one more than the number that an error names.
    """
    second = key[1] if len(key) > 1 else None
    rows = await tx.fetch(SQL["referrers"], tx.tenant_id, kind.name, key[0], second)
    return [(row["name"], row["state"]) for row in rows]


async def tokens_of(tx: Transaction, product_id: str) -> list[tuple[str, str]]:
    """Return the resources of a product that are rated in a token, each with its token."""
    rows = await tx.fetch(SQL["tokens_of"], tx.tenant_id, product_id)
    return [(row["usage_resource_id"], row["token_resource_id"]) for row in rows]


def check_done(done: str, *, count: int = 1) -> None:
    """Raise CONCURRENT_CHANGE if a command did not change exactly `count` rows."""
    # A command tag is the command and the number of rows, as in `UPDATE 1`.
    if done != f"{done.split(maxsplit=1)[0]} {count}":
        raise Aborted(
            "CONCURRENT_CHANGE", "another call changed the record at the same time; try again"
        )
