"""The names of catalog records that a quote or a sale refers to. They are never given again."""

from collections.abc import Iterable

from server.store.connection import Transaction
from server.store.sql import load

SQL = load("modeling/used_records.sql")


async def add(tx: Transaction, names: Iterable[str]) -> None:
    """Mark records as used."""
    await tx.execute(SQL["add_used"], tx.tenant_id, sorted({name.lower() for name in names}))


async def used(tx: Transaction, names: Iterable[str]) -> list[str]:
    """Return those of the names that are used, in any case, sorted."""
    by_lower = {name.lower(): name for name in names}
    rows = await tx.fetch(SQL["used"], tx.tenant_id, sorted(by_lower))
    return sorted(by_lower[row["name"]] for row in rows)
