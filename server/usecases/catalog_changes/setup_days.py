"""The days of a setup's records, which successions have changed since the file was written.

A succession ends the record in force on the day on which its successor begins. A file that was
written before describes the record with its old end; applying it again changes nothing.
"""

from dataclasses import replace
from datetime import date
from typing import Any, TypeVar

from server.domain.ids import ProductId, ProductResourceId, ResourceId
from server.domain.modeling.catalog import CatalogState, ProductGrant, ProductResource
from server.domain.rating.rate_cards import RateCardEntry
from server.store.connection import Transaction
from server.store.modeling import records
from server.store.modeling.catalog import PRODUCT_GRANT, PRODUCT_RESOURCE
from server.store.modeling.records import Kind
from server.store.rating import rate_entries

T = TypeVar("T")

PAGE = 1_000


async def with_end_of_succession(tx: Transaction, kind: Kind[T], wanted: T) -> T:
    """Return a record with the end that a succession has set; without one, as it is."""
    if not isinstance(wanted, RateCardEntry | ProductResource | ProductGrant):
        return wanted
    found = await records.find(tx, kind, *kind.key(wanted))
    return wanted if found is None else await with_end_of(tx, kind, wanted, found.content)


async def with_end_of(tx: Transaction, kind: Kind[T], wanted: T, there: T) -> T:
    """Return a record with the end of another one, if that has a successor before it would end."""
    name = kind.dates[1]
    end: date | None = getattr(there, name)
    later: date | None = getattr(wanted, name)
    if end is None or (later is not None and later <= end):
        return wanted
    if end not in await _first_days(tx, there):
        return wanted
    return replace(wanted, **{name: end})  # type: ignore[type-var] # contents are dataclasses


async def _first_days(tx: Transaction, there: object) -> set[date | None]:
    """Return the first days of the active records that a record may have as its successor."""
    match there:
        case RateCardEntry():
            priced = await rate_entries.in_force(tx, [(there.product_id, there.resource_id)])
            return {entry.start for entry in priced if entry.prices == there.prices}
        case ProductResource():
            held = await _active(tx, PRODUCT_RESOURCE, there.product_id)
            return {one.start_date for one in held if one.resource_id == there.resource_id}
        case ProductGrant():
            resources = await _resources(tx, there.product_id)
            grants = await _active(tx, PRODUCT_GRANT, there.product_id)
            place = _place(there, resources)
            return {one.start_date for one in grants if _place(one, resources) == place}
    return set()


def _place(grant: ProductGrant, resources: dict[ProductResourceId, ResourceId]) -> object:
    return resources[grant.held_id], grant.type, grant.selling_model_id


async def _resources(tx: Transaction, product_id: ProductId) -> dict[ProductResourceId, ResourceId]:
    """Return the usage resources of a product by the ids of its records, in any state."""
    found = await records.list_records(tx, PRODUCT_RESOURCE, product_id, after=None, limit=PAGE)
    return {record.content.id: record.content.resource_id for record in found}


async def _active(tx: Transaction, kind: Kind[Any], product_id: ProductId) -> list[Any]:
    found = await records.list_records(
        tx, kind, product_id, after=None, limit=PAGE, filters=(CatalogState.ACTIVE,)
    )
    return [record.content for record in found]
