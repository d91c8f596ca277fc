"""The records that prevent the edit of a catalog record."""

from typing import TypeVar

from server.store.connection import Transaction
from server.store.modeling.records import Kind
from server.store.sql import load

SQL = load("modeling/edits.sql")

T = TypeVar("T")

MOST_REFERRERS = 20


async def referrers(
    tx: Transaction,
    kind: Kind[T],
    *key: str,
    only_active: bool = False,
    after: str = "",
    limit: int = MOST_REFERRERS + 1,
    with_targets: bool = True,
) -> list[tuple[str, str]]:
    """Return the names and states of the records that refer to one, by name.

    With `only_active`, they are those that it cannot be withdrawn from: active records, except
    rates and binding targets. Without `with_targets`, binding targets are left out.
    Without a limit of its own, the list has one more than the number that an error names.
    """
    second = key[1] if len(key) > 1 else None
    args = (tx.tenant_id, kind.name, key[0], second, after, limit, only_active, with_targets)
    return [(row["name"], row["state"]) for row in await tx.fetch(SQL["referrers"], *args)]


async def count_targets(tx: Transaction, kind: Kind[T], *key: str) -> int:
    """Return the number of binding targets that refer to a record."""
    found: int = await tx.fetchval(SQL["count_targets"], tx.tenant_id, kind.name, key[0])
    return found


async def tokens_of(tx: Transaction, product_id: str) -> list[tuple[str, str]]:
    """Return the resources of a product that are rated in a token, each with its token."""
    rows = await tx.fetch(SQL["tokens_of"], tx.tenant_id, product_id)
    return [(row["usage_resource_id"], row["token_resource_id"]) for row in rows]
