"""Grants of products: those of one resource of a product."""

from server.domain.modeling.catalog import ProductGrant, StoredRecord
from server.store.connection import Transaction
from server.store.modeling.catalog import PRODUCT_GRANT
from server.store.modeling.records import stored
from server.store.sql import load

SQL = load("modeling/product_grants.sql")


async def of_resource(
    tx: Transaction, product_id: str, held_id: str
) -> list[StoredRecord[ProductGrant]]:
    """Return the active grants of a resource of a product, by id."""
    rows = await tx.fetch(SQL["of_resource"], tx.tenant_id, product_id, held_id)
    return await stored(tx, PRODUCT_GRANT, rows)
