"""Options of `usage record` and `usage amend`, and the checked job that they describe."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from clients.intake.cells import EXTERNAL, RESOURCE_ID, asset_of
from clients.intake.diagnosis import DELIMITERS
from clients.intake.layout import BadLine, IntakeError, Label, Layout, Line, Measure
from clients.intake.lines import header_line, read_csv, read_json
from clients.intake.rows import is_array
from clients.intake.sources import Source

JSON_SUFFIXES = frozenset({".json", ".jsonl", ".ndjson"})
TAB_SUFFIXES = frozenset({".tsv", ".tab"})
# A JSON array may be one long line, so JSON is read in parts of this size.
MOST_OF_A_LINE = 64 * 1024


class OnError(StrEnum):
    """The treatment of a line that is refused."""

    STOP = "stop"
    SKIP = "skip"


class Format(StrEnum):
    """The format of a file."""

    CSV = "csv"
    JSON = "json"


FILE = Annotated[
    Path,
    typer.Argument(
        exists=True, dir_okay=False, help="CSV with a header, JSON lines or a JSON array; or gzip"
    ),
]
ACCOUNT = Annotated[str | None, typer.Option(help="the account: ACME or accounts/ACME")]
ACCOUNT_COLUMN = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="the column of the account, instead")
]
ASSET = Annotated[
    str | None,
    typer.Option(
        help="the asset that was used: its id, its external id or its name; without it, the only"
        " one of the account that meters the resource"
    ),
]
ASSET_COLUMN = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="the column of the asset, instead")
]
TIME = Annotated[
    str,
    typer.Option(
        metavar="COLUMN",
        help="the column of the time of usage: ISO 8601, a date, or seconds or milliseconds since"
        " 1970",
    ),
]
MEASURE = Annotated[
    list[str],
    typer.Option(metavar="COLUMN=RESOURCE", help="a quantity and its resource; repeatable"),
]
LABEL = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COLUMN[=KEY]", help="a label, by the name of its column or by KEY; repeatable"
    ),
]
UNIT = Annotated[
    str | None, typer.Option(help="the unit of the quantities; without it, that of the resource")
]
UNIT_COLUMN = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="the column of the unit, instead")
]
TIME_ZONE = Annotated[
    str | None,
    typer.Option(metavar="ZONE", help="zone of times and dates without one: Europe/Berlin"),
]
ID = Annotated[
    str | None,
    typer.Option(
        "--id",
        metavar="COLUMN",
        help="the column of a unique id; without it `record` makes ids of the file and the line",
    ),
]
DELIMITER = Annotated[
    str | None,
    typer.Option(
        metavar="CHARACTER",
        help="what separates columns of CSV: semicolon, tab, pipe, or any character; a comma unless"
        " the file is called .tsv",
    ),
]
DECIMAL_COMMA = Annotated[
    bool, typer.Option("--decimal-comma", help="quantities have a comma before their decimals: 1,5")
]
FORMAT = Annotated[
    Format | None,
    typer.Option("--format", help="how to read the file; by its name unless given"),
]
LOADING = Annotated[
    bool,
    typer.Option(
        "--loading",
        help="declare the accounts as loading until all is done: usage of any age is accepted,"
        " and corrections wait until then",
    ),
]
ON_ERROR = Annotated[
    OnError, typer.Option(help="at a line that cannot be kept: stop there, or skip it")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of the command line, as given."""

    account: str | None
    account_column: str | None
    asset: str | None
    asset_column: str | None
    time: str
    measures: list[str]
    labels: list[str]
    unit: str | None
    unit_column: str | None
    time_zone: str | None
    id_column: str | None
    delimiter: str | None
    decimal_comma: bool
    format: Format | None
    on_error: OnError
    is_loading: bool = False


def with_options(work: Callable[[typer.Context, Path, Options], None]) -> Callable[..., None]:
    """Return a command with the options of a file of usage, which does `work` with them."""

    def command(  # noqa: PLR0913, PLR0917 - an option each
        context: typer.Context,
        file: FILE,
        time: TIME,
        measure: MEASURE,
        account: ACCOUNT = None,
        account_column: ACCOUNT_COLUMN = None,
        asset: ASSET = None,
        asset_column: ASSET_COLUMN = None,
        label: LABEL = None,
        unit: UNIT = None,
        unit_column: UNIT_COLUMN = None,
        time_zone: TIME_ZONE = None,
        id_column: ID = None,
        delimiter: DELIMITER = None,
        decimal_comma: DECIMAL_COMMA = False,
        format_: FORMAT = None,
        on_error: ON_ERROR = OnError.STOP,
        is_loading: LOADING = False,
    ) -> None:
        options = Options(
            account=account,
            account_column=account_column,
            asset=asset,
            asset_column=asset_column,
            time=time,
            measures=measure,
            labels=label or [],
            unit=unit,
            unit_column=unit_column,
            time_zone=time_zone,
            id_column=id_column,
            delimiter=delimiter,
            decimal_comma=decimal_comma,
            format=format_,
            on_error=on_error,
            is_loading=is_loading,
        )
        work(context, file, options)

    command.__doc__ = work.__doc__
    return command


