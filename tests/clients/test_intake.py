"""Usage out of files: what is accepted, what is refused with its line, and the ids."""

from datetime import UTC, datetime
from io import BytesIO
from zoneinfo import ZoneInfo

import pytest

from clients.intake.layout import BadLine, IntakeError, Layout, Line, Measure, Reading
from clients.intake.lines import header_line, read_csv, read_json
from clients.intake.times import moment

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def layout(*measures: str, **options: object) -> Layout:
    pairs = [measure.split("=") for measure in measures or ("n=calls",)]
    return Layout(
        time_column="at",
        measures=tuple(Measure(column, resource) for column, resource in pairs),
        digest="0123456789ab",
        **options,
    )


def csv(text: str | bytes, chosen: Layout | None = None) -> list[Line | BadLine]:
    raw = text.encode() if isinstance(text, str) else text
    return list(read_csv(BytesIO(raw), chosen or layout()))


def json_lines(text: str, chosen: Layout | None = None) -> list[Line | BadLine]:
    return list(read_json(BytesIO(text.encode()), chosen or layout()))


@pytest.mark.parametrize(
    "text",
    [
        "at,n\n2026-01-31T12:00:00Z,5\n",
        "at,n\r\n2026-01-31T12:00:00Z,5\r\n",
        "\ufeffat,n\r\n2026-01-31T12:00:00Z,5",
        'at,n\n"2026-01-31 12:00:00Z","5"\n',
        "x,at,n,y\n,2026-01-31T13:00:00+01:00,5,\n",
        " at , n \n 2026-01-31T12:00Z , 5 \n",
    ],
    ids=["plain", "crlf", "bom, no last newline", "quoted", "more columns", "blanks"],
)
def test_csv_as_the_world_writes_it(text: str) -> None:
    [line] = csv(text)

    assert isinstance(line, Line)
    assert line.readings == (Reading("0123456789ab-2-calls", "calls", "5", NOON),)


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("2026-01-31T12:00:00.1234567Z", 123456),
        ("2026-01-31 12:00:00.9999999Z", 999999),
        ("2026-01-31T12:00:00,5Z", 500000),
        ("2026-01-31T12:00:00.000001+00", 1),
        ("2026-01-31t12:00:00.1 UTC", 100000),
    ],
)
def test_more_decimals_of_a_second_are_cut(text: str, micros: int) -> None:
    assert moment(text, None) == NOON.replace(microsecond=micros)


def test_a_time_without_a_zone_is_refused_unless_one_is_named() -> None:
    text = "at,n\n2026-01-31 12:00:00.1234567,5\n"

    with pytest.raises(IntakeError, match=r"line 2: .* no zone.*--time-zone"):
        csv(text)
    [line] = csv(text, layout(zone=BERLIN))
    assert isinstance(line, Line)
    assert line.readings[0].usage_time == datetime(2026, 1, 31, 11, 0, 0, 123456, UTC)


def test_a_zone_that_is_written_wins_over_the_one_that_is_named() -> None:
    assert moment("2026-01-31T12:00:00Z", BERLIN) == NOON


def test_hours_that_come_twice_or_never() -> None:
    assert moment("2026-10-25T02:30:00", BERLIN) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    with pytest.raises(ValueError, match="never was"):
        moment("2026-03-29T02:30:00", BERLIN)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2026-01-31T12:00:00Z", "has 1 field, the header has 2"),
        ("2026-01-31T12:00:00Z,5,6", "has 3 fields, the header has 2"),
        ("2026-01-31T12:00:00Z,", "n is empty"),
        ("2026-01-31T12:00:00Z,five", "n: 'five' is not a number"),
        ("2026-01-31T12:00:00Z,-5", "n: '-5' is below zero"),
        (
            "2026-01-31T12:00:00Z,1e-13",
            "has an exponent and is a number of 13 decimals; at most 12",
        ),
        ("2026-01-31T12:00:00Z,1e26", "has an exponent and more than 26 digits"),
        ("2026-01-31T12:00:00Z,-1e3", "n: '-1e3' is below zero"),
        ("2026-01-31T12:00:00Z,1e3.5", "n: '1e3.5' is not a number"),
        ('2026-01-31T12:00:00Z,"1,5"', "it has a comma. If commas separate the decimals, add"),
        ("2026-01-31T12:00:00Z,0.1234567890123", "not a number of at most 26 digits"),
        ("2026-01-31T12:00:00Z,NaN", "n: 'NaN' is not a number"),
        ("2026-02-30T12:00:00Z,5", "at: '2026-02-30T12:00:00Z' is not a time"),
        ("yesterday,5", "at: 'yesterday' is not a time"),
        ("170000000,5", "at: '170000000' is not a time: seconds since 1970 have 10 digits"),
        ("1700000000123456,5", "is not a time: seconds since 1970 have 10 digits"),
        ("2026-01-31T12:00:00+01:75,5", "is not a time"),
        ("0001-01-01T00:00:00+05:00,5", "out of range"),
        ("2026-01-31T12:00:00Z,5\0", "has a NUL"),
        ("2026-01-31T12:00:00Z,5\rx", "carriage return"),
    ],
)
def test_a_mangled_line_is_named_and_the_others_are_read(row: str, reason: str) -> None:
    bad, good = csv(f"at,n\n{row}\n2026-01-31T12:00:00Z,7\n")

    assert isinstance(bad, BadLine)
    assert (bad.number, bad.raw) == (2, row.encode())
    assert reason in bad.reason
    assert isinstance(good, Line)
    assert good.readings[0].record_id == "0123456789ab-3-calls"


