"""Procedures and their versions as values; which version rates on a day.

Of the active versions of a procedure in force on a day the one of the highest rank wins. Two of one
rank are never in force on the same day.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from server.domain.ids import ProcedureId, ProcedureVersionId
from server.domain.modeling.catalog import CatalogState
from server.domain.rating.procedures.elements import ProcedureElement


class ProcedureUsage(StrEnum):
    """What a procedure is for: making amounts of quantities, or finding the rates for it."""

    RATING = "RATING"
    DISCOVERY = "DISCOVERY"


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLimits:
    """How long a line may take with all elements, and with one of them, in milliseconds."""

    run: int = 10_000
    element: int = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Procedure:
    """A procedure: what it is for."""

    id: ProcedureId
    display_name: str
    usage: ProcedureUsage


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a procedure: what is done, and from which day until which other."""

    procedure_id: ProcedureId
    id: ProcedureVersionId
    display_name: str
    rank: int
    start_date: date | None = None
    end_date: date | None = None
    elements: tuple[ProcedureElement, ...]
    limits: TimeLimits = TimeLimits()

    def is_in_force(self, day: date) -> bool:
        """Whether `day` is one of its days."""
        has_begun = self.start_date is None or self.start_date <= day
        return has_begun and (self.end_date is None or day < self.end_date)


class VersionVerdict(StrEnum):
    """Why a version does or does not rate on a day."""

    WON = "WON"
    OUTRANKED = "OUTRANKED"
    NOT_IN_FORCE = "NOT_IN_FORCE"
    NOT_ACTIVE = "NOT_ACTIVE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A version, and what became of it."""

    version: Version
    state: CatalogState
    verdict: VersionVerdict


def choose(
    versions: Iterable[tuple[Version, CatalogState]], day: date
) -> tuple[Version | None, tuple[Candidate, ...]]:
    """The version that rates on `day`, and all of them, the highest rank first."""
    ordered = sorted(versions, key=lambda pair: (-pair[0].rank, pair[0].id))
    winner = next(
        (
            version
            for version, state in ordered
            if state is CatalogState.ACTIVE and version.is_in_force(day)
        ),
        None,
    )
    candidates = tuple(
        Candidate(version=version, state=state, verdict=_verdict(version, state, day, winner))
        for version, state in ordered
    )
    return winner, candidates


def _verdict(
    version: Version, state: CatalogState, day: date, winner: Version | None
) -> VersionVerdict:
    if state is not CatalogState.ACTIVE:
        return VersionVerdict.NOT_ACTIVE
    if not version.is_in_force(day):
        return VersionVerdict.NOT_IN_FORCE
    return VersionVerdict.WON if version is winner else VersionVerdict.OUTRANKED
