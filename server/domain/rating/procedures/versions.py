"""Procedures and their versions as values, and the choice of the version for a day.

Of the active versions in force on a day, the highest rank wins. Two versions of one rank are never
in force on the same day.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from server.domain.ids import ProcedureId, ProcedureVersionId
from server.domain.modeling.catalog import CatalogState
from server.domain.rating.procedures.elements import ProcedureElement


class ProcedureUsage(StrEnum):
    """The purpose of a procedure: to compute amounts, or to find rates."""

    RATING = "RATING"
    DISCOVERY = "DISCOVERY"


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLimits:
    """The most milliseconds of a line for all elements (`run`) and for one (`element`)."""

    run: int = 10_000
    element: int = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Procedure:
    """A procedure and its purpose."""

    id: ProcedureId
    display_name: str
    usage: ProcedureUsage


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a procedure: its elements, and the days on which it is in force."""

    procedure_id: ProcedureId
    id: ProcedureVersionId
    display_name: str
    rank: int
    start_date: date | None = None
    end_date: date | None = None
    elements: tuple[ProcedureElement, ...]
    limits: TimeLimits = TimeLimits()

    def is_in_force(self, day: date) -> bool:
        """Return whether the version is in force on `day`."""
        has_begun = self.start_date is None or self.start_date <= day
        return has_begun and (self.end_date is None or day < self.end_date)


class VersionVerdict(StrEnum):
    """The reason why a version does or does not rate on a day."""

    WON = "WON"
    OUTRANKED = "OUTRANKED"
    NOT_IN_FORCE = "NOT_IN_FORCE"
    NOT_ACTIVE = "NOT_ACTIVE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A version and the verdict on it."""

    version: Version
    state: CatalogState
    verdict: VersionVerdict


def choose(
    versions: Iterable[tuple[Version, CatalogState]], day: date
) -> tuple[Version | None, tuple[Candidate, ...]]:
    """Return the version that rates on `day`, and all versions, the highest rank first."""
    # Active versions of one rank never overlap; the id only makes the list stable.
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
