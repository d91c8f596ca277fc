"""Rules and their findings."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from server.domain.errors import Violation
from server.domain.validation.setups import Setup


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
