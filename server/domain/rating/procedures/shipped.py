"""The procedures that every tenant starts with; the last two are the defaults of their usage.

They are data like any other procedure: they can be withdrawn, and another can be the default.
"""

from server.domain.ids import ProcedureId, ProcedureVersionId
from server.domain.rating.procedures.elements import (
    AttributeAdjustment,
    BaseRate,
    CommitmentRateElement,
    GraduatedTiers,
    Lookup,
    LookupSource,
    NegotiatedRate,
    NegotiatedTiers,
    ProcedureElement,
    RatingSetting,
    VolumeTiers,
)
from server.domain.rating.procedures.versions import Procedure, ProcedureUsage, Version


def _shipped(
    name: str, words: str, usage: ProcedureUsage, *elements: ProcedureElement
) -> tuple[Procedure, Version]:
    procedure = Procedure(id=ProcedureId(name), display_name=words, usage=usage)
    version = Version(
        procedure_id=procedure.id,
        id=ProcedureVersionId("v1"),
        display_name=words,
        rank=1,
        elements=elements,
    )
    return procedure, version


DEFAULT = _shipped(
    "default-rating",
    "Rates of the catalog",
    ProcedureUsage.RATING,
    RatingSetting(),
    BaseRate(),
    VolumeTiers(),
    GraduatedTiers(),
    AttributeAdjustment(),
)
NEGOTIABLE = _shipped(
    "negotiable-rating",
    "Negotiated rates, commitments, and the catalog",
    ProcedureUsage.RATING,
    RatingSetting(),
    BaseRate(),
    NegotiatedRate(),
    NegotiatedTiers(),
    VolumeTiers(),
    GraduatedTiers(),
    AttributeAdjustment(),
    CommitmentRateElement(),
)
DISCOVERY = _shipped(
    "default-discovery",
    "What was agreed, then the catalog",
    ProcedureUsage.DISCOVERY,
    *(Lookup(source=source) for source in LookupSource),
)
SHIPPED = (DEFAULT, NEGOTIABLE, DISCOVERY)
USUAL = {ProcedureUsage.RATING: NEGOTIABLE[0].id, ProcedureUsage.DISCOVERY: DISCOVERY[0].id}
