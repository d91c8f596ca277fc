"""Messages of custom fields."""

from usage_management.v1 import rate_service_pb2 as pb

from server.api import names
from server.api.reader import RequestReader
from server.api.values import audit_pb, enum_pb, etag
from server.domain.ids import CustomFieldId
from server.domain.modeling.catalog import StoredRecord
from server.domain.rating.custom_fields import CustomField, CustomFieldType


def create_custom_field_from_pb(request: pb.CreateCustomFieldRequest) -> CustomField:
    """Return a custom field. Raises InvalidArgument."""
    reader = RequestReader(request)
    field_id = CustomFieldId(reader.code("custom_field_id"))
    field = reader.sub("custom_field")
    display_name, kind = field.text("display_name"), field.choice("type", CustomFieldType)
    reader.done()
    return CustomField(
        id=field_id,
        display_name=display_name,
        type=kind,
        picklist_values=tuple(request.custom_field.picklist_values),
    )


def custom_field_to_pb(record: StoredRecord[CustomField]) -> pb.CustomField:
    """Return a custom field."""
    field = record.content
    return pb.CustomField(
        name=names.CUSTOM_FIELD.of(field.id),
        display_name=field.display_name,
        type=enum_pb(pb.CustomField.Type, field.type),
        picklist_values=field.picklist_values,
        etag=etag(record.revision),
        **audit_pb(record.audit),
    )
