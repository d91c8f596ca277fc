"""Messages of catalogs: the records of all kinds, read by the readers of their create requests."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from google.api import field_behavior_pb2 as behavior
from google.protobuf.message import Message
from usage_management.v1 import setup_service_pb2 as pb

from server.api import names
from server.api.mapping.catalog_changes.setup import Reading, steps_to_pb
from server.api.names import BadName
from server.api.services.modeling.kinds import ALL, OnWire
from server.api.services.rating import kinds as rating_kinds
from server.api.services.rating import procedures
from server.api.values import time_pb
from server.domain.ids import ProcedureId
from server.domain.modeling.catalog import CatalogState
from server.usecases.catalog_changes.export import Exported
from server.usecases.catalog_changes.setup_parts import SetUp, SetUpCatalog, SetupPart

WIRES: tuple[OnWire[Any, Any], ...] = (*ALL, *rating_kinds.ALL, *procedures.ALL)


def _field(wire: OnWire[Any, Any]) -> str:
    """Return the field of `Catalog` that has the records of a kind."""
    fields = pb.Catalog.DESCRIPTOR.fields
    return next(one.name for one in fields if one.message_type is wire.message.DESCRIPTOR)


FIELDS = {wire.kind.name: (_field(wire), wire) for wire in WIRES}


def catalog_from_pb(request: pb.SetUpCatalogRequest) -> SetUpCatalog:
    """Return the catalog to set up. Raises InvalidArgument with all faults."""
    reading, catalog = Reading(), request.catalog
    parts = {
        kind: reading.all(f"catalog.{field}", wire, getattr(catalog, field))
        for kind, (field, wire) in FIELDS.items()
    }
    states: dict[str, CatalogState] = {}
    for field, state in (("drafts", CatalogState.DRAFT), ("inactive", CatalogState.INACTIVE)):
        for index, name in enumerate(getattr(catalog, field)):
            if name in states:
                reading.fault(f"catalog.{field}[{index}]", "SETUP_AMBIGUOUS", "is named twice")
            elif not _has_state(name, parts):
                text = "must be the name of a record of this catalog that has a state"
                reading.fault(f"catalog.{field}[{index}]", "NAME_FORMAT", text)
            states[name] = state
    defaults = tuple(_defaults(reading, catalog.default_procedures))
    reading.done()
    return SetUpCatalog(
        parts={kind: _with_states(kind, some, states) for kind, some in parts.items()},
        defaults=defaults,
        is_plan=request.validate_only,
    )


def _has_state(name: str, parts: dict[str, tuple[SetupPart[Any], ...]]) -> bool:
    return any(
        wire.kind.has_states and name == _name(wire, part)
        for _, wire in FIELDS.values()
        if tuple(name.split("/")[::2]) == wire.name.words
        for part in parts[wire.kind.name]
    )


def _with_states(
    kind: str, parts: Iterable[SetupPart[Any]], states: dict[str, CatalogState]
) -> tuple[SetupPart[Any], ...]:
    wire = FIELDS[kind][1]
    return tuple(
        replace(part, state=states.get(_name(wire, part), CatalogState.ACTIVE)) for part in parts
    )


def _name(wire: OnWire[Any, Any], part: SetupPart[Any]) -> str:
    return wire.kind.resource_name(*wire.kind.key(part.content))


def _defaults(reading: Reading, given: Iterable[str]) -> Iterable[SetupPart[ProcedureId]]:
    for index, name in enumerate(given):
        path = f"catalog.default_procedures[{index}]"
        try:
            yield SetupPart(path, ProcedureId(names.PROCEDURE.parse(name)[0]))
        except BadName as error:
            reading.fault(path, error.reason, str(error))


def catalog_setup_to_pb(done: SetUp) -> pb.SetUpCatalogResponse:
    """Return the steps of a setup of a catalog."""
    return pb.SetUpCatalogResponse(steps=steps_to_pb(done), setup_time=time_pb(done.at))


def exported_to_pb(exported: Exported) -> pb.ExportCatalogResponse:
    """Return a page with one record, without the fields that a setup ignores."""
    field, wire = FIELDS[exported.kind.name]
    record = exported.record
    message = wire.write(record)
    for name in _output_only(message):
        message.ClearField(name)
    page = pb.ExportCatalogResponse()
    getattr(page.catalog, field).append(message)
    if record.state is CatalogState.DRAFT:
        page.catalog.drafts.append(message.name)
    elif record.state is CatalogState.INACTIVE:
        page.catalog.inactive.append(message.name)
    if record.version > 1:
        text = f"it is version {record.version}; the versions before it are left out"
        page.omissions.add(name=message.name, description=text)
    if exported.newest > record.version:
        text = f"version {exported.newest}, which begins on a later day, is left out"
        page.omissions.add(name=message.name, description=text)
    return page


def _output_only(message: Message) -> list[str]:
    return [
        field.name
        for field in message.DESCRIPTOR.fields
        if behavior.OUTPUT_ONLY in field.GetOptions().Extensions[behavior.field_behavior]
    ]
