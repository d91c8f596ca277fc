"""The JSON documents of procedure elements.

An element is an object with one key, its kind, as in `{"FORMULA": {…}}`. An unknown kind or an
unknown version raises an error.
"""

from typing import Any

import msgspec

from server.domain.rating.procedures import elements as el
from server.domain.rating.procedures.elements import ProcedureElement
from server.store.documents import DocumentCodec, to_json

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

# One key each: the kind of the element.
Elements = tuple[dict[str, msgspec.Raw], ...]


class _Group(msgspec.Struct, frozen=True):
    """A `ListGroup` whose elements are not decoded yet."""

    name: str
    condition: str
    elements: Elements


_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {
    # msgspec decodes no union of dataclasses, so the elements of a group are decoded one by one.
    word: msgspec.json.Decoder(_Group if kind is el.ListGroup else kind)
    for kind, word in _KINDS.items()
}
_ELEMENTS: DocumentCodec[Any] = DocumentCodec(Elements)


def encode_elements(elements: tuple[ProcedureElement, ...]) -> str:
    """Return the document for `procedure_versions.elements`."""
    return _ELEMENTS.encode([_tagged(element) for element in elements])


def decode_elements(text: str | bytes) -> tuple[ProcedureElement, ...]:
    """Return the elements of a document."""
    return tuple(map(_element, _ELEMENTS.decode(text)))


def _tagged(element: ProcedureElement) -> dict[str, Any]:
    fields = to_json(element)
    if isinstance(element, el.ListGroup):
        fields["elements"] = [_tagged(inner) for inner in element.elements]
    return {_KINDS[type(element)]: fields}


def _element(tagged: dict[str, msgspec.Raw]) -> ProcedureElement:
    [(word, text)] = tagged.items()
    element = _DECODERS[word].decode(text)
    if isinstance(element, _Group):
        inner = tuple(map(_element, element.elements))
        return el.ListGroup(name=element.name, condition=element.condition, elements=inner)
    decoded: ProcedureElement = element
    return decoded
