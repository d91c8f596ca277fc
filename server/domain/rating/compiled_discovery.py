"""Finders: the versions by which a tenant's rates are found, compiled, and which of them looks.

A version of a discovery procedure says where is looked, in which order: the first place that has an
answer gives it, and what the version does not name is not looked at. Of the catalogue it may leave
out tiers and adjustments by attribute. Where a tenant has no procedure of its own, the one that is
shipped finds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from server.domain.calendar import Days
from server.domain.errors import FailedPrecondition
from server.domain.ids import ProcedureId
from server.domain.rating.procedures.elements import Lookup, LookupSource, ProcedureElement
from server.domain.rating.procedures.shipped import DISCOVERY
from server.domain.rating.procedures.versions import Version
from server.domain.rating.rate_cards import RateCardType
from server.domain.rating.rate_index import EVERY_PART, Parts

PLACES = (LookupSource.ASSET, LookupSource.TARGET, LookupSource.CATALOG_RATES)
"""Where a rate can be; the other sources add to one of the catalogue."""

PARTS: Mapping[LookupSource, RateCardType] = {
    LookupSource.CATALOG_RATES: RateCardType.BASE,
    LookupSource.CATALOG_TIERS: RateCardType.TIER,
    LookupSource.CATALOG_ATTRIBUTES: RateCardType.ATTRIBUTE,
}
SOURCES = {part: source for source, part in PARTS.items()}


def _sources(elements: tuple[ProcedureElement, ...]) -> list[LookupSource]:
    return [one.source for one in elements if isinstance(one, Lookup)]


def _goes_before(places: tuple[LookupSource, ...], one: LookupSource, other: LookupSource) -> bool:
    return one in places and other not in places[: places.index(one)]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledDiscovery:
    """A version, the places where it looks in their order, and what it takes of the catalogue.

    Its `name` is empty when it is not kept. `unheld` are the places that know of more than assets;
    `asks_target` when what was agreed for a target goes before what its assets took from the
    catalogue, as it does unless the catalogue is looked in first; `is_usual` when it looks
    everywhere, in the order of what is shipped.
    """

    version: Version
    name: str
    places: tuple[LookupSource, ...]
    unheld: tuple[LookupSource, ...]
    asks_target: bool
    parts: Parts
    is_usual: bool

    @staticmethod
    def of(version: Version) -> "CompiledDiscovery":
        """The finder of a version that was checked when it was saved."""
        sources = _sources(version.elements)
        places = tuple(source for source in sources if source in PLACES)
        parts = frozenset(PARTS[source] for source in sources if source in PARTS)
        if LookupSource.CATALOG_RATES not in places:
            parts = frozenset()
        name = f"procedures/{version.procedure_id}/versions/{version.id}" if version.id else ""
        return CompiledDiscovery(
            version=version,
            name=name,
            places=places,
            unheld=tuple(place for place in places if place is LookupSource.CATALOG_RATES),
            asks_target=_goes_before(places, LookupSource.TARGET, LookupSource.CATALOG_RATES),
            parts=EVERY_PART if parts == EVERY_PART else parts,
            is_usual=(places, parts) == (PLACES, EVERY_PART),
        )

    @property
    def words(self) -> str:
        """What it is called in a sentence."""
        return self.name or "the procedure"

    @property
    def looked_in(self) -> str:
        """The sources in their order, in words."""
        return ", ".join(_sources(self.version.elements))


SHIPPED_DISCOVERY = CompiledDiscovery.of(DISCOVERY[1])


@dataclass(frozen=True, slots=True)
class DiscoveryVersions:
    """The active versions of a tenant's procedure, the highest rank first."""

    procedure_id: ProcedureId
    finders: tuple[CompiledDiscovery, ...]

    def on(self, day: date) -> CompiledDiscovery:
        """The one that looks for the rates of `day`. Raises PROCEDURE_NOT_IN_FORCE."""
        for one in self.finders:
            if one.version.is_in_force(day):
                return one
        raise _not_in_force(self.procedure_id, day)

    def around(self, day: date) -> Days:
        """The days around `day` on which the same one looks."""
        spans = ((one.version.start_date, one.version.end_date) for one in self.finders)
        return Days.around(day, sorted(edge for span in spans for edge in span if edge is not None))


SHIPPED_DISCOVERY_VERSIONS = DiscoveryVersions(DISCOVERY[0].id, (SHIPPED_DISCOVERY,))


def _not_in_force(procedure_id: ProcedureId, day: date) -> FailedPrecondition:
    name = f"procedures/{procedure_id}"
    text = (
        f"no version of {name}, by which rates are found, is in force on {day};"
        " ChangeProcedureStates puts one in force, SetDefaultProcedure uses another procedure"
    )
    facts = {"procedure": name, "date": day.isoformat(), "usage": "DISCOVERY"}
    return FailedPrecondition("PROCEDURE_NOT_IN_FORCE", text, facts)
