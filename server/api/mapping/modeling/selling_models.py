"""Messages of selling models."""

from usage_management.v1 import catalog_resources_pb2 as pb
from usage_management.v1 import catalog_service_pb2 as requests

from server.api import names
from server.api.mapping.modeling.catalog import cadence_from_pb, state_pb
from server.api.reader import RequestReader
from server.api.values import audit_pb, cadence_pb, enum_pb, etag
from server.domain.ids import SellingModelId
from server.domain.modeling.catalog import SellingModel, SellingModelType, StoredRecord


def selling_model_from_pb(request: requests.CreateSellingModelRequest) -> SellingModel:
    """Return a selling model.

    Raises InvalidArgument (FIELD_REQUIRED, POLICY_NOT_ALLOWED and others).
    """
    reader = RequestReader(request)
    own = reader.sub("selling_model")
    kind, term = own.choice("type", SellingModelType), cadence_from_pb(own, "term")
    if kind is SellingModelType.TERM and term is None:
        own.fault("term", "FIELD_REQUIRED", "is required with the type TERM")
    if kind is not SellingModelType.TERM and term is not None:
        own.fault("term", "POLICY_NOT_ALLOWED", f"what is sold {kind} has no term")
    content = SellingModel(
        id=SellingModelId(reader.code("selling_model_id")),
        display_name=own.text("display_name"),
        type=kind,
        term=term,
    )
    reader.done()
    return content


def selling_model_to_pb(record: StoredRecord[SellingModel]) -> pb.SellingModel:
    """Return a selling model."""
    own = record.content
    return pb.SellingModel(
        name=names.SELLING_MODEL.of(own.id),
        display_name=own.display_name,
        type=enum_pb(pb.SellingModel.Type, own.type),
        term=cadence_pb(own.term),
        state=state_pb(record),
        **audit_pb(record.audit),
        etag=etag(record.revision),
    )
