"""Rate lookups and wallet reads, each against a server that does almost nothing."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import date, timedelta
from itertools import cycle
from typing import Any

import grpc
from google.type.decimal_pb2 import Decimal
from usage_management.v1 import rate_service_pb2 as rates
from usage_management.v1 import wallet_service_pb2 as wallets

from clients.values import date_pb
from tests.bench.stack import Stack, fill, world
from tests.stories.words import Metered, line
from tests.stories.world import World

AT_ONCE = 32
ROUNDS = 3
BATCH, FEW = 1000, 100
HIGH = "≥ 100,000"
# More than are remembered one by one, so that in turn each is as if nobody had asked before.
NEW = 60 * BATCH
PRODUCTS, ENTRIES, MODELS = 200, 5, 300
FIRST, SPAN = date(2020, 1, 1), 360

CATALOG = (
    """INSERT INTO products (tenant_id, product_id, usage_model_type, state)
       SELECT $1, 'looked' || n, 'ANCHOR', 'ACTIVE'
         FROM generate_series(0, $2::integer - 1) AS n""",
    """INSERT INTO product_usage_resources (tenant_id, product_id, product_usage_resource_id,
                                            usage_resource_id, state)
       SELECT $1, 'looked' || n, 'calls', 'calls', 'ACTIVE'
         FROM generate_series(0, $2::integer - 1) AS n""",
    f"""INSERT INTO rate_card_entries (tenant_id, rate_card_id, entry_id, product_id,
                                       usage_resource_id, rate_unit_id, rate_value, start_date,
                                       end_date, state)
        SELECT $1, 'base', format('looked%s-%s', n, k), 'looked' || n, 'calls', 'USD', k + 1,
               date '{FIRST}' + k * {SPAN}, date '{FIRST}' + (k + 1) * {SPAN}, 'ACTIVE'
          FROM generate_series(0, $2::integer - 1) AS n, generate_series(0, {ENTRIES - 1}) AS k""",
    f"""INSERT INTO selling_models (tenant_id, selling_model_id, type, state)
        SELECT $1, n, 'EVERGREEN', 'ACTIVE'
          FROM generate_series(0, {MODELS - 1}) AS n WHERE $2::integer > 0""",
    "UPDATE tenants SET catalog_revision = catalog_revision + 1"
    " WHERE tenant_id = $1 AND $2::integer > 0",
)

Call = Callable[[], Awaitable[Any]]


async def rate_of(call: Call, seconds: float, *, at_once: int = AT_ONCE) -> float:
    """Return the answered calls a second when `at_once` are waiting."""
    done = 0
    until = time.perf_counter() + seconds

    async def loop() -> None:
        nonlocal done
        while time.perf_counter() < until:
            await call()
            done += 1

    started = time.perf_counter()
    await asyncio.gather(*(loop() for _ in range(at_once)))
    return done / (time.perf_counter() - started)


async def compare(ours: Call, theirs: Call, seconds: float) -> tuple[float, float]:
    """The medians of both, taken in turn so that a slow moment of the machine is shared."""
    pairs = [(await rate_of(ours, seconds), await rate_of(theirs, seconds)) for _ in range(ROUNDS)]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


async def percentile(call: Call, rate: float, seconds: float, share: float) -> float:
    """The milliseconds that `share` of the calls stay below, at `rate` calls a second."""
    took: list[float] = []

    async def one() -> None:
        started = time.perf_counter()
        await call()
        took.append((time.perf_counter() - started) * 1000)

    until = time.perf_counter() + seconds
    async with asyncio.TaskGroup() as group:
        while time.perf_counter() < until:
            group.create_task(one())
            await asyncio.sleep(1 / rate)
    return sorted(took)[int(len(took) * share)]


def method(channel: grpc.aio.Channel, path: str, request: Any, response: Any, key: str) -> Any:
    """A bare call of one method, so that the client costs the same on both sides."""
    call = channel.unary_unary(
        path,
        request_serializer=request.SerializeToString,
        response_deserializer=response.FromString,
    )
    metadata = (("authorization", f"Bearer {key}"),)
    return lambda message: call(message, metadata=metadata)


async def lookups(stack: Stack, seconds: float) -> list[dict[str, Any]]:
    """Unary and batched discovery."""
    async with world(stack) as tenant:
        await tenant.product("bench", Metered(resource="calls", grant="100", rate="2.5"))
    await fill(stack, CATALOG, PRODUCTS)
    question = rates.RateQuestion(
        price_book="priceBooks/book",
        product="products/bench",
        usage_resource="usageResources/calls",
        currency_code="USD",
    )
    question.date.year, question.date.month, question.date.day = 2024, 1, 15
    one = rates.DiscoverRatesRequest(questions=[question])
    path = "/usage_management.v1.RateService/DiscoverRates"
    types = (rates.DiscoverRatesRequest, rates.DiscoverRatesResponse)
    async with (
        grpc.aio.insecure_channel(stack.address) as near,
        grpc.aio.insecure_channel(stack.yardsticks) as far,
    ):
        discover = method(near, path, *types, stack.key)
        echo = method(far, path, *types, stack.key)
        answer = (await discover(one)).answers[0]
        assert answer.terms.rate.value.value == "2.5", answer
        ours, theirs = await compare(lambda: discover(one), lambda: echo(one), seconds)
        asked = list(_asked_before(question))
        await discover(rates.DiscoverRatesRequest(questions=asked, freshness="FULLY_CONSISTENT"))
        batched = []
        for what, batches, target, size in (
            ("one that was asked before", [[question]], HIGH, BATCH),
            (f"{PRODUCTS} products, as asked before", [asked], HIGH, BATCH),
            # What a batch of 100 costs by the answer, one of 1,000 must not cost more.
            (f"{PRODUCTS} products, as asked before, by 100", _parts(asked), "–", FEW),
            (f"{PRODUCTS} products, on days not asked before", _by_day(question), HIGH, BATCH),
            ("never asked before in any form", _by_model(question), "–", BATCH),
            ("never asked before in any form, by 100", _few(_by_model(question)), "–", FEW),
            ("with an amount, which is rated", _by_amount(question), "–", BATCH),
        ):
            requests = cycle(
                [rates.DiscoverRatesRequest(questions=(one * size)[:size]) for one in batches]
            )
            used = stack.server_seconds()
            calls = await rate_of(
                lambda requests=requests: discover(next(requests)), seconds, at_once=2
            )
            cores = (stack.server_seconds() - used) / seconds
            value = calls * size / max(cores, 0.01)
            name = f"batched DiscoverRates, {what}"
            row = {"what": name, "value": value, "unit": "lookups/s a core", "target": target}
            batched.append(row)
    return [_row("unary DiscoverRates", ours, "calls/s", "empty echo", theirs, "≥ 80 %"), *batched]


def _asked_before(question: rates.RateQuestion) -> Iterator[rates.RateQuestion]:
    """Every product on a day of each of its entries, on which nobody else asks."""
    for n in range(PRODUCTS * ENTRIES):
        yield _about(question, n % PRODUCTS, n // PRODUCTS * SPAN + 3)


def _parts(questions: list[rates.RateQuestion]) -> Iterator[list[rates.RateQuestion]]:
    """The questions in batches of 100."""
    for first in range(0, len(questions), FEW):
        yield questions[first : first + FEW]


def _few(batches: Iterator[list[rates.RateQuestion]]) -> Iterator[list[rates.RateQuestion]]:
    """Batches of a thousand, each as ten."""
    for batch in batches:
        yield from _parts(batch)


def _by_day(question: rates.RateQuestion) -> Iterator[list[rates.RateQuestion]]:
    """Every product on every sixth day of all of its entries, a thousand a batch.

    A day that was asked about is remembered for its entry, not by itself, so that one asked about
    again costs what a new one does.
    """
    for first in range(0, NEW, BATCH):
        numbers = range(first, first + BATCH)
        yield [_about(question, n % PRODUCTS, n // PRODUCTS * 6) for n in numbers]


def _by_model(question: rates.RateQuestion) -> Iterator[list[rates.RateQuestion]]:
    """Every product for each selling model, none of which has a rate of its own."""
    for first in range(0, NEW, BATCH):
        yield [
            _with(_about(question, n % PRODUCTS, 3), selling_model=f"sellingModels/{n // PRODUCTS}")
            for n in range(first, first + BATCH)
        ]


def _by_amount(question: rates.RateQuestion) -> Iterator[list[rates.RateQuestion]]:
    """The question about other quantities, whose amounts are asked for, a thousand a batch."""
    for first in range(0, NEW, BATCH):
        quantities = (Decimal(value=str(n)) for n in range(first, first + BATCH))
        yield [_with(question, quantity=quantity) for quantity in quantities]


def _about(question: rates.RateQuestion, product: int, days: int) -> rates.RateQuestion:
    day = FIRST + timedelta(days=days)
    return _with(question, product=f"products/looked{product}", date=date_pb(day))


def _with(question: rates.RateQuestion, **more: Any) -> rates.RateQuestion:
    made = rates.RateQuestion()
    made.CopyFrom(question)
    made.MergeFrom(rates.RateQuestion(**more))
    return made


async def wallet_reads(stack: Stack, seconds: float) -> list[dict[str, Any]]:
    """One wallet, read as often as it goes."""
    async with world(stack) as tenant:
        name = await _wallet(tenant)
    request = wallets.GetWalletRequest(name=name)
    path = "/usage_management.v1.WalletService/GetWallet"
    types = (wallets.GetWalletRequest, wallets.Wallet)
    async with (
        grpc.aio.insecure_channel(stack.address) as near,
        grpc.aio.insecure_channel(stack.yardsticks) as far,
    ):
        get = method(near, path, *types, stack.key)
        bare = method(far, path, *types, stack.key)
        ours, theirs = await compare(lambda: get(request), lambda: bare(request), seconds)
        slowest = await percentile(lambda: get(request), ours / 2, seconds, 0.99)
    row = _row("wallet read", ours, "calls/s", "one indexed SELECT", theirs, "≥ 60 %")
    return [row | {"p99_ms_at_half_load": round(slowest, 2), "p99_target": "≤ 10 ms"}]


async def _wallet(tenant: World) -> str:
    account = await tenant.account("reader")
    [asset] = await tenant.sell(account, line("bench", "2024-01-01"))
    for day in range(1, 11):
        await tenant.use(asset, "calls", f"2024-01-{day:02}", 5)
    return (await tenant.wallet(account, "calls")).name


def _row(
    what: str, ours: float, unit: str, yardstick: str, theirs: float, target: str
) -> dict[str, Any]:
    return {
        "what": what,
        "value": ours,
        "unit": unit,
        "yardstick": yardstick,
        "yardstick_value": theirs,
        "ratio": ours / theirs,
        "target": target,
    }
