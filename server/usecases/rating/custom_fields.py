"""Custom fields of rates: their definitions, and the values of rates."""

from collections.abc import Mapping

from server.domain.rating import custom_fields
from server.domain.rating.custom_fields import CustomField, check_picklist
from server.store.connection import Transaction
from server.store.rating import custom_fields as store


async def check_custom_field(tx: Transaction, wanted: CustomField) -> CustomField:
    """Return a custom field as it is stored. Raises CUSTOM_FIELD_INVALID."""
    check_picklist(wanted)
    return wanted


async def checked_values(tx: Transaction, values: Mapping[str, str], path: str) -> dict[str, str]:
    """Return the values of custom fields as they are stored. Raises CUSTOM_FIELD_INVALID."""
    fields = await store.find_all(tx, values.keys()) if values else {}
    return custom_fields.checked_values(values, fields, path)
