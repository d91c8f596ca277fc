"""Rules and their findings."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

from server.domain.errors import Violation
from server.domain.validation.setups import Setup, stretches


class Severity(StrEnum):
    """The importance of a breach."""

    ERROR = "ERROR"
    WARNING = "WARNING"


@dataclass(frozen=True, slots=True)
class Finding:
    """One breach: a sentence, and the names of the records, the first to be corrected first.

    `refusal` is the violation that prevents an activation; without one the product can be
    activated.
    """

    message: str
    records: tuple[str, ...]
    refusal: Violation | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A requirement for a setup; `check` yields every breach of a setup within its scope."""

    id: str
    severity: Severity
    sentence: str
    remedy: str
    check: Callable[[Setup], Iterator[Finding]]


def by_version(check: Callable[[Setup], Iterator[Finding]]) -> Callable[[Setup], Iterator[Finding]]:
    """Return a check that judges each version of the policies on the days on which it is in force.

    A finding that begins with a later version names the day.
    """

    def check_each(setup: Setup) -> Iterator[Finding]:
        before: tuple[Finding, ...] = ()
        for days, part in stretches(setup):
            found = tuple(check(part))
            for finding in found:
                if finding not in before:
                    yield finding if days.start == date.min else _beginning(finding, days.start)
            before = found

    return check_each


def since(text: str, day: date) -> str:
    """Return the text of a fault that versions of policies cause from their first day on."""
    return f"{text} (from {day} on, when another version of a policy begins)"


def _beginning(finding: Finding, day: date) -> Finding:
    refusal = finding.refusal
    if refusal is not None:
        refusal = replace(refusal, description=since(refusal.description, day))
    return replace(finding, message=since(finding.message, day), refusal=refusal)
