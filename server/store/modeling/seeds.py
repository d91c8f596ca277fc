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
        [one.id for one in classes],
        [one.display_name for one in classes],
        [one.kind for one in classes],
        [one.default_unit_id for one in classes],
    )
    await tx.execute(
        SQL["add_units"],
        tx.tenant_id,
        [one.id for one in units],
        [one.display_name for one in units],
        [one.unit_class_id for one in units],
        [one.factor for one in units],
        [one.scale for one in units],
        [one.sequence for one in units],
    )
