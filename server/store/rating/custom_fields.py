"""Custom fields of rates: their kind, and a look-up of several."""

from collections.abc import Collection

from asyncpg import Record

from server.domain.ids import CustomFieldId
from server.domain.rating.custom_fields import CustomField, CustomFieldType
from server.store.connection import Transaction
from server.store.modeling.records import Kind
from server.store.sql import load

SQL = load("rating/custom_fields.sql")


async def find_all(tx: Transaction, ids: Collection[str]) -> dict[str, CustomField]:
    """Return the custom fields that exist, by id."""
    rows = await tx.fetch(SQL["custom_fields"], tx.tenant_id, list(ids))
    return {field.id: field for field in map(_custom_field, rows)}


def _custom_field(row: Record) -> CustomField:
    return CustomField(
        id=CustomFieldId(row["custom_field_id"]),
        display_name=row["display_name"],
        type=CustomFieldType(row["type"]),
        picklist_values=tuple(row["picklist_values"]),
    )


CUSTOM_FIELD: Kind[CustomField] = Kind(
    name="CustomField",
    pattern="customFields/{}",
    table="custom_fields",
    columns=("custom_field_id", "display_name", "type", "picklist_values"),
    key=lambda record: (record.id,),
    to_row=lambda record: (
        record.id,
        record.display_name,
        record.type,
        record.picklist_values,
    ),
    from_row=_custom_field,
    fields={},
    has_states=False,
)
