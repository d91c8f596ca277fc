"""Files to records: every line is accounted for, and the next try loses and doubles nothing."""

import itertools
import tracemalloc
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import grpc
import pytest
from google.protobuf.message import Message
from usage_management.v1 import account_service_pb2 as accounts
from usage_management.v1 import asset_service_pb2 as assets
from usage_management.v1 import consumption_service_pb2 as consumption

from clients import UsageClient
from clients.intake.layout import BadLine, Layout, Line, Measure
from clients.intake.lines import header_line, read_csv, read_json
from clients.left_lines import ID_COLUMN, LeftLines
from clients.recording import Account, Sending, batches, unreadable
from clients.refusals import Refusals
from clients.values import date_pb
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
        account="a",
        asset="b",
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
        header = header_line(lines)
        lines.seek(0)
        sending = Sending(
            client,
            measures=len(chosen.measures),
            stop_at_refusal=stop,
            left=LeftLines(chosen, header),
        )
        return await sending.send(read_csv(lines, chosen))


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

    assert account.counts["accepted"] == 1_803
    assert service.records["0123456789ab-2-b"].quantity.value == "0"
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
    left = account.left.write(file)
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
    left = account.left.write(file)
    fill(left, left.read_text().replace(",13,", ",14,"))
    corrected = await send(client, left, layout(*both, id_column=ID_COLUMN))

    assert (corrected.counts["duplicates"], corrected.counts["accepted"]) == (1, 1)
    assert sorted(service.records) == ["0123456789ab-2-a", "0123456789ab-2-b"]


async def test_a_left_row_with_empty_fields_behind_it_can_be_recorded(
    client: UsageClient, service: Keeping, file: Path
) -> None:
    fill(file, HEADER + row(0, 5) + row(1, 13).strip() + ",,,\n")

    account = await send(client, file)
    left = account.left.write(file)
    fill(left, left.read_text().replace(",13,", ",14,"))

    assert (await send(client, left, layout(id_column=ID_COLUMN))).is_whole
    assert sorted(service.records) == ["0123456789ab-2-calls", "0123456789ab-3-calls"]


async def test_stopping_leaves_what_comes_behind_to_the_next_try(
    client: UsageClient, service: Keeping, file: Path
) -> None:
    rows = [row(0, 13), *(row(n % 60, 5) for n in range(1_500))]
    fill(file, HEADER + "".join(rows))

    account = await send(client, file, stop=True)

    assert service.calls == [1_000]
    assert (account.counts["accepted"], account.unsent, account.left.count) == (999, 501, 502)


def left_of(chosen: Layout, header: bytes, *lines: Line | BadLine) -> LeftLines:
    left = LeftLines(chosen, header)
    for line in lines:
        left.add(line)
    return left


def test_lines_left_never_overwrite_a_file(tmp_path: Path) -> None:
    file = tmp_path / "u.csv"
    line = BadLine(2, b"x", "id-2", "is mangled")

    first = left_of(layout(), b"at,n", line).write(file)
    second = left_of(layout(id_column="key"), b"at,n,key", line).write(file)
    third = left_of(layout(), b"at,n", line).write(file)

    assert (first.name, second.name) == ("u.left.csv", "u.left-2.csv")
    assert third == first, "the same lines again are in the same file"
    assert second.read_bytes() == b"at,n,key\nx\n"


@pytest.mark.parametrize("raw", [b'{"at": 1}', b"{}", b'  {"at": 1} ', b"mangled\xff", b"[1]"])
def test_json_lines_left_carry_their_ids(tmp_path: Path, raw: bytes) -> None:
    left = left_of(layout(), b"", BadLine(4, raw, "id-4", "?")).write(tmp_path / "u.jsonl")

    with left.open("rb") as lines:
        [read] = read_json(lines, layout(id_column=ID_COLUMN))
    assert isinstance(read, BadLine)
    assert read.line_id == "id-4"


def test_lines_that_are_left_are_not_held_in_memory(tmp_path: Path) -> None:
    header = b"at,n\n"
    rows = (f"2026-01-31T12:00:00Z,{'many' * 500}\n".encode() for _ in range(20_000))
    left, refusals = LeftLines(layout(), header.strip()), Refusals()
    tracemalloc.start()
    try:
        for line in read_csv(itertools.chain([header], rows), layout()):
            assert isinstance(line, BadLine)
            left.add(line)
            refusals.add(unreadable(line))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert (refusals.count, len(refusals.listed)) == (20_000, 10_000)
    assert left.write(tmp_path / "u.csv").stat().st_size > 40_000_000
    assert most < 25_000_000


ASSETS = {
    "acme": ["plan", "pack"],
    "globex": ["old 2026-01-01 2026-02-01", "new 2026-02-01"],
    "initech": ["left", "right"],
    "empty": [],
}


def listed(request: Message) -> Message:
    """Answer with the assets of an account, from 2026 on unless they have dates."""
    assert isinstance(request, assets.ListAssetsRequest)
    found = []
    for text in ASSETS[request.parent.partition("/")[2]]:
        name, *days = text.split()
        first, *last = [date.fromisoformat(day) for day in days or ["2026-01-01"]]
        asset = assets.Asset(
            name=f"{request.parent}/assets/{name}",
            # Usage is recorded for anchors only.
            usage_model_type="PACK" if name == "pack" else "ANCHOR",
            start_date=date_pb(first),
        )
        if last:
            asset.end_date.CopyFrom(date_pb(last[0]))
        found.append(asset)
    return assets.ListAssetsResponse(assets=found)


async def test_the_only_asset_that_meters_is_used_without_its_name(
    service: Keeping, file: Path
) -> None:
    zone = accounts.Account(time_zone="Asia/Tokyo")
    script = Script({"RecordUsage": [service], "ListAssets": [listed], "GetAccount": [zone]})
    # The second is the first of February in Tokyo.
    times = {"acme": "2026-01-31T12:00:00Z", "globex": "2026-01-31T15:00:00Z"}
    cells = [*times.items(), ("globex", "2026-01-31T14:59:59Z"), ("initech", times["acme"])]
    rows = "".join(f"{account},{at},1\n" for account, at in [*cells, ("empty", times["acme"])])
    fill(file, "who,at,n\n" + rows)
    chosen = replace(layout(), account="", asset="", account_column="who")

    async with answering(script) as address, UsageClient(address, "k") as client:
        account = await send(client, file, chosen)

    assert [record.asset for record in service.records.values()] == [
        "accounts/acme/assets/plan",
        "accounts/globex/assets/new",
        "accounts/globex/assets/old",
    ]
    assert [(refusal.line, refusal.reason) for refusal in account.refusals] == [
        (5, "ASSET_AMBIGUOUS"),
        (6, "ASSET_NOT_FOUND"),
    ]
    assert "left, right" in account.refusals.listed[0].message
    assert account.counts["rejected"] == 2
    asked = [one for one in script.asked if isinstance(one, assets.ListAssetsRequest)]
    assert len(asked) == 4, "one question for each account"


def test_batches_hold_all_lines_in_order() -> None:
    lines = [Line(number, b"", "", ()) for number in range(1, 8)]

    assert [len(batch) for batch in batches(iter(lines), 3)] == [3, 3, 1]
