"""Custom fields: what a tenant defines for its rates, and the values that are of their types."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from server.domain.errors import InvalidArgument, Violation
from server.domain.exact import DecimalError, parse_decimal, plain
from server.domain.ids import CustomFieldId

LONGEST_TEXT = 1_000


class CustomFieldType(StrEnum):
    """The type of the values of a custom field."""

    TEXT = "TEXT"
    NUMBER = "NUMBER"
    CHECKBOX = "CHECKBOX"
    DAY = "DAY"
    PERCENT = "PERCENT"
    AMOUNT_OF_MONEY = "AMOUNT_OF_MONEY"
    PICKLIST = "PICKLIST"


NUMBERS = frozenset(
    {CustomFieldType.NUMBER, CustomFieldType.PERCENT, CustomFieldType.AMOUNT_OF_MONEY}
)
FORMS = {
    CustomFieldType.TEXT: f"must have 1 to {LONGEST_TEXT} characters, without control characters",
    CustomFieldType.CHECKBOX: "must be true or false",
    CustomFieldType.DAY: "must be a day, such as 2024-01-31",
}
NUMBER_FORM = "must be a number, with at most 26 digits before the point and 12 after it"


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomField:
    """A field that a tenant defines; only a picklist has values to choose from."""

    id: CustomFieldId
    display_name: str
    type: CustomFieldType
    picklist_values: tuple[str, ...] = ()


def check_picklist(field: CustomField) -> None:
    """Raise CUSTOM_FIELD_INVALID for a picklist without values, or for values of another type."""
    is_picklist = field.type is CustomFieldType.PICKLIST
    if is_picklist != bool(field.picklist_values):
        fault = "are required for a picklist" if is_picklist else "are for picklists only"
        path = "custom_field.picklist_values"
        raise InvalidArgument.at(path, "CUSTOM_FIELD_INVALID", fault)


def checked_values(
    values: Mapping[str, str], fields: Mapping[str, CustomField], path: str
) -> dict[str, str]:
    """Return the values of custom fields as they are stored, by id.

    Raises CUSTOM_FIELD_INVALID with a violation for each field that is not defined or whose value
    is not of its type.
    """
    found: dict[str, str] = {}
    faults: list[Violation] = []
    for key in sorted(values):
        field = fields.get(key)
        value = None if field is None else _stored(field, values[key])
        if value is None:
            fault = "is not a custom field; CreateCustomField defines one"
            if field is not None:
                fault = _form(field)
            faults.append(Violation(f"{path}[{key}]", "CUSTOM_FIELD_INVALID", fault))
        else:
            found[key] = value
    if faults:
        raise InvalidArgument.of(tuple(faults))
    return found


def _stored(field: CustomField, text: str) -> str | None:
    """Return a value in its plain form, or None if it is not of the type of the field."""
    if field.type in NUMBERS:
        with suppress(DecimalError):
            return plain(parse_decimal(text))
        return None
    match field.type:
        case CustomFieldType.TEXT:
            is_plain = 0 < len(text) <= LONGEST_TEXT and text.isprintable()
            return text if is_plain else None
        case CustomFieldType.CHECKBOX:
            return text if text in ("true", "false") else None
        case CustomFieldType.DAY:
            with suppress(ValueError):
                return text if date.fromisoformat(text).isoformat() == text else None
            return None
    return text if text in field.picklist_values else None


def _form(field: CustomField) -> str:
    if field.type is CustomFieldType.PICKLIST:
        return f"must be one of {', '.join(field.picklist_values)}"
    return FORMS.get(field.type, NUMBER_FORM)
