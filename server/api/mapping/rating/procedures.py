"""Messages of procedures, versions and their elements."""

from collections.abc import Callable
from datetime import date
from typing import Any

from usage_management.v1 import procedure_resources_pb2 as pb
from usage_management.v1 import procedure_service_pb2 as rpc
from usage_management.v1.catalog_resources_pb2 import UnitOfMeasure

from server.api import names
from server.api.mapping.modeling.catalog import state_pb
from server.api.mapping.modeling.plain import PlainMapping
from server.api.mapping.rating.terms import (
    adjustment_from_reader,
    adjustment_to_pb,
    attribute_row_from_reader,
    attribute_row_to_pb,
    check_percentage,
)
from server.api.reader import RequestReader
from server.api.values import (
    audit_pb,
    date_pb,
    decimal_pb,
    enum_pb,
    enum_prefix,
    etag,
    optional_date_pb,
)
from server.domain.exact import ZERO, Rounding
from server.domain.ids import ProcedureId, ProcedureVersionId
from server.domain.modeling.catalog import StoredRecord
from server.domain.rating.procedures import elements as el
from server.domain.rating.procedures.elements import NET_UNIT_RATE, ProcedureElement
from server.domain.rating.procedures.programs import ELEMENT_MILLISECONDS, RUN_MILLISECONDS
from server.domain.rating.procedures.versions import Procedure, TimeLimits, Version
from server.store.rating import procedures as kinds
from server.usecases.rating.procedures import Resolved

USUAL = TimeLimits()


PROCEDURE = PlainMapping(
    kind=kinds.PROCEDURE, field="procedure", content=Procedure, message=pb.Procedure
)


def version_from_pb(request: rpc.CreateProcedureVersionRequest) -> Version:
    """Return a version. Raises InvalidArgument."""
    reader = RequestReader(request)
    (procedure_id,) = reader.name("parent", names.PROCEDURE)
    version_id = ProcedureVersionId(reader.code("procedure_version_id"))
    content = version_from_reader(reader.sub("procedure_version"), procedure_id, version_id)
    reader.done()
    return content


def version_from_reader(
    reader: RequestReader, procedure_id: ProcedureId, version_id: ProcedureVersionId
) -> Version:
    """Return a version with its elements. Adds DECIMAL_*, RANGE, INTERVAL_INVALID and more."""
    start, end = _days(reader)
    return Version(
        procedure_id=procedure_id,
        id=version_id,
        display_name=reader.text("display_name"),
        rank=reader.message.rank,
        start_date=start,
        end_date=end,
        elements=tuple(_element_from_reader(own) for own in reader.subs("elements")),
        limits=TimeLimits(
            run=_milliseconds(reader, "run_milliseconds", RUN_MILLISECONDS, USUAL.run),
            element=_milliseconds(
                reader, "element_milliseconds", ELEMENT_MILLISECONDS, USUAL.element
            ),
        ),
    )


def version_to_pb(record: StoredRecord[Version]) -> pb.ProcedureVersion:
    """Return a version with its elements."""
    own = record.content
    return pb.ProcedureVersion(
        name=names.PROCEDURE_VERSION.of(own.procedure_id, own.id),
        display_name=own.display_name,
        rank=own.rank,
        start_date=optional_date_pb(own.start_date),
        end_date=optional_date_pb(own.end_date),
        elements=[_element_to_pb(element) for element in own.elements],
        run_milliseconds=own.limits.run,
        element_milliseconds=own.limits.element,
        state=state_pb(record),
        **audit_pb(record.audit),
        etag=etag(record.revision),
    )


def resolved_to_pb(resolved: Resolved) -> rpc.ResolveProcedureResponse:
    """Return the version in use, and the verdict on each candidate."""
    answer, name = rpc.ResolveProcedureResponse, names.PROCEDURE_VERSION
    version, verdicts = resolved.version, answer.Candidate.Verdict
    return answer(
        procedure=names.PROCEDURE.of(resolved.procedure_id),
        version="" if version is None else name.of(version.procedure_id, version.id),
        candidates=[
            answer.Candidate(
                version=name.of(candidate.version.procedure_id, candidate.version.id),
                rank=candidate.version.rank,
                verdict=enum_pb(verdicts, candidate.verdict),
            )
            for candidate in resolved.candidates
        ],
        date=date_pb(resolved.day),
    )


