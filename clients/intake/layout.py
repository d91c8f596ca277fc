"""The columns of a file, and the lines that are read from it."""

from dataclasses import dataclass
from datetime import datetime, tzinfo


class IntakeError(Exception):
    """The file cannot be read as asked: another option or another file is needed."""


class Fault(Exception):
    """The fault of one line."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A column and the resource whose quantity it holds."""

    column: str
    resource: str


@dataclass(frozen=True, slots=True)
class Label:
    """A column and the key of the label whose value it holds."""

    column: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The columns of a line. `digest` identifies the file where no column identifies the record.

    Columns of JSON may be paths: `data.tokens`. `account`, `asset` and `unit` are ids that hold for
    all lines that have no column for them. An empty asset is the only one that meters the resource,
    and an empty unit the resource's own.
    """

    time_column: str
    measures: tuple[Measure, ...]
    digest: str
    id_column: str | None = None
    zone: tzinfo | None = None
    account: str = ""
    account_column: str | None = None
    asset: str = ""
    asset_column: str | None = None
    unit: str = ""
    unit_column: str | None = None
    labels: tuple[Label, ...] = ()
    delimiter: str = ","
    decimal_comma: bool = False
    # A record's place in the file, in messages: a line, or an item of a JSON array.
    place: str = "line"

    @property
    def columns(self) -> tuple[str, ...]:
        """Return all columns that are read, each once."""
        single = (self.id_column, self.account_column, self.asset_column, self.unit_column)
        names = [self.time_column, *(measure.column for measure in self.measures)]
        names += [name for name in single if name is not None]
        names += [label.column for label in self.labels]
        return tuple(dict.fromkeys(names))

    def record_id(self, line: int, given: str | None, resource: str) -> str:
        """The id of a record: stable over tries, and never made of what may be corrected."""
        if given is None:
            return f"{self.digest}-{line}-{resource}"
        return given if len(self.measures) == 1 else f"{given}-{resource}"

    def line_id(self, line: int, given: str | None) -> str:
        """Return the column that gives the records of a line the same ids again."""
        if given is not None:
            return given
        if len(self.measures) == 1:
            return self.record_id(line, None, self.measures[0].resource)
        return f"{self.digest}-{line}"


@dataclass(frozen=True, slots=True)
class Reading:
    """One quantity of one resource, as it will be sent."""

    record_id: str
    resource: str
    quantity: str
    usage_time: datetime


@dataclass(frozen=True, slots=True)
class Line:
    """A line that was read.

    `account`, `asset` and `unit` are ids. `is_ambiguous` marks a time that occurs twice in the zone
    of the layout, of which the first was taken.
    """

    number: int
    raw: bytes
    line_id: str
    readings: tuple[Reading, ...]
    account: str = ""
    asset: str = ""
    unit: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    is_ambiguous: bool = False


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that could not be read, and why."""

    number: int
    raw: bytes
    line_id: str
    reason: str


def shown(text: str) -> str:
    """Return the beginning of a text in quotes, for a message."""
    return repr(text if len(text) <= 40 else f"{text[:39]}…")
