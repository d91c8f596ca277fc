"""The unit of a resource (its own or its class's default), and the conversion of quantities."""

from dataclasses import dataclass
from decimal import Decimal

from server.domain.errors import InvalidArgument
from server.domain.ids import ResourceId, UnitId
from server.domain.modeling.catalog import as_unit, check_money, default_unit
from server.domain.modeling.units import Unit, check_scale, convert, rounded
from server.store.connection import Transaction
from server.store.modeling import records as store
from server.store.modeling.catalog import RESOURCE, UNIT, UNIT_CLASS
from server.store.rating.product_graph import units_of_class


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertQuantity:
    """A quantity to convert from one unit to another."""

    quantity: Decimal
    unit_id: UnitId
    target_id: UnitId
    may_round: bool


async def convert_quantity(tx: Transaction, asked: ConvertQuantity) -> tuple[Decimal, bool]:
    """Return the quantity in the target unit, and whether it is exact.

    Money is not converted. Raises UNIT_OF_MEASURE_NOT_FOUND, UNIT_CLASS_MISMATCH, DECIMAL_RANGE,
    UNIT_SCALE.
    """
    source = as_unit((await store.get(tx, UNIT, asked.unit_id)).content)
    target = as_unit((await store.get(tx, UNIT, asked.target_id)).content)
    unit_class = (await store.get(tx, UNIT_CLASS, source.class_id)).content
    check_money(unit_class, source, target)
    try:
        found = convert(asked.quantity, source, target)
        check_scale(found, target)
    except InvalidArgument as error:
        if not asked.may_round or error.reason != "UNIT_SCALE":
            raise
        return rounded(asked.quantity, source, target), False
    return found, True


async def unit_of(tx: Transaction, resource_id: ResourceId) -> Unit | None:
    """Return the unit of a resource's quantities, or None. Raises `…_NOT_FOUND`."""
    resource = (await store.get(tx, RESOURCE, resource_id)).content
    if resource.unit_id is not None:
        return as_unit((await store.get(tx, UNIT, resource.unit_id)).content)
    unit_class = (await store.get(tx, UNIT_CLASS, resource.unit_class_id)).content
    units = [one.content for one in await units_of_class(tx, unit_class.id)]
    found = default_unit(unit_class, units)
    return None if found is None else as_unit(found)
