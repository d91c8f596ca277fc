"""Compiled rating: the versions of a tenant's rating procedure, and the one that rates a line.

A rating period is rated by the version in force on its first day; late usage by the version of the
period in which it happened. A tenant without a procedure of its own uses the shipped one.
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
    """A version and its program. Time limits apply only if there is a clock.

    The shipped version takes a shorter path to the same amounts.
    """

    version: Version
    is_shipped: bool = False
    program: Program = field(compare=False, repr=False)
    clock: Clock | None = field(default=None, compare=False, repr=False)

    @staticmethod
    def of(version: Version, clock: Clock | None = None) -> "CompiledRating":
        """Return the compiled form of a version that was checked when it was saved."""
        if _is_shipped(version):
            return replace(SHIPPED_RATING, version=version)
        program = compile_rating(version.elements, version.limits)
        return CompiledRating(version=version, program=program, clock=clock)

    @property
    def key(self) -> VersionKey | None:
        """The ids of the version, or None for the shipped one."""
        return None if self.is_shipped else self.name

    @property
    def name(self) -> VersionKey:
        """The ids of the version, shipped or not."""
        return self.version.procedure_id, self.version.id

    def rate(self, lines: Sequence[Line]) -> tuple[Outcome, ...]:
        """Return the outcome of each line in order, in runs of at most MOST_LINES."""
        if self.is_shipped:
            return tuple(map(_shipped, lines))
        slices = (lines[at : at + MOST_LINES] for at in range(0, len(lines), MOST_LINES))
        return tuple(one for some in slices for one in self.program.run(some, clock=self.clock))

    def price(self, line: Line) -> Rated:
        """Return the price of one line by itself. Raises RatingFailed."""
        [outcome] = self.rate([line])
        if isinstance(outcome, RatingFailed):
            raise outcome
        return outcome


SHIPPED_RATING = CompiledRating(
    version=SHIPPED_VERSION, is_shipped=True, program=compiled(SHIPPED_VERSION)
)


@dataclass(frozen=True, slots=True)
class RatingVersions:
    """The active versions of a tenant's procedure by rank, the highest first; None without one."""

    versions: tuple[CompiledRating, ...] | None = None

    def on(self, day: date) -> CompiledRating | None:
        """Return the version that rates on `day`, or None."""
        if self.versions is None:
            return SHIPPED_RATING
        return next((rater for rater in self.versions if rater.version.is_in_force(day)), None)


SHIPPED_VERSIONS = RatingVersions()


class RatingVersionSource(Protocol):
    """The choice of the version that rates a line."""

    def of(self, line_id: RatableSummaryId, origin_start: datetime) -> CompiledRating | None:
        """Return the version for a line of a rating period, or None if no version is in force."""


@dataclass(frozen=True, slots=True)
class InForce:
    """The version in force when a rating period begins, in the time zone of its account.

    The first period begins with `service_start`, if that is given.
    """

    versions: RatingVersions = SHIPPED_VERSIONS
    zone: str = "UTC"
    service_start: datetime | None = None

    def of(self, line_id: RatableSummaryId, origin_start: datetime) -> CompiledRating | None:
        """Return the version in force on the first day of the period."""
        start = max(origin_start, self.service_start or origin_start)
        return self.versions.on(local_date(self.zone, start))


SHIPPED = InForce()
"""The shipped version rates everything."""


@dataclass(frozen=True, slots=True)
class AsRated:
    """The versions that rated the lines, whichever are in force now.

    A line that was not rated before is rated by the version of its rating period, in `periods` by
    start, if other lines of that were rated.
    """

    lines: Mapping[RatableSummaryId, CompiledRating | None]
    otherwise: RatingVersionSource
    periods: Mapping[datetime, CompiledRating] = field(default_factory=dict)

    def of(self, line_id: RatableSummaryId, origin_start: datetime) -> CompiledRating | None:
        """Return the version that rated the line, or the one for a line that was not rated."""
        if line_id in self.lines:
            return self.lines[line_id]
        return self.periods.get(origin_start) or self.otherwise.of(line_id, origin_start)


def not_in_force(start: datetime | date) -> RatingFailed:
    """Return the failure for a tenant's own procedure without a version in force on that day."""
    text = "no version of the default rating procedure is in force on that day"
    return RatingFailed("PROCEDURE_NOT_IN_FORCE", text, {"start": start.isoformat()})


def _is_shipped(version: Version) -> bool:
    """Return whether the version has the shipped elements; names and dates may differ."""
    same = (version.procedure_id, version.id) == SHIPPED_KEY
    return same and version.elements == SHIPPED_VERSION.elements


def _shipped(line: Line) -> Outcome:
    """Rate a line by the short path of the shipped procedure."""
    try:
        if line.terms is None or not line.attributes:
            return rate_line(line)
        return rate_line(replace(line, terms=line.terms.used_with(line.attributes)))
    except RatingFailed as failure:
        return failure
