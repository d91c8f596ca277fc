"""The records of a file that were refused, by reason, the most frequent first."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

# Refusals that are kept one by one, for programs; the others are only counted.
MOST_LISTED = 10_000
UNREADABLE = "LINE_UNREADABLE"
# Values in a message, which differ from line to line: quoted texts and numbers.
VALUES = re.compile(r"'[^']*'|\"[^\"]*\"|\d+")


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line, or one record of it, that was not kept."""

    line: int
    record_id: str
    reason: str
    message: str


@dataclass(slots=True)
class Group:
    """Refusals of one reason: how many, and the first of them."""

    first: Refusal
    count: int = 0


@dataclass(slots=True)
class Refusals:
    """The refusals of a file: all counted by reason, the first ones listed."""

    count: int = 0
    listed: list[Refusal] = field(default_factory=list)
    groups: dict[tuple[str, str], Group] = field(default_factory=dict)

    def add(self, refusal: Refusal) -> None:
        """Count a refusal. Lines that cannot be read are told apart by what is wrong with them."""
        self.count += 1
        if len(self.listed) < MOST_LISTED:
            self.listed.append(refusal)
        is_unreadable = refusal.reason == UNREADABLE
        fault = VALUES.sub("…", refusal.message) if is_unreadable else ""
        self.groups.setdefault((refusal.reason, fault), Group(refusal)).count += 1

    def by_frequency(self) -> list[Group]:
        """Return the groups, the most frequent first; of equal ones the earlier first."""
        return sorted(self.groups.values(), key=lambda group: -group.count)

    def __iter__(self) -> Iterator[Refusal]:
        return iter(self.listed)

    def __len__(self) -> int:
        return self.count