def _days(reader: RequestReader) -> tuple[date | None, date | None]:
    start, end = reader.optional_date("start_date"), reader.optional_date("end_date")
    if start is not None and end is not None and end <= start:
        reader.fault("end_date", "INTERVAL_INVALID", "must be after start_date")
    return start, end


def _milliseconds(reader: RequestReader, name: str, allowed: range, usual: int) -> int:
    value: int = getattr(reader.message, name) or usual
    if value not in allowed:
        reader.fault(name, "RANGE", f"must be from {allowed[0]} to {allowed[-1]}")
    return value


def _element_from_reader(reader: RequestReader) -> ProcedureElement:
    field = reader.message.WhichOneof("element")
    if field is None:
        reader.fault("element", "FIELD_REQUIRED", "is required")
        return el.Stop()
    read, _ = _FIELDS[field]
    element: ProcedureElement = read(reader.sub(field), reader.text("display_name"))
    return element


def _element_to_pb(element: ProcedureElement) -> pb.ProcedureElement:
    field = _BY_KIND[type(element)]
    _, write = _FIELDS[field]
    return pb.ProcedureElement(display_name=element.name, **{field: write(element)})


def _setting_from_reader(reader: RequestReader, name: str) -> el.RatingSetting:
    inputs = tuple(
        el.Input(
            name=own.text("name"),
            kind=own.choice("kind", el.ValueKind),
            default=own.text("default_value") if own.has("default_value") else None,
        )
        for own in reader.subs("inputs")
    )
    return el.RatingSetting(name=name, inputs=inputs)


def _setting_to_pb(setting: el.RatingSetting) -> pb.RatingSetting:
    inputs = [
        pb.RatingSetting.Input(
            name=own.name,
            kind=enum_pb(pb.RatingSetting.Input.Kind, own.kind),
            default_value=own.default,
        )
        for own in setting.inputs
    ]
    return pb.RatingSetting(inputs=inputs)


def _order_from_reader(reader: RequestReader) -> tuple[el.Agreed, ...]:
    words = [pb.AgreedWith.Name(number) for number in reader.message.order]
    order = tuple(
        el.Agreed(word.removeprefix(enum_prefix(pb.AgreedWith.DESCRIPTOR))) for word in words
    )
    return order or (el.Agreed.ASSET, el.Agreed.TARGET)


def _order_to_pb(order: tuple[el.Agreed, ...]) -> list[Any]:
    return [enum_pb(pb.AgreedWith, agreed) for agreed in order]


def _attributes_to_pb(element: el.AttributeAdjustment) -> pb.AttributeAdjustmentElement:
    return pb.AttributeAdjustmentElement(rows=map(attribute_row_to_pb, element.rows))


def _discount_from_reader(reader: RequestReader, name: str) -> el.ManualDiscount:
    kind = el.DiscountKind.AMOUNT if reader.has("amount") else el.DiscountKind.PERCENTAGE
    field = kind.lower()
    value = reader.decimal(field)
    if kind is el.DiscountKind.PERCENTAGE:
        check_percentage(reader, field, value)
    elif value < ZERO:
        reader.fault(field, "RATE_NEGATIVE", "must not be negative")
    return el.ManualDiscount(name=name, kind=kind, value=value)


def _matrix_from_reader(reader: RequestReader, name: str) -> el.AdjustmentMatrix:
    rows = tuple(
        el.MatrixRow(
            cells=tuple(
                cell.text("value") if cell.has("value") else None for cell in row.subs("cells")
            ),
            adjustment=adjustment_from_reader(row.sub("adjustment")),
        )
        for row in reader.subs("rows")
    )
    return el.AdjustmentMatrix(name=name, columns=tuple(reader.message.columns), rows=rows)


def _matrix_to_pb(element: el.AdjustmentMatrix) -> pb.AdjustmentMatrixElement:
    made = pb.AdjustmentMatrixElement
    rows = [
        made.Row(
            cells=[made.Cell(value=cell) for cell in row.cells],
            adjustment=adjustment_to_pb(row.adjustment),
        )
        for row in element.rows
    ]
    return made(columns=element.columns, rows=rows)


def _rounding_to_pb(element: el.RoundRate) -> pb.RoundingElement:
    mode = enum_pb(UnitOfMeasure.Rounding, element.mode)
    return pb.RoundingElement(mode=mode, precision=element.places)


