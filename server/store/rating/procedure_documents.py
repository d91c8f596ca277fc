"""The JSON documents of procedure elements and of frozen versions.

An element is an object with one key, its kind, as in `{"FORMULA": {…}}`. Decimals are plain text.
An unknown kind or document version raises an error.
"""

from collections.abc import Callable
from typing import Any

from server.domain.exact import Rounding, parse_decimal, plain
from server.domain.rating.procedures import elements as el
from server.domain.rating.procedures.elements import ProcedureElement
from server.domain.rating.rates import Adjustment, AdjustmentKind, AttributeRow
from server.store.documents import VERSION, Document, check_version


def elements_to_doc(elements: tuple[ProcedureElement, ...]) -> Document:
    """Return the document for `procedure_versions.elements`."""
    return {"v": VERSION, "elements": [_to_doc(element) for element in elements]}


def elements_from_doc(doc: Document) -> tuple[ProcedureElement, ...]:
    """Return the elements of a document."""
    check_version(doc)
    return tuple(_from_doc(element) for element in doc["elements"])


def _to_doc(element: ProcedureElement) -> Document:
    kind = type(element)
    own = _FIELDS[kind][0](element) if kind in _FIELDS else {}
    return {_KINDS[kind]: {"name": element.name, **own}}


def _from_doc(doc: Document) -> ProcedureElement:
    [(word, fields)] = doc.items()
    kind = _BY_WORD[word]
    own = _FIELDS[kind][1](fields) if kind in _FIELDS else {}
    element: ProcedureElement = kind(name=fields["name"], **own)
    return element


_KINDS: dict[type[Any], str] = {
    el.RatingSetting: "RATING_SETTING",
    el.BaseRate: "BASE_RATE",
    el.NegotiatedRate: "NEGOTIATED_RATE",
    el.VolumeTiers: "VOLUME_TIERS",
    el.GraduatedTiers: "GRADUATED_TIERS",
    el.NegotiatedTiers: "NEGOTIATED_TIERS",
    el.AttributeAdjustment: "ATTRIBUTE_ADJUSTMENT",
    el.CommitmentRateElement: "COMMITMENT_RATE",
    el.ManualDiscount: "MANUAL_DISCOUNT",
    el.AdjustmentMatrix: "ADJUSTMENT_MATRIX",
    el.FormulaElement: "FORMULA",
    el.Assignment: "ASSIGNMENT",
    el.ListGroup: "LIST_GROUP",
    el.ListOperation: "LIST_OPERATION",
    el.RoundRate: "ROUNDING",
    el.Stop: "STOP",
    el.Lookup: "LOOKUP",
}
_BY_WORD: dict[str, type[Any]] = {word: kind for kind, word in _KINDS.items()}


def _adjustment_to_doc(adjustment: Adjustment) -> Document:
    return {"kind": adjustment.kind.value, "value": plain(adjustment.value)}


def _adjustment_from_doc(doc: Document) -> Adjustment:
    return Adjustment(kind=AdjustmentKind(doc["kind"]), value=parse_decimal(doc["value"]))


def _order_to_doc(element: el.NegotiatedRate | el.NegotiatedTiers) -> Document:
    return {"order": [agreed.value for agreed in element.order]}


def _order_from_doc(doc: Document) -> Document:
    return {"order": tuple(el.Agreed(word) for word in doc["order"])}


def _inputs_to_doc(element: el.RatingSetting) -> Document:
    inputs = [{"name": i.name, "kind": i.kind.value, "default": i.default} for i in element.inputs]
    return {"inputs": inputs}


def _inputs_from_doc(doc: Document) -> Document:
    inputs = (
        el.Input(name=field["name"], kind=el.ValueKind(field["kind"]), default=field["default"])
        for field in doc["inputs"]
    )
    return {"inputs": tuple(inputs)}


def _attributes_to_doc(element: el.AttributeAdjustment) -> Document:
    rows = [
        {"attributes": dict(row.attributes), "adjustment": _adjustment_to_doc(row.adjustment)}
        for row in element.rows
    ]
    return {"rows": rows}


def _attributes_from_doc(doc: Document) -> Document:
    rows = (
        AttributeRow(
            attributes=tuple(sorted(row["attributes"].items())),
            adjustment=_adjustment_from_doc(row["adjustment"]),
        )
        for row in doc["rows"]
    )
    return {"rows": tuple(rows)}


def _matrix_to_doc(element: el.AdjustmentMatrix) -> Document:
    rows = [
        {"cells": list(row.cells), "adjustment": _adjustment_to_doc(row.adjustment)}
        for row in element.rows
    ]
    return {"columns": list(element.columns), "rows": rows}


def _matrix_from_doc(doc: Document) -> Document:
    rows = (
        el.MatrixRow(cells=tuple(row["cells"]), adjustment=_adjustment_from_doc(row["adjustment"]))
        for row in doc["rows"]
    )
    return {"columns": tuple(doc["columns"]), "rows": tuple(rows)}


def _group_to_doc(element: el.ListGroup) -> Document:
    elements = [_to_doc(inner) for inner in element.elements]
    return {"condition": element.condition, "elements": elements}


def _group_from_doc(doc: Document) -> Document:
    elements = tuple(_from_doc(inner) for inner in doc["elements"])
    return {"condition": doc["condition"], "elements": elements}


# The writer and the reader of each kind that has fields beside its name.
_FIELDS: dict[type[Any], tuple[Callable[[Any], Document], Callable[[Document], Document]]] = {
    el.RatingSetting: (_inputs_to_doc, _inputs_from_doc),
    el.NegotiatedRate: (_order_to_doc, _order_from_doc),
    el.NegotiatedTiers: (_order_to_doc, _order_from_doc),
    el.AttributeAdjustment: (_attributes_to_doc, _attributes_from_doc),
    el.ManualDiscount: (
        lambda one: {"kind": one.kind.value, "value": plain(one.value)},
        lambda doc: {
            "kind": el.DiscountKind(doc["kind"]),
            "value": parse_decimal(doc["value"]),
        },
    ),
    el.AdjustmentMatrix: (_matrix_to_doc, _matrix_from_doc),
    el.FormulaElement: (
        lambda one: {"expression": one.expression, "variable": one.variable},
        lambda doc: {"expression": doc["expression"], "variable": doc["variable"]},
    ),
    el.Assignment: (
        lambda one: {"variable": one.variable, "value": plain(one.value)},
        lambda doc: {"variable": doc["variable"], "value": parse_decimal(doc["value"])},
    ),
    el.ListGroup: (_group_to_doc, _group_from_doc),
    el.ListOperation: (
        lambda one: {
            "function": one.function.value,
            "source": one.source,
            "variable": one.variable,
        },
        lambda doc: {
            "function": el.ListFunction(doc["function"]),
            "source": doc["source"],
            "variable": doc["variable"],
        },
    ),
    el.RoundRate: (
        lambda one: {"mode": one.mode.value, "places": one.places},
        lambda doc: {"mode": Rounding(doc["mode"]), "places": doc["places"]},
    ),
    el.Lookup: (
        lambda one: {"source": one.source.value},
        lambda doc: {"source": el.LookupSource(doc["source"])},
    ),
}
