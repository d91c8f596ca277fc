"""The unit of a resource: its own, else the default of its class."""

from server.domain.catalog import as_unit, default_unit
from server.domain.ids import ResourceId, TenantId
from server.domain.units import Unit
from server.store import records as store
from server.store.catalog import RESOURCE, UNIT, UNIT_CLASS
from server.store.graph import units_of_class
from server.store.pool import Connection


async def unit_of(tx: Connection, tenant_id: TenantId, resource_id: ResourceId) -> Unit | None:
    """The unit a resource's quantities are in; None while there is none. Raises `…_NOT_FOUND`."""
    resource = (await store.get(tx, tenant_id, RESOURCE, resource_id)).content
    if resource.unit_id is not None:
        return as_unit((await store.get(tx, tenant_id, UNIT, resource.unit_id)).content)
    unit_class = (await store.get(tx, tenant_id, UNIT_CLASS, resource.unit_class_id)).content
    units = [one.content for one in await units_of_class(tx, tenant_id, unit_class.id)]
    found = default_unit(unit_class, units)
    return None if found is None else as_unit(found)
