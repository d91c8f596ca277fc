"""What a rule is, and what it finds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from server.domain.errors import Violation
from server.domain.validation.setups import Setup


class Severity(StrEnum):
    """How much a breach matters."""

    ERROR = "ERROR"
    WARNING = "WARNING"


@dataclass(frozen=True, slots=True)
class Finding:
    """One breach: what is wrong, in a sentence, and the names of the records, to mend first.

    `refusal` is what an activation is refused for; without one the product can be activated.
    """

    message: str
    records: tuple[str, ...]
    refusal: Violation | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """What a setup must be; `check` yields every breach of a setup that is within its scope."""

    id: str
    severity: Severity
    sentence: str
    remedy: str
    check: Callable[[Setup], Iterator[Finding]]
