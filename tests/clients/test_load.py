"""The load driver against a server of a few lines: what it asks, what it counts, how it ends."""

import asyncio
import json
from decimal import Decimal
from itertools import cycle, islice, pairwise
from pathlib import Path

import grpc
import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st
from usage_management.v1 import rate_service_pb2 as rates
from usage_management.v1 import types_pb2 as types

from clients import UsageClient, demo, questions
from clients.cli.load_report import About, as_json, rows
from clients.descriptions import DescriptionError
from clients.histogram import Histogram
from clients.load import Figures, Load, Plan, requests
from clients.values import decimal_pb, enum_name
from tests.clients.command_line import Ended, usage
from tests.clients.small_server import Answer, Script, answering, refusal
from tests.service import Service, add_tenant
from tests.stories.words import moment

MILLISECOND = 1_000_000
UNKNOWN = refusal(grpc.StatusCode.FAILED_PRECONDITION, "RATE_NOT_FOUND")
BUSY = refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_CALLS")


def question(number: int) -> rates.RateQuestion:
    return rates.RateQuestion(usage_resource=f"usageResources/r{number}")


def answer(request: Message) -> rates.DiscoverRatesResponse:
    """An answer to each question, but to the first of each call."""
    assert isinstance(request, rates.DiscoverRatesRequest)
    answers = [rates.RateAnswer(source="RATE_SOURCE_CATALOG") for _ in request.questions]
    answers[0] = rates.RateAnswer(status=UNKNOWN)
    return rates.DiscoverRatesResponse(answers=answers)


def one_answer(_: Message) -> rates.DiscoverRatesResponse:
    return rates.DiscoverRatesResponse(answers=[rates.RateAnswer(source="RATE_SOURCE_CATALOG")])


async def loaded(script: Script, asked: list[bytes], **plan: float | None) -> Figures:
    async with answering(script) as address:
        made = Plan(address=address, key="k", **{"warmup_seconds": 0.05, **plan})  # type: ignore[arg-type]
        return await Load(made, asked).run(lambda _: None)


@given(st.integers(1, 40), st.integers(1, 60))
def test_all_questions_are_asked_in_turn(many: int, batch: int) -> None:
    asked = [
        one.usage_resource
        for body in requests([question(number) for number in range(many)], batch)
        for one in rates.DiscoverRatesRequest.FromString(body).questions
    ]

    assert len(asked) % batch == 0
    assert len(asked) % many == 0, "so that the next round begins with the first"
    assert asked == list(
        islice(cycle(f"usageResources/r{number}" for number in range(many)), len(asked))
    )


async def test_a_closed_loop_counts_calls_answers_and_what_has_none() -> None:
    script = Script({"DiscoverRates": [answer]})

    found = await loaded(
        script, requests([question(1), question(2)], 5), seconds=0.4, connections=2, in_flight=3
    )

    assert found.call_count == found.latencies.count == found.begun_count > 0
    assert found.answer_count == 4 * found.call_count
    assert found.unanswered == {("FAILED_PRECONDITION", "RATE_NOT_FOUND"): found.call_count}
    assert found.calls_in_time <= found.call_count <= found.calls_in_time + 6
    assert (found.not_begun_count, found.delays.count, found.errors) == (0, 0, {})
    assert len(script.asked) > found.call_count, "the warm-up is not counted"
    assert script.metadata[0]["authorization"] == "Bearer k"


async def test_calls_at_once_are_as_many_as_planned() -> None:
    waiting: list[int] = [0]
    most: list[int] = [0]

    async def slowly(request: Message) -> Message:
        waiting[0] += 1
        most[0] = max(most[0], waiting[0])
        await asyncio.sleep(0.02)
        waiting[0] -= 1
        return one_answer(request)

    await loaded(
        Script({"DiscoverRates": [slowly]}),
        requests([question(1)], 1),
        seconds=0.3,
        connections=2,
        in_flight=4,
    )

    assert most[0] == 8


async def test_calls_that_fail_are_counted_by_reason() -> None:
    found = await loaded(Script({"DiscoverRates": [BUSY]}), requests([question(1)], 1), seconds=0.2)

    assert found.errors == {("RESOURCE_EXHAUSTED", "TOO_MANY_CALLS"): found.begun_count}
    assert (found.call_count, found.latencies.count) == (0, 0)


async def test_an_open_loop_keeps_its_rate() -> None:
    found = await loaded(
        Script({"DiscoverRates": [one_answer]}),
        requests([question(1)], 1),
        seconds=0.5,
        in_flight=8,
        rate=100.0,
    )

    assert found.begun_count + found.not_begun_count == 50
    assert 25 <= found.call_count <= 50
    assert found.delays.count > 0


async def test_an_open_loop_shows_a_stall_in_all_that_was_due_meanwhile() -> None:
    stalls = iter([True])

    async def stalling(request: Message) -> Message:
        if next(stalls, False):
            await asyncio.sleep(0.4)
        return one_answer(request)

    found = await loaded(
        Script({"DiscoverRates": [stalling]}),
        requests([question(1)], 1),
        seconds=1.0,
        rate=100.0,
        warmup_seconds=0.0,
    )

    slow = sum(count for first, _, count in found.latencies.buckets() if first > 100 * MILLISECOND)
    assert slow >= 25, "a call every 10 ms was due while one took 400"


async def test_a_service_that_falls_behind_is_told() -> None:
    async def slowly(request: Message) -> Message:
        await asyncio.sleep(0.05)
        return one_answer(request)

    found = await loaded(
        Script({"DiscoverRates": [slowly]}), requests([question(1)], 1), seconds=0.5, rate=100.0
    )

    assert found.begun_count + found.not_begun_count == 50
    assert found.not_begun_count >= 30
    assert 0 < found.calls_in_time <= 10