@dataclass(frozen=True, slots=True)
class Job:
    """A file, its checked layout, and its size in bytes when it is unpacked."""

    source: Source
    layout: Layout
    options: Options
    size: int

    @property
    def stops(self) -> bool:
        """Return whether a refused line ends the job."""
        return self.options.on_error is OnError.STOP

    def lines(self) -> Iterator[Line | BadLine]:
        """Read the file from its beginning."""
        with self.source.open() as content:
            if _is_csv(self.source, self.options.format):
                yield from read_csv(content, self.layout)
            else:
                yield from read_json(_pieces(self.source), self.layout)

    def header(self) -> bytes:
        """Return the first row of CSV; nothing of JSON."""
        if not _is_csv(self.source, self.options.format):
            return b""
        with self.source.open() as content:
            return header_line(content, self.layout.delimiter)


def job_of(file: Path, options: Options, advance: Callable[[int], None]) -> Job:
    """Check the options and measure the file. Raises IntakeError for what does not go together.

    `advance` is called with the number of bytes that were read.
    """
    source = Source(file)
    account, asset = _account_and_asset(options)
    _check_not_both("--unit", options.unit, "--unit-column", options.unit_column)
    layout = Layout(
        time_column=options.time,
        measures=_measures(options.measures),
        labels=_labels(options.labels),
        zone=_zone(options.time_zone),
        delimiter=_delimiter(source, options.delimiter),
        digest="",
        id_column=options.id_column,
        account=account,
        account_column=options.account_column,
        asset=asset,
        asset_column=options.asset_column,
        unit=(options.unit or "").removeprefix("unitsOfMeasure/"),
        unit_column=options.unit_column,
        decimal_comma=options.decimal_comma,
    )
    # Reading the whole file comes last, after every option is known to be right.
    digest, size = source.measure(advance)
    is_lines = _is_csv(source, options.format) or not is_array(_pieces(source))
    layout = replace(layout, digest=digest, place="line" if is_lines else "item")
    return Job(source, layout, options, size)


def _pieces(source: Source) -> Iterator[bytes]:
    with source.open() as content:
        while piece := content.readline(MOST_OF_A_LINE):
            yield piece


def _is_csv(source: Source, chosen: Format | None) -> bool:
    """By its name, if no format is given; what is not called JSON is read as CSV."""
    if chosen is not None:
        return chosen is Format.CSV
    return source.name.suffix.lower() not in JSON_SUFFIXES


def _account_and_asset(options: Options) -> tuple[str, str]:
    """Return the ids that hold for all lines; empty where a column has them."""
    _check_not_both("--account", options.account, "--account-column", options.account_column)
    _check_not_both("--asset", options.asset, "--asset-column", options.asset_column)
    if options.account is None and options.account_column is None:
        raise IntakeError("whose usage is it? Add --account ACME, or --account-column COLUMN")
    account = (options.account or "").removeprefix("accounts/")
    asset = (options.asset or "").removeprefix("assets/")
    if asset.startswith("accounts/"):
        of_account, _, asset = asset.removeprefix("accounts/").partition("/assets/")
        if of_account != account:
            raise IntakeError(f"--asset {options.asset} is not of --account {options.account}")
    for option, text, found in (
        ("--account", options.account, account),
        ("--asset", options.asset, asset.removeprefix(EXTERNAL)),
    ):
        if text is not None and not RESOURCE_ID.fullmatch(found):
            raise IntakeError(f"{option} {text}: that is not an id")
    return account, asset_of(asset, "--asset") if asset else ""


def _check_not_both(option: str, value: str | None, other: str, column: str | None) -> None:
    if value is not None and column is not None:
        raise IntakeError(f"give {option} or {other}, not both")


def _measures(texts: list[str]) -> tuple[Measure, ...]:
    found = []
    for text in texts:
        column, equals, resource = text.rpartition("=")
        resource = resource.removeprefix("usageResources/")
        if not equals or not column or not resource:
            raise IntakeError(f"--measure {text}: expected COLUMN=RESOURCE")
        found.append(Measure(column, resource))
    if len({measure.resource for measure in found}) != len(found):
        raise IntakeError("two measures are of one resource; their records would share an id")
    return tuple(found)


def _labels(texts: list[str]) -> tuple[Label, ...]:
    found = []
    for text in texts:
        column, equals, key = text.rpartition("=")
        label = Label(column, key) if equals else Label(text, text)
        if not label.column or not label.key:
            raise IntakeError(f"--label {text}: expected COLUMN or COLUMN=KEY")
        found.append(label)
    if len({label.key for label in found}) != len(found):
        raise IntakeError("two labels have one key")
    return tuple(found)


def _zone(name: str | None) -> ZoneInfo | None:
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise IntakeError(f"--time-zone {name}: no such zone; say it like Europe/Berlin") from None


def _delimiter(source: Source, text: str | None) -> str:
    if text is None:
        return "\t" if source.name.suffix.lower() in TAB_SUFFIXES else ","
    if text in DELIMITERS:
        return DELIMITERS[text][0]
    found = "\t" if text == "\\t" else text
    if len(found) != 1 or found in '"\r\n':
        raise IntakeError(f"--delimiter {text}: expected one character, or {', '.join(DELIMITERS)}")
    return found
