"""Shapes of files: quotes, arrays, delimiters, numbers, times, labels, and what cannot be read."""

import bz2
import gzip
import io
import lzma
import shutil
import subprocess
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.intake.layout import BadLine, IntakeError, Label, Layout, Line, Measure
from clients.intake.lines import header_line, read_csv, read_json
from clients.intake.rows import MOST_BYTES, csv_rows, json_rows
from clients.intake.sources import Source
from clients.intake.times import moment, read_time
from clients.recording import unreadable
from clients.refusals import Refusal, Refusals

BERLIN = ZoneInfo("Europe/Berlin")
NOON = "2026-01-31T12:00:00Z"


def layout(**options: object) -> Layout:
    chosen: dict[str, object] = {"time_column": "at", "measures": (Measure("n", "calls"),)}
    return Layout(**{**chosen, "digest": "0123456789ab", **options})


def csv(text: str, **options: object) -> list[Line | BadLine]:
    return list(read_csv(io.BytesIO(text.encode()), layout(**options)))


def json_values(text: str, **options: object) -> list[Line | BadLine]:
    return list(read_json(io.BytesIO(text.encode()), layout(**options)))


def only(lines: list[Line | BadLine]) -> Line:
    [line] = lines
    assert isinstance(line, Line), line
    return line


def quantity(text: str, **options: object) -> str:
    return only(csv(f"at,n\n{NOON},{text}\n", **options)).readings[0].quantity


@pytest.mark.parametrize(
    "text",
    [
        f'at,t,n\n{NOON},"a\n{NOON},x,999999\nb",1\n',
        f'at,t,n\r\n{NOON},"a\r\n{NOON},x,999999\r\nb",1\r\n',
        f'at,t,n\n{NOON}, "a\n{NOON},x,999999\nb",1\n',
        f'at,t,n\n{NOON},"say ""\n{NOON},x,999999\n""",1',
        f'at,"t\n{NOON},x,999999",n\n{NOON},,1',
    ],
    ids=["line feeds", "crlf", "a space before the quote", "doubled quotes", "in the header"],
)
def test_a_quoted_field_is_never_read_as_a_row(text: str) -> None:
    assert only(csv(text)).readings[0].quantity == "1"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f'{NOON},"a,2\n{NOON},x,999999\n', "line 3 has a quoted field that does not end"),
        (f'{NOON},"a"b\n{NOON},x,9\n",2\n', "line 3 has a quote inside of a quoted field"),
        (f'{NOON},"a \\"b\n{NOON},x,9\n",2\n', "line 3 has a quote inside of a quoted field"),
        (f'{NOON}\r{NOON},"a\n{NOON},x,9\n",2\n', "line 3 has a carriage return in the middle"),
        (
            f'{NOON},"{"a" * MOST_BYTES}\n{NOON},x,9\n',
            "line 3 has a quoted field that does not end",
        ),
    ],
    ids=["no end", "inside", "backslash", "carriage return", "too long"],
)
def test_nothing_is_read_after_a_quote_that_does_not_end(text: str, said: str) -> None:
    lines = read_csv(io.BytesIO(f"at,t,n\n{NOON},x,1\n{text}".encode()), layout())

    assert isinstance(next(lines), Line)
    with pytest.raises(IntakeError, match=said):
        next(lines)


@given(st.lists(st.lists(st.text(st.sampled_from('a ,"\n\r;')), min_size=2), max_size=8))
def test_rows_and_their_lines_are_those_that_were_written(rows: list[list[str]]) -> None:
    quoted = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
    content = "".join(f"{row}\n" for row in quoted).encode()

    found = list(csv_rows(io.BytesIO(content), ","))

    assert [fields for _, _, fields in found] == rows
    assert [raw.decode() for _, raw, _ in found] == quoted
    starts = accumulate((row.count("\n") + 1 for row in quoted), initial=1)
    assert [number for number, _, _ in found] == list(starts)[:-1]


def test_lines_after_a_quoted_field_keep_their_numbers() -> None:
    good, bad = csv(f'at,t,n\n{NOON},"a\nb\nc",1\n{NOON},x,many\n')

    assert (good.number, bad.number) == (2, 5)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("1.05e-05", "0.0000105"),
        ("1.5E+3", "1500"),
        ("0e9", "0"),
        ("1e-12", "0.000000000001"),
        ("12345678901234567890123456e0", "12345678901234567890123456"),
        ("5.00000000000000000000", "5"),
    ],
)
def test_numbers_within_twelve_decimals_are_exact(text: str, plain: str) -> None:
    assert quantity(text) == plain


