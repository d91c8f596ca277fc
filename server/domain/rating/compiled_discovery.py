"""Compiled discovery: versions of a tenant's discovery procedure, and the one in force on a day.

A version of a discovery procedure defines which sources are searched, and in which order. The first
source with an answer gives it, and sources that the version does not name are not searched. A
version may leave out the tiers or the adjustments by attribute of the catalog. A tenant without a
procedure of its own uses the shipped one.
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
"""The sources that can have a rate; the others only complete a rate of the catalog."""

PARTS: Mapping[LookupSource, RateCardType] = {
    LookupSource.CATALOG_RATES: RateCardType.BASE,
    LookupSource.CATALOG_TIERS: RateCardType.TIER,
    LookupSource.CATALOG_ATTRIBUTES: RateCardType.ATTRIBUTE,
}
SOURCES = {part: source for source, part in PARTS.items()}


def _sources(elements: tuple[ProcedureElement, ...]) -> list[LookupSource]:
    return [element.source for element in elements if isinstance(element, Lookup)]


def _goes_before(places: tuple[LookupSource, ...], one: LookupSource, other: LookupSource) -> bool:
    return one in places and other not in places[: places.index(one)]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledDiscovery:
    """A version with the sources that it searches and the parts that it takes from the catalog.

    `name` is empty if the version is not stored. `unheld` are the sources that can answer a
    question without an asset or target. `asks_target` is true if the target is searched before the
    catalog, or the catalog not at all: then agreements for a target win over what its assets took
    from the catalog. `is_usual` is true if it searches every source in the shipped order.
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
        """Return the compiled form of a version that was checked when it was saved."""
        sources = _sources(version.elements)
        places = tuple(source for source in sources if source in PLACES)
        parts = frozenset(PARTS[source] for source in sources if source in PARTS)
        # Tiers and adjustments by attribute only complete a rate of the catalog.
        if LookupSource.CATALOG_RATES not in places:
            parts = frozenset()
        name = f"procedures/{version.procedure_id}/versions/{version.id}" if version.id else ""
        return CompiledDiscovery(
            version=version,
            name=name,
            places=places,
            unheld=tuple(place for place in places if place is LookupSource.CATALOG_RATES),
            asks_target=_goes_before(places, LookupSource.TARGET, LookupSource.CATALOG_RATES),
            # The one EVERY_PART object: the rate index compares it by identity.
            parts=EVERY_PART if parts == EVERY_PART else parts,
            is_usual=(places, parts) == (PLACES, EVERY_PART),
        )

    @property
    def words(self) -> str:
        """The name to use in a sentence."""
        return self.name or "the procedure"

    @property
    def looked_in(self) -> str:
        """The sources in order, as text."""
        return ", ".join(_sources(self.version.elements))


SHIPPED_DISCOVERY = CompiledDiscovery.of(DISCOVERY[1])


@dataclass(frozen=True, slots=True)
class DiscoveryVersions:
    """The active versions of a tenant's procedure, the highest rank first."""

    procedure_id: ProcedureId
    discovery_versions: tuple[CompiledDiscovery, ...]

    def on(self, day: date) -> CompiledDiscovery:
        """Return the version that searches on `day`. Raises PROCEDURE_NOT_IN_FORCE."""
        for discovery_version in self.discovery_versions:
            if discovery_version.version.is_in_force(day):
                return discovery_version
        raise _not_in_force(self.procedure_id, day)

    def around(self, day: date) -> Days:
        """Return the days around `day` on which the same version searches."""
        spans = (
            (discovery_version.version.start_date, discovery_version.version.end_date)
            for discovery_version in self.discovery_versions
        )
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