def test_bytes_that_are_no_text_are_named() -> None:
    [bad] = csv(b"at,n\n2026-01-31T12:00:00Z,\xff\n")

    assert isinstance(bad, BadLine)
    assert bad.reason == "is not UTF-8 at byte 22"


def test_lines_count_as_an_editor_counts_them() -> None:
    [line] = csv("at,n\n\n  \n2026-01-31T12:00:00Z,5\n\n")

    assert line.number == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "empty"),
        (b"time,n\n", "no column `at`; there are: time, n"),
        (b"at,n,n\n", "two columns `n`"),
        (b"\xff\xfea\0t\0", "UTF-16"),
        (b'at,"n\n', "line 1 has a quoted field that does not end"),
    ],
)
def test_a_header_that_will_not_do_is_refused(text: bytes, said: str) -> None:
    with pytest.raises(IntakeError, match=said):
        csv(text)


def test_ids_of_several_measures_and_of_a_column() -> None:
    text = "at,n,m,key\n2026-01-31T12:00:00Z,5,6,k-1\n"

    def ids(chosen: Layout) -> list[str]:
        [line] = csv(text, chosen)
        assert isinstance(line, Line)
        return [reading.record_id for reading in line.readings]

    assert ids(layout("n=a", "m=b")) == ["0123456789ab-2-a", "0123456789ab-2-b"]
    assert ids(layout("n=a", "m=b", id_column="key")) == ["k-1-a", "k-1-b"]
    assert ids(layout("n=a", id_column="key")) == ["k-1"]


def test_the_id_of_a_line_gives_its_records_the_same_ids_again() -> None:
    for measures in (("n=a",), ("n=a", "m=b")):
        first = layout(*measures)
        again = layout(*measures, id_column="usage_record_id")
        for measure in first.measures:
            line_id = first.line_id(7, None)
            expected = first.record_id(7, None, measure.resource)
            assert again.record_id(99, line_id, measure.resource) == expected


@pytest.mark.parametrize("given", ["", "two words", "ü", "x" * 129])
def test_an_id_that_cannot_be_one_is_a_fault_of_its_line(given: str) -> None:
    [bad] = csv(f"at,n,key\n2026-01-31T12:00:00Z,5,{given}\n", layout(id_column="key"))

    assert isinstance(bad, BadLine)


def test_zero_is_a_reading() -> None:
    [line] = csv("at,n,m\n2026-01-31T12:00:00Z,0.00,5\n", layout("n=a", "m=b"))

    assert isinstance(line, Line)
    assert [(one.resource, one.quantity) for one in line.readings] == [("a", "0.00"), ("b", "5")]


def test_json_lines_are_exact() -> None:
    [line] = json_lines('\ufeff{"at": "2026-01-31T12:00:00Z", "n": 0.100000000001, "x": [1]}\r\n')

    assert isinstance(line, Line)
    assert line.readings[0].quantity == "0.100000000001"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("[1]", "not a JSON object"),
        ("{", "not JSON"),
        ('{"at": "2026-01-31T12:00:00Z"}', "has no `n`"),
        ('{"at": "2026-01-31T12:00:00Z", "n": null}', "neither a text nor a number"),
        ('{"at": "2026-01-31T12:00:00Z", "n": true}', "neither a text nor a number"),
        ('{"at": "2026-01-31T12:00:00Z", "n": NaN}', "NaN is not a number"),
        ('{"at": "2026-01-31T12:00:00Z", "n": 1e999999}', "out of range"),
        ('{"at": "2026-01-31T12:00:00Z", "n": 1, "n": 2}', "a key twice"),
        ('{"n": ' + "[" * 100_000, "not JSON"),
    ],
)
def test_a_mangled_json_line_is_named(row: str, reason: str) -> None:
    [bad] = json_lines(f"{row}\n")

    assert isinstance(bad, BadLine)
    assert reason in bad.reason


def test_the_header_line_is_plain() -> None:
    assert header_line([b"\xef\xbb\xbfat,n\r\n", b"x\n"]) == b"at,n"