def test_decimal_commas() -> None:
    commas = {"delimiter": ";", "decimal_comma": True}
    good, bad, thousands = csv(f"at;n\n{NOON};1,5\n{NOON};1.5\n{NOON};1.234,5\n", **commas)

    assert isinstance(good, Line)
    assert good.readings[0].quantity == "1.5"
    assert isinstance(bad, BadLine)
    assert "has a point" in bad.reason
    assert isinstance(thousands, BadLine)
    number, text = json_values(
        f'{{"at": "{NOON}", "n": 1.5}}\n{{"at": "{NOON}", "n": "1,5"}}', **commas
    )
    assert [only([line]).readings[0].quantity for line in (number, text)] == ["1.5", "1.5"]


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("1778407200", datetime(2026, 5, 10, 10, tzinfo=UTC)),
        ("1778407260123", datetime(2026, 5, 10, 10, 1, 0, 123000, UTC)),
        ("1778407200.1234567", datetime(2026, 5, 10, 10, 0, 0, 123456, UTC)),
        ("1778407200123.4", datetime(2026, 5, 10, 10, 0, 0, 123400, UTC)),
    ],
)
def test_seconds_and_milliseconds_since_1970(text: str, at: datetime) -> None:
    assert moment(text, None) == moment(text, BERLIN) == at


def test_a_date_is_the_beginning_of_its_day() -> None:
    assert read_time("2026-05-10", BERLIN) == (datetime(2026, 5, 9, 22, tzinfo=UTC), False)
    # Midnight occurs twice in Havana on the first day, and never in Beirut on the second.
    havana, beirut = ZoneInfo("America/Havana"), ZoneInfo("Asia/Beirut")
    assert read_time("2026-11-01", havana) == (datetime(2026, 11, 1, 4, tzinfo=UTC), False)
    assert read_time("2026-03-29", beirut) == (datetime(2026, 3, 28, 22, tzinfo=UTC), False)
    with pytest.raises(IntakeError, match="--time-zone"):
        moment("2026-05-10", None)


def test_times_that_occur_twice_are_marked() -> None:
    times = ("2026-10-25T01:59", "2026-10-25T02:00", "2026-10-25T02:59:59", "2026-10-25T03:00")
    marks = [read_time(text, BERLIN)[1] for text in times]

    assert marks == [False, True, True, False]
    assert read_time("2026-10-25T02:30+02:00", BERLIN)[1] is False


def test_columns_that_nobody_asked_for_are_ignored() -> None:
    line = only(csv(f"at,x,n,x,,,\n{NOON},a,5,b,,,\n"))
    longer = only(csv(f"at,n\n{NOON},5,,,\n"))
    [value] = json_values(f'{{"x": NaN, "at": "{NOON}", "n": 5, "y": {{"z": 1, "z": 2}}}}')

    assert isinstance(value, Line)
    for read in (line, longer, value):
        assert read.readings[0].quantity == "5"


def test_labels_are_texts_and_an_empty_one_is_none() -> None:
    labels = (Label("a", "a"), Label("b.c", "d"), Label("e", "e"), Label("f", "f"), Label("g", "g"))
    text = f'{{"at": "{NOON}", "n": 1, "a": " x ", "b": {{"c": 1.50}}, "e": "", "f": null}}'

    assert only(json_values(text, labels=labels)).labels == (("a", "x"), ("d", "1.50"))
    assert only(json_values(text.replace("null", "true"), labels=labels)).labels[-1] == (
        "f",
        "true",
    )
    [bad] = json_values(text.replace("null", "[1]"), labels=labels)
    assert isinstance(bad, BadLine)


def test_a_key_with_a_dot_wins_over_a_path() -> None:
    text = f'{{"at": "{NOON}", "d.n": 1, "d": {{"n": 2}}}}'

    assert only(json_values(text, measures=(Measure("d.n", "x"),))).readings[0].quantity == "1"
    [bad] = json_values(text, measures=(Measure("d.m", "x"),))
    assert isinstance(bad, BadLine)
    assert bad.reason == "has no `d.m`"


