"""Seeds: the first catalog records of a new tenant."""

from collections.abc import Sequence

from server.domain.modeling.catalog import UnitClass, UnitOfMeasure
from server.store.connection import Transaction
from server.store.sql import load

SQL = load("modeling/seeds.sql")


async def add(
    tx: Transaction,
    classes: Sequence[UnitClass],
    units: Sequence[UnitOfMeasure],
) -> None:
    """Insert active classes and units, unless their ids exist."""
    await tx.execute(
        SQL["add_classes"],
        tx.tenant_id,
        [record.id for record in classes],
        [record.display_name for record in classes],
        [record.kind for record in classes],
        [record.default_unit_id for record in classes],
    )
    await tx.execute(
        SQL["add_units"],
        tx.tenant_id,
        [record.id for record in units],
        [record.display_name for record in units],
        [record.unit_class_id for record in units],
        [record.factor for record in units],
        [record.divisor for record in units],
        [record.scale for record in units],
        [record.sequence for record in units],
    )
