"""Versions of a policy over days: the one in force on a day, and the next one to begin."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Generic, TypeVar

from server.domain.modeling.catalog import NextVersion, StoredRecord

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class EndingVersion(Generic[T]):
    """A version that is in force before a day, on which a later version begins."""

    version: int
    content: T
    end: date


def version_on(
    newest: StoredRecord[T], ending: Sequence[EndingVersion[T]], day: date
) -> StoredRecord[T]:
    """Return a policy with its version in force on a day, and the next version after it.

    `newest` has its newest version, `ending` the versions that end after the day, oldest first.
    """
    left = [version for version in ending if version.end > day]
    if not left:
        return newest
    # A version whose successor begins on the same day as itself is never in force.
    end = left[0].end
    following = next((version.version for version in left if version.end > end), newest.version)
    return replace(
        newest,
        content=left[0].content,
        version=left[0].version,
        following=NextVersion(following, end),
    )
