"""Raters: the versions by which a tenant rates, compiled, and which of them rates what.

A rating period is rated by the version in force on the day on which it begins; usage that comes
late by that of the period in which it happened. Where a tenant has no procedure of its own the one
that is shipped rates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Protocol

from server.domain.calendar import local_date
from server.domain.ids import ProcedureId, ProcedureVersionId, RatableSummaryId
from server.domain.rating.line_rating import rate_line
from server.domain.rating.procedures.engine import MOST_LINES, Clock, Program
from server.domain.rating.procedures.programs import compile_rating, compiled
from server.domain.rating.procedures.shipped import NEGOTIABLE
from server.domain.rating.procedures.state import Line
from server.domain.rating.procedures.versions import Version
from server.domain.rating.procedures.waterfall import Outcome, Rated, RatingFailed

VersionKey = tuple[ProcedureId, ProcedureVersionId]

SHIPPED_VERSION = NEGOTIABLE[1]
SHIPPED_KEY: VersionKey = (SHIPPED_VERSION.procedure_id, SHIPPED_VERSION.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledRating:
    """A version and its program; the time that a line may take is counted where there is a clock.

    The one that is shipped takes a short way to the same amounts.
    """

    version: Version
    is_shipped: bool = False
    program: Program = field(compare=False, repr=False)
    clock: Clock | None = field(default=None, compare=False, repr=False)

    @staticmethod
    def of(version: Version, clock: Clock | None = None) -> "CompiledRating":
        """The rater of a version that was checked when it was saved."""
        if _is_shipped(version):
            return replace(SHIPPED_RATING, version=version)
        program = compile_rating(version.elements, version.limits)
        return CompiledRating(version=version, program=program, clock=clock)

    @property
    def key(self) -> VersionKey | None:
        """What names the version; None is the one that is shipped."""
        return None if self.is_shipped else self.name

    @property
    def name(self) -> VersionKey:
        """The ids of the version, shipped or not."""
        return self.version.procedure_id, self.version.id

    def rate(self, lines: Sequence[Line]) -> tuple[Outcome, ...]:
        """What each line comes to, in their order; so many at a time as a run takes."""
        if self.is_shipped:
            return tuple(map(_shipped, lines))
        slices = (lines[at : at + MOST_LINES] for at in range(0, len(lines), MOST_LINES))
        return tuple(one for some in slices for one in self.program.run(some, clock=self.clock))

    def price(self, line: Line) -> Rated:
        """What a line comes to by itself. Raises RatingFailed."""
        [outcome] = self.rate([line])
        if isinstance(outcome, RatingFailed):
            raise outcome
        return outcome


SHIPPED_RATING = CompiledRating(
    version=SHIPPED_VERSION, is_shipped=True, program=compiled(SHIPPED_VERSION)
)


@dataclass(frozen=True, slots=True)
class RatingVersions:
    """The active versions of a tenant's procedure, the highest rank first; None without one."""

    raters: tuple[CompiledRating, ...] | None = None

    def on(self, day: date) -> CompiledRating | None:
        """The one that rates on `day`, if any is in force."""
        if self.raters is None:
            return SHIPPED_RATING
        return next((one for one in self.raters if one.version.is_in_force(day)), None)


SHIPPED_VERSIONS = RatingVersions()


class RatingVersionSource(Protocol):
    """Says which version rates a line."""

    def of(self, line_id: RatableSummaryId, origin_start: datetime) -> CompiledRating | None:
        """The rater of a line of a rating period; None when no version is in force."""


@dataclass(frozen=True, slots=True)
class InForce:
    """The version in force as a rating period begins, in the zone of its account."""

    versions: RatingVersions = SHIPPED_VERSIONS
    zone: str = "UTC"

    def of(self, line_id: RatableSummaryId, origin_start: datetime) -> CompiledRating | None:
        """By the day on which the period began."""
        return self.versions.on(local_date(self.zone, origin_start))


SHIPPED = InForce()
"""What is shipped rates everything."""


@dataclass(frozen=True, slots=True)
class AsRated:
    """The versions by which lines were rated, whatever is in force by now."""

    lines: Mapping[RatableSummaryId, CompiledRating | None]
    otherwise: RatingVersionSource

    def of(self, line_id: RatableSummaryId, origin_start: datetime) -> CompiledRating | None:
        """That of the line, where it was rated."""
        if line_id in self.lines:
            return self.lines[line_id]
        return self.otherwise.of(line_id, origin_start)


def not_in_force(start: datetime | date) -> RatingFailed:
    """A tenant has a procedure of its own, and nothing of it rates on that day."""
    text = "no version of the default rating procedure is in force on that day"
    return RatingFailed("PROCEDURE_NOT_IN_FORCE", text, {"start": start.isoformat()})


def _is_shipped(version: Version) -> bool:
    """Whether it does what is shipped, as it was shipped; names and days are of no matter."""
    same = (version.procedure_id, version.id) == SHIPPED_KEY
    return same and version.elements == SHIPPED_VERSION.elements


def _shipped(line: Line) -> Outcome:
    """By the short way of the procedure that is shipped."""
    try:
        if line.terms is None or not line.attributes:
            return rate_line(line)
        return rate_line(replace(line, terms=line.terms.used_with(line.attributes)))
    except RatingFailed as failure:
        return failure
