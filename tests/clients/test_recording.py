"""Files to records: every line is accounted for, and the next try loses and doubles nothing."""

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from google.protobuf.message import Message
from usage_management.v1 import consumption_service_pb2 as consumption

from clients import UsageClient, intake
from clients.intake import BadLine, Layout, Line, Measure
from clients.recording import ID_COLUMN, Account, Sending, batches, write_left
from tests.clients.small_server import Script, answering, refusal

HEADER = "at,n\n"
REFUSED = refusal(grpc.StatusCode.NOT_FOUND, "ASSET_NOT_FOUND")


def layout(*measures: str, id_column: str | None = None) -> Layout:
    pairs = [measure.split("=") for measure in measures or ("n=calls",)]
    return Layout(
        time_column="at",
        measures=tuple(Measure(column, resource) for column, resource in pairs),
        digest="0123456789ab",
        id_column=id_column,
    )


def row(minute: int, *quantities: object) -> str:
    return ",".join([f"2026-01-31T12:{minute:02}:00Z", *map(str, quantities)]) + "\n"


def fill(file: Path, text: str) -> None:
    file.write_text(text)


class Keeping:
    """A service that keeps records by their ids and refuses those of a quantity of 13."""

    def __init__(self) -> None:
        self.records: dict[str, consumption.UsageRecordInput] = {}
        self.calls: list[int] = []

    def __call__(self, request: Message) -> Message:
        assert isinstance(request, consumption.RecordUsageRequest)
        self.calls.append(len(request.records))
        return consumption.RecordUsageResponse(
            outcomes=[self._one(record) for record in request.records]
        )

    def _one(self, record: consumption.UsageRecordInput) -> consumption.RecordOutcome:
        if record.quantity.value == "13":
            return consumption.RecordOutcome(code="REJECTED", status=REFUSED)
        if record.record_id in self.records:
            return consumption.RecordOutcome(code="DUPLICATE")
        self.records[record.record_id] = record
        return consumption.RecordOutcome(code="ACCEPTED")


@pytest.fixture
def service() -> Keeping:
    return Keeping()


@pytest.fixture
async def client(service: Keeping) -> AsyncIterator[UsageClient]:
    script = Script({"RecordUsage": [service]})
    async with answering(script) as address, UsageClient(address, "k") as made:
        yield made


async def send(
    client: UsageClient, file: Path, chosen: Layout | None = None, *, stop: bool = False
) -> Account:
    chosen = chosen or layout()
    with file.open("rb") as lines:
        sending = Sending(
            client,
            "accounts/a/assets/b",
            measures=len(chosen.measures),
            stop_at_refusal=stop,
        )
        return await sending.send(intake.read_csv(lines, chosen))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "usage.csv"


async def test_a_file_is_recorded_in_batches_once(
    client: UsageClient, service: Keeping, file: Path
) -> None:
    fill(file, HEADER + "".join(row(n % 60, 5) for n in range(1_001)))

    account = await send(client, file)
    again = await send(client, file)

    assert (account.counts["accepted"], account.is_whole) == (1_001, True)
    assert (again.counts["duplicates"], again.kept) == (1_001, 1_001)
    assert service.calls == [1_000, 1, 1_000, 1]


async def test_several_measures_never_make_a_batch_too_large(
    client: UsageClient, service: Keeping, file: Path
) -> None:
    rows = [row(0, 5, 0, 0), *(row(n % 60, 5, 6, 7) for n in range(600))]
    fill(file, "at,n,m,o\n" + "".join(rows))

    account = await send(client, file, layout("n=a", "m=b", "o=c"))

    assert (account.counts["accepted"], account.zeros) == (1_801, 2)
    assert max(service.calls) <= 1_000


async def test_skipping_keeps_the_rest_and_the_lines_left_can_be_corrected(
    client: UsageClient, service: Keeping, file: Path
) -> None:
    fill(file, HEADER + row(0, 5) + "mangled\n" + row(1, 13) + row(2, 6))

    account = await send(client, file)

    assert (account.kept, account.is_whole) == (2, False)
    assert [(one.line, one.reason) for one in account.refusals] == [
        (3, "LINE_UNREADABLE"),
        (4, "ASSET_NOT_FOUND"),
    ]
    left = write_left(file, account.left, layout(), b"at,n")
    assert left.name == "usage.left.csv"
    text = left.read_text()
    assert text.splitlines()[0] == f"at,n,{ID_COLUMN}"
    text = text.replace("mangled,", row(3, 7).strip() + ",").replace(",13,", ",14,")
    fill(left, text)

    corrected = await send(client, left, layout(id_column=ID_COLUMN))

    assert corrected.is_whole
    assert sorted(service.records) == [f"0123456789ab-{line}-calls" for line in (2, 3, 4, 5)]
    assert (await send(client, left, layout(id_column=ID_COLUMN))).counts["duplicates"] == 2


async def test_a_line_kept_in_part_is_not_doubled_by_its_correction(
    client: UsageClient, service: Keeping, file: Path
) -> None:
    fill(file, "at,n,m\n" + row(0, 5, 13))
    both = ("n=a", "m=b")

    account = await send(client, file, layout(*both))
    left = write_left(file, account.left, layout(*both), b"at,n,m")
    fill(left, left.read_text().replace(",13,", ",14,"))
    corrected = await send(client, left, layout(*both, id_column=ID_COLUMN))

    assert (corrected.counts["duplicates"], corrected.counts["accepted"]) == (1, 1)
    assert sorted(service.records) == ["0123456789ab-2-a", "0123456789ab-2-b"]


async def test_stopping_leaves_what_comes_behind_to_the_next_try(
    client: UsageClient, service: Keeping, file: Path
) -> None:
    rows = [row(0, 13), *(row(n % 60, 5) for n in range(1_500))]
    fill(file, HEADER + "".join(rows))

    account = await send(client, file, stop=True)

    assert service.calls == [1_000]
    assert (account.counts["accepted"], account.unsent, len(account.left)) == (999, 501, 502)


def test_lines_left_never_overwrite_a_file(tmp_path: Path) -> None:
    file = tmp_path / "u.csv"
    line = BadLine(2, b"x", "id-2", "is mangled")

    first = write_left(file, [line], layout(), b"at,n")
    second = write_left(file, [line], layout(id_column="key"), b"at,n,key")
    third = write_left(file, [line], layout(), b"at,n")

    assert (first.name, second.name) == ("u.left.csv", "u.left-2.csv")
    assert third == first, "the same lines again are in the same file"
    assert second.read_bytes() == b"at,n,key\nx\n"


@pytest.mark.parametrize("raw", [b'{"at": 1}', b"{}", b'  {"at": 1} ', b"mangled\xff", b"[1]"])
def test_json_lines_left_carry_their_ids(tmp_path: Path, raw: bytes) -> None:
    chosen = layout()
    left = write_left(tmp_path / "u.jsonl", [BadLine(4, raw, "id-4", "?")], chosen, b"")

    with left.open("rb") as lines:
        [read] = intake.read_json(lines, layout(id_column=ID_COLUMN))
    assert isinstance(read, BadLine)
    assert read.line_id == "id-4"


def test_batches_hold_all_lines_in_order() -> None:
    lines = [Line(number, b"", "", ()) for number in range(1, 8)]

    assert [len(batch) for batch in batches(iter(lines), 3)] == [3, 3, 1]