def _operation_to_pb(element: el.ListOperation) -> pb.ListOperationElement:
    function = enum_pb(pb.ListOperationElement.Function, element.function)
    return pb.ListOperationElement(
        list_function=function, source=element.source or "", variable=element.variable
    )


def _bare(kind: type[Any], message: type[Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    return lambda reader, name: kind(name=name), lambda one: message()


# The reader and the writer of each kind of element, by its field.
_FIELDS: dict[str, tuple[Callable[[RequestReader, str], Any], Callable[[Any], Any]]] = {
    "rating_setting": (_setting_from_reader, _setting_to_pb),
    "base_rate": _bare(el.BaseRate, pb.BaseRateElement),
    "negotiated_rate": (
        lambda reader, name: el.NegotiatedRate(name=name, order=_order_from_reader(reader)),
        lambda one: pb.NegotiatedRateElement(order=_order_to_pb(one.order)),
    ),
    "volume_tiers": _bare(el.VolumeTiers, pb.VolumeTiersElement),
    "graduated_tiers": _bare(el.GraduatedTiers, pb.GraduatedTiersElement),
    "negotiated_tiers": (
        lambda reader, name: el.NegotiatedTiers(name=name, order=_order_from_reader(reader)),
        lambda one: pb.NegotiatedTiersElement(order=_order_to_pb(one.order)),
    ),
    "attribute_adjustment": (
        lambda reader, name: el.AttributeAdjustment(
            name=name, rows=tuple(map(attribute_row_from_reader, reader.subs("rows")))
        ),
        _attributes_to_pb,
    ),
    "commitment_rate": _bare(el.CommitmentRateElement, pb.CommitmentRateElement),
    "manual_discount": (
        _discount_from_reader,
        lambda one: pb.ManualDiscountElement(**{one.kind.lower(): decimal_pb(one.value)}),
    ),
    "adjustment_matrix": (_matrix_from_reader, _matrix_to_pb),
    "formula": (
        lambda reader, name: el.FormulaElement(
            name=name,
            expression=reader.message.expression,
            variable=reader.message.variable or NET_UNIT_RATE,
        ),
        lambda one: pb.FormulaElement(expression=one.expression, variable=one.variable),
    ),
    "assignment": (
        lambda reader, name: el.Assignment(
            name=name, variable=reader.message.variable, value=reader.decimal("value")
        ),
        lambda one: pb.AssignmentElement(variable=one.variable, value=decimal_pb(one.value)),
    ),
    "list_group": (
        lambda reader, name: el.ListGroup(
            name=name,
            condition=reader.message.condition,
            elements=tuple(_element_from_reader(one) for one in reader.subs("elements")),
        ),
        lambda one: pb.ListGroupElement(
            condition=one.condition, elements=[_element_to_pb(inner) for inner in one.elements]
        ),
    ),
    "list_operation": (
        lambda reader, name: el.ListOperation(
            name=name,
            function=reader.choice("list_function", el.ListFunction),
            source=reader.message.source or None,
            variable=reader.message.variable,
        ),
        _operation_to_pb,
    ),
    "rounding": (
        lambda reader, name: el.RoundRate(
            name=name, mode=reader.choice("mode", Rounding), places=reader.message.precision
        ),
        _rounding_to_pb,
    ),
    "stop": _bare(el.Stop, pb.StopElement),
    "lookup": (
        lambda reader, name: el.Lookup(name=name, source=reader.choice("source", el.LookupSource)),
        lambda one: pb.LookupElement(source=enum_pb(pb.LookupElement.Source, one.source)),
    ),
}
_BY_KIND: dict[type[Any], str] = {
    el.RatingSetting: "rating_setting",
    el.BaseRate: "base_rate",
    el.NegotiatedRate: "negotiated_rate",
    el.VolumeTiers: "volume_tiers",
    el.GraduatedTiers: "graduated_tiers",
    el.NegotiatedTiers: "negotiated_tiers",
    el.AttributeAdjustment: "attribute_adjustment",
    el.CommitmentRateElement: "commitment_rate",
    el.ManualDiscount: "manual_discount",
    el.AdjustmentMatrix: "adjustment_matrix",
    el.FormulaElement: "formula",
    el.Assignment: "assignment",
    el.ListGroup: "list_group",
    el.ListOperation: "list_operation",
    el.RoundRate: "rounding",
    el.Stop: "stop",
    el.Lookup: "lookup",
}