async def test_the_questions_of_a_catalog_have_answers(service: Service) -> None:
    _, key = await add_tenant(service, moment("2026-01-01"))
    async with UsageClient(service.address, key) as client:
        assert await questions.of_catalog(client) == []
        for file in demo.FILES.values():
            await demo.set_up(client, file)
        asked = await questions.of_catalog(client)
        found = await client.rates.DiscoverRates(rates.DiscoverRatesRequest(questions=asked))

    assert len(asked) == 7
    assert {enum_name(one, "source") for one in found.answers} == {"CATALOG"}
    assert not any(one.HasField("status") for one in found.answers)


async def test_only_what_is_in_force_is_asked() -> None:
    entry = rates.RateCardEntry(
        product="products/p", usage_resource="usageResources/r", currency_code="USD"
    )
    active, draft = (
        rates.RateCardEntry(state=state, usage_resource=f"usageResources/{state}")
        for state in (types.CATALOG_STATE_ACTIVE, types.CATALOG_STATE_DRAFT)
    )
    active.MergeFrom(entry)
    cards = [
        rates.RateCard(name="rateCards/base", type="BASE"),
        rates.RateCard(name="rateCards/tiers", type="TIER"),
    ]
    book = rates.PriceBook(name="priceBooks/b", rate_cards=[card.name for card in cards])
    script = Script(
        {
            "ListRateCards": [rates.ListRateCardsResponse(rate_cards=cards)],
            "ListPriceBooks": [rates.ListPriceBooksResponse(price_books=[book])],
            "ListRateCardEntries": [
                rates.ListRateCardEntriesResponse(rate_card_entries=[active, active, draft])
            ],
        }
    )
    async with answering(script) as address, UsageClient(address, "k") as client:
        found = await questions.of_catalog(client)

    assert found == [
        rates.RateQuestion(
            price_book="priceBooks/b",
            product="products/p",
            usage_resource="usageResources/r",
            currency_code="USD",
        )
    ]


def test_questions_in_a_file_are_written_as_people_write(tmp_path: Path) -> None:
    file = tmp_path / "q.jsonl"
    file.write_text('{"usage_resource": "usageResources/r", "quantity": 2.5}\n\n')

    [found] = questions.of_file(file)

    assert found.quantity == decimal_pb(Decimal("2.5"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no questions"),
        ('\n{"product"', "line 2: is no JSON"),
        ('{"products": "p"}', r"line 1: products: there is no such field; product\?"),
        ("[]", "line 1: must have fields"),
    ],
)
def test_a_file_that_cannot_be_read_says_where(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "q.jsonl"
    file.write_text(text)

    with pytest.raises(DescriptionError, match=said):
        questions.of_file(file)


@given(st.lists(st.integers(0, 10**11), max_size=100))
def test_rows_of_the_drawing_hold_everything_in_order(values: list[int]) -> None:
    histogram = Histogram()
    for value in values:
        histogram.record(value)

    found = rows(histogram)

    assert sum(count for *_, count in found) == len(values)
    assert all(before[1] == after[0] for before, after in pairwise(found))


def test_figures_for_programs_are_named_as_in_protos() -> None:
    plan = Plan(address="a:1", key="k", seconds=2.0, rate=10.0)
    figures = Figures(call_count=4, calls_in_time=4, answer_count=8, answers_in_time=8)
    figures.latencies.record(2 * MILLISECOND)
    figures.errors["UNAVAILABLE", "UNAVAILABLE"] = 3

    found = as_json(About(plan, 2, 7, "CATALOG"), figures)

    assert (found["loop"], found["calls_per_second"], found["answers_per_second"]) == (
        "OPEN",
        2.0,
        4.0,
    )
    assert found["errors"] == [{"code": "UNAVAILABLE", "reason": "UNAVAILABLE", "count": 3}]
    assert found["latency_ms"]["p99_9"] == found["latency_ms"]["max"] == 2.0
    assert found["histogram"] == [{"from_ms": 2.0, "to_ms": 3.0, "count": 1}]
    assert "k" not in found.values()


async def bench(tmp_path: Path, *answers: Answer, more: tuple[str, ...] = ()) -> Ended:
    file = tmp_path / "q.jsonl"
    file.write_text('{"usage_resource": "usageResources/r"}\n')
    async with answering(Script({"DiscoverRates": list(answers)})) as address:
        where = ("--address", address, "--key", "k", "--questions", str(file), "--seconds", "0.3")
        return await usage("bench", "rates", *where, *more, home=tmp_path)


async def test_bench_as_a_program(tmp_path: Path) -> None:
    told = await bench(tmp_path, one_answer)
    plain = await bench(tmp_path, one_answer, more=("--json", "--rate", "50"))
    partly = await bench(tmp_path, one_answer, BUSY)
    refused = await bench(tmp_path, BUSY)
    nobody = await usage("bench", "rates", "--address", "127.0.0.1:1", "--key", "k", home=tmp_path)

    assert [one.code for one in (told, plain, partly, refused, nobody)] == [0, 0, 4, 1, 3]
    for part in ("calls/s", "answers/s", "p99.9", "█", "1 different in the file"):
        assert part in told.out
    assert json.loads(plain.out)["target_calls_per_second"] == 50
    assert "calls failed: RESOURCE_EXHAUSTED (TOO_MANY_CALLS)" in partly.out


async def test_bench_without_rates_is_still_the_measurements(tmp_path: Path) -> None:
    ended = await usage("bench", "--help", home=tmp_path)

    assert ended.code == 0
    assert "--small" in ended.out
    assert "usage bench rates" in " ".join(ended.out.split())
