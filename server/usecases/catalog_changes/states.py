"""Changes of state of catalog records, with the rules of the products that they change."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any, TypeVar

from server.domain.batches import BatchOutcome
from server.domain.ids import ProductId
from server.domain.modeling.catalog import CatalogState, StoredRecord
from server.domain.validation.activation import check_activation
from server.store.connection import Transaction
from server.usecases.catalog_changes.activation import load_setup
from server.usecases.modeling import edits
from server.usecases.modeling.edits import ActiveCheck, Check, Record

T = TypeVar("T")


async def update(
    tx: Transaction,
    record: Record[T],
    merge: Callable[[StoredRecord[T]], T],
    checks: tuple[Check[T], ActiveCheck[T]],
) -> StoredRecord[T]:
    """Update a record; a product of which an active part changes must keep the rules.

    Raises the errors of `edits.update`, EFFECTIVITY_OVERLAP and VALIDATION_FAILED.
    """
    updated = await edits.update(tx, record, merge, *checks)
    is_part = record.kind.is_activated_with_product and len(record.key) > 1
    if is_part and updated.state is CatalogState.ACTIVE:
        check_activation(await load_setup(tx, ProductId(record.key[0]), start=date.min))
    return updated


async def change_states(
    tx: Transaction, wanted: Sequence[Record[Any]], state: CatalogState
) -> list[tuple[Record[Any], StoredRecord[Any], BatchOutcome]]:
    """Change the state of records, all or none; a product that gets one back must keep the rules.

    Raises the errors of `edits.change_states`, EFFECTIVITY_OVERLAP and VALIDATION_FAILED.
    """
    outcomes = await edits.change_states(tx, wanted, state)
    if state is CatalogState.ACTIVE:
        products = {
            record.key[0]
            for record, _, outcome in outcomes
            if record.kind.is_activated_with_product and outcome is BatchOutcome.CHANGED
        }
        for product_id in sorted(products):
            check_activation(await load_setup(tx, ProductId(product_id), start=date.min))
    return outcomes