@pytest.mark.parametrize("size", [4, 50, 1_000_000])
@pytest.mark.parametrize("breaks", [False, True], ids=["one line", "lines"])
def test_an_array_is_read_item_by_item(size: int, breaks: bool) -> None:
    items = [f'{{"at": "{NOON}", "n": {n}, "t": "]}},{{\\"n\\": 9"}}' for n in (1, 2)]
    text = f"\ufeff [{', '.join([*items, '7', '[8]'])} ]\n\n"
    content = io.BytesIO((text.replace(", ", ",\n") if breaks else text).encode())
    pieces = iter(lambda: content.readline(size), b"")
    first, second, number, array = read_json(pieces, layout())

    assert isinstance(first, Line)
    assert isinstance(second, Line)
    assert [line.readings[0].quantity for line in (first, second)] == ["1", "2"]
    assert [line.number for line in (first, second, number, array)] == [1, 2, 3, 4]
    assert isinstance(number, BadLine)
    assert number.reason == "is a single value, not a JSON object"
    assert isinstance(array, BadLine)
    assert array.reason == "is an array, not a JSON object"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[{"n": 1},\n{"n": 2}', "line 2: the array, or an item of it, does not end"),
        ('[{"n": 1}]\n[2]', "line 2: something follows the array"),
        ('[{"n": "1}\n]', "line 1: a text does not end on its line"),
    ],
)
def test_an_array_that_does_not_end_is_refused(text: str, said: str) -> None:
    with pytest.raises(IntakeError, match=said):
        list(json_rows(io.BytesIO(text.encode())))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "at;n\n2026;1,5\n",
            "by semicolons, decimals with commas; add --delimiter semicolon --dec",
        ),
        ("at;n\n2026;1\n", "is separated by semicolons; add --delimiter semicolon"),
        ("at\tn\n", "is separated by tabs; add --delimiter tab"),
        ("at|n\n", "is separated by vertical bars; add --delimiter pipe"),
        ("time;n;m\n", "add --delimiter semicolon. There are then: time, n, m"),
        ('{"at": 1}\n', "the file holds JSON; add --format json"),
        ("sep=;\nat;n\n", "separated by ;, as its first line says; add --delimiter ';'"),
        ("time,n,,\n", "there is no column `at`; there are: time, n$"),
    ],
)
def test_a_header_without_the_columns_says_what_to_add(text: str, said: str) -> None:
    with pytest.raises(IntakeError, match=said):
        csv(text)


def test_a_first_line_that_names_the_delimiter_is_no_header() -> None:
    text = f"sep=;\r\nat;n\r\n{NOON};5\r\n"
    line = only(csv(text, delimiter=";"))

    assert (line.number, line.readings[0].quantity) == (3, "5")
    assert header_line(io.BytesIO(text.encode()), ";") == b"at;n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"at,n\n{NOON},1\n", "is CSV, not JSON; add --format csv$"),
        (f"at;n\n{NOON};1\n", "is CSV, not JSON; add --format csv --delimiter semicolon$"),
    ],
)
def test_csv_that_is_called_json_is_named(text: str, said: str) -> None:
    with pytest.raises(IntakeError, match=said):
        json_values(text)


def test_gzip_is_read_and_has_the_digest_of_its_content(tmp_path: Path) -> None:
    plain, packed = tmp_path / "u.csv", tmp_path / "u.csv.gz"
    plain.write_bytes(b"at,n\n" * 1_000)
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    advanced: list[int] = []

    assert Source(packed).measure(advanced.append) == Source(plain).measure(lambda _: None)
    assert sum(advanced) == 5_000
    assert Source(packed).name == plain
    packed.write_bytes(packed.read_bytes()[:-9])
    with pytest.raises(IntakeError, match="damaged"):
        Source(packed).measure(lambda _: None)


@pytest.mark.parametrize(
    ("suffix", "pack", "program"),
    [(".xz", lzma.compress, "xz"), (".bz2", bz2.compress, "bzip2")],
)
def test_other_compressions_are_named_with_the_command_that_unpacks_them(
    tmp_path: Path, suffix: str, pack: "type[lzma.compress]", program: str
) -> None:
    file = tmp_path / f"my usage.csv{suffix}"
    file.write_bytes(pack(b"at,n\n"))

    with pytest.raises(IntakeError, match=f"compressed with {program}") as refused:
        Source(file).open()
    if shutil.which(program):
        command = str(refused.value).splitlines()[-1]
        subprocess.run(command, shell=True, check=True)
        assert (tmp_path / "my usage.csv").read_bytes() == b"at,n\n"


@pytest.mark.parametrize(
    ("name", "start", "said"),
    [
        ("u.zip", b"PK\x03\x04", "compressed with zip; .*\n.*unzip -p .*u.zip > .*u.csv"),
        ("u.csv.zst", b"\x28\xb5\x2f\xfd", "compressed with zstd"),
        ("u.xlsx", b"PK\x03\x04", "a spreadsheet; save it as CSV UTF-8"),
        ("u.parquet", b"PAR1", "Parquet; export it as CSV"),
    ],
)
def test_other_formats_are_named(tmp_path: Path, name: str, start: bytes, said: str) -> None:
    file = tmp_path / name
    file.write_bytes(start + b"....")

    with pytest.raises(IntakeError, match=said):
        Source(file).open()


def test_refusals_are_grouped_by_reason_and_the_most_frequent_is_first() -> None:
    refusals = Refusals()
    for line in range(2, 14):
        refusals.add(unreadable(BadLine(line, b"", "", f"a{'bcdefghijklmn'[line - 2]} is empty")))
    for line in range(20, 120):
        refusals.add(Refusal(line, f"r-{line}", "RESOURCE_NOT_ENTITLED", f"before {line}"))
    for line in range(200, 230):
        refusals.add(unreadable(BadLine(line, b"", "", f"n: '{line}x' is not a number")))

    found = [(group.count, group.first.line) for group in refusals.by_frequency()]

    assert found[:3] == [(100, 20), (30, 200), (1, 2)]
    assert (len(refusals), len(found)) == (142, 14)
