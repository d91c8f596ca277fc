"""Bad numbers and currencies in questions, entries and policies (N and R of the matrix)."""

import time
from typing import Any

import pytest
from google.type import decimal_pb2
from grpc import StatusCode
from usage_management.v1 import catalog_resources_pb2 as catalog
from usage_management.v1 import catalog_service_pb2 as catalog_rpc
from usage_management.v1 import policy_resources_pb2 as policies
from usage_management.v1 import policy_service_pb2 as policy_rpc
from usage_management.v1 import quote_service_pb2 as quotes
from usage_management.v1 import rate_service_pb2 as rates
from usage_management.v1 import types_pb2 as types

from clients import UsageError
from tests.api.inputs.rate_calls import CREATE, DISCOVER, MOVE
from tests.api.refusals import INVALID, NOT_DECIMALS, is_
from tests.api.wire import Wire
from tests.stories.rate_words import adding, priced
from tests.stories.words import Metered, day, line, number

DATED = {
    "price_book": "priceBooks/book",
    "product": "products/plan",
    "usage_resource": "usageResources/calls",
    "currency_code": "USD",
    "date": day("2024-01-15"),
}


async def answered(wire: Wire, **more: Any) -> rates.RateAnswer:
    """The answer to a question of what the plan's calls cost, or to that with other fields."""
    request = rates.DiscoverRatesRequest(questions=[DATED | more])
    answer = await wire.call(DISCOVER, request)
    assert isinstance(answer, bytes), answer
    [found] = rates.DiscoverRatesResponse.FromString(answer).answers
    return found


@pytest.mark.parametrize("text", NOT_DECIMALS, ids=lambda text: repr(text[:12]))
async def test_n01_to_n04_n08_a_question_has_a_decimal_and_its_loop_is_not_held_up(
    wire: Wire, text: str
):
    began = time.perf_counter()
    found = await answered(wire, quantity=decimal_pb2.Decimal(value=text))
    took = time.perf_counter() - began

    error = UsageError.of_status(found.status)
    assert (error.code, error.reason) == (INVALID, "DECIMAL_FORMAT")
    assert error.facts["field"] == "quantity"
    assert (found.HasField("terms"), found.HasField("amount")) == (False, False)
    assert took < 0.5


@pytest.mark.parametrize("text", NOT_DECIMALS, ids=lambda text: repr(text[:12]))
@pytest.mark.parametrize("field", ["rate.value", "rate.per", "tier_per", "lower", "upper", "value"])
async def test_n01_to_n04_n08_every_number_of_an_entry_is_a_decimal(
    wire: Wire, text: str, field: str
):
    if field.startswith("rate"):
        made, path = priced("calls", "1"), field
        getattr(made.rate, field[5:]).value = text
    else:
        made = priced("calls", None, ("0", "10", "OVERRIDE", "1"), ("10", None, "OVERRIDE", "2"))
        first, path = made.tiers.tiers[0], f"tiers.tiers[0].{field}"
        if field == "tier_per":
            made.tier_per.value, path = text, field
        elif field == "value":
            first.adjustment.value.value, path = text, "tiers.tiers[0].adjustment.value"
        else:
            getattr(first, field).value = text
    name = "base/bad" if field.startswith("rate") else "tiers/bad"

    refused = await wire.refused(CREATE, adding(name, made))

    is_(refused, INVALID, "DECIMAL_FORMAT")
    assert refused.fields[0] == f"rate_card_entry.{path}"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0." + "0" * 12 + "1", "DECIMAL_SCALE"),  # N05
        ("1" + "0" * 26, "DECIMAL_RANGE"),  # N07
        ("-1", "QUANTITY_NEGATIVE"),  # N10
    ],
)
async def test_n05_n07_n10_a_question_has_a_quantity_in_its_range(
    wire: Wire, text: str, reason: str
):
    found = await answered(wire, quantity=decimal_pb2.Decimal(value=text))
    error = UsageError.of_status(found.status)
    assert (error.code, error.reason, error.facts["field"]) == (INVALID, reason, "quantity")


async def test_n09_nothing_costs_nothing_and_the_most_is_exact(wire: Wire):
    most, beyond = f"{2**62 - 1}.{'9' * 12}", "9" * 26 + "." + "9" * 12
    nothing = await answered(wire, quantity=number(0))
    all_there_is = await answered(wire, quantity=decimal_pb2.Decimal(value=most))
    more_than_money = await answered(wire, quantity=decimal_pb2.Decimal(value=beyond))
    assert nothing.amount.value == "0"
    assert all_there_is.amount.value == f"{2**63 - 1}.{'9' * 11}8"
    assert "AMOUNT_RANGE" in str(more_than_money.status)


@pytest.mark.parametrize("text", ["0", "-1", "-0.000000000001", "0.0000000000001"])
async def test_n12_a_factor_is_above_zero_and_as_fine_as_it_is_written(wire: Wire, text: str):
    request = catalog_rpc.CreateUnitOfMeasureRequest(
        unit_of_measure_id="bad",
        unit_of_measure=catalog.UnitOfMeasure(
            unit_class="unitClasses/calls", factor=decimal_pb2.Decimal(value=text), scale=2
        ),
    )
    refused = await wire.refused("CatalogService/CreateUnitOfMeasure", request)
    reason = "DECIMAL_SCALE" if len(text) > 14 and not text.startswith("-") else "FACTOR_RANGE"
    is_(refused, INVALID, reason)
    assert refused.fields == ("unit_of_measure.factor",)


@pytest.mark.parametrize("currency", ["usd", "XXX", "US$", "ZZZ", "XAU", "EURO", "ＵＳＤ"])
async def test_n14_a_question_is_in_a_currency_of_iso_4217(wire: Wire, currency: str):
    error = UsageError.of_status((await answered(wire, currency_code=currency)).status)
    assert (error.code, error.reason) == (INVALID, "CURRENCY_UNKNOWN")


async def test_n15_a_question_is_in_a_currency_or_a_token(wire: Wire):
    """The contract has room for one of them; a currency is not said as a token."""
    members = rates.RateQuestion.DESCRIPTOR.oneofs_by_name["denomination"].fields
    assert [one.name for one in members] == ["currency_code", "token_unit"]
    found = await answered(wire, token_unit="unitsOfMeasure/t")
    assert UsageError.of_status(found.status).reason == "RATE_NOT_FOUND"


@pytest.mark.parametrize("count", [-(2**31), -1, 2**31 - 1])
async def test_n16_counts_of_the_catalog_have_a_range(wire: Wire, count: int):
    rollover = policy_rpc.CreateRolloverPolicyRequest(
        rollover_policy_id="bad", rollover_policy=policies.RolloverPolicy(max_rollovers=count)
    )
    refresh = policy_rpc.CreateRefreshPolicyRequest(
        refresh_policy_id="bad",
        refresh_policy=policies.RefreshPolicy(interval=types.Cadence(unit="MONTH", count=count)),
    )
    unit = catalog_rpc.CreateUnitOfMeasureRequest(
        unit_of_measure_id="bad",
        unit_of_measure=catalog.UnitOfMeasure(unit_class="unitClasses/calls", scale=count),
    )
    for method, request in (
        ("PolicyService/CreateRolloverPolicy", rollover),
        ("PolicyService/CreateRefreshPolicy", refresh),
        ("CatalogService/CreateUnitOfMeasure", unit),
    ):
        is_(await wire.refused(method, request), INVALID, "RANGE")


@pytest.mark.parametrize(("on", "currency"), [("2023-12-31", "CHF"), ("2024-02-01", "SEK")])
async def test_r04_no_rate_on_the_day_names_the_nearest(wire: Wire, on: str, currency: str):
    entry = priced("calls", "1", currency=currency, start="2024-01-01", end="2024-02-01")
    made = await wire.call(CREATE, adding(f"base/{currency}", entry))
    assert isinstance(made, bytes)
    kept = rates.RateCardEntry.FromString(made).name
    move = rates.ChangeRateCardEntryStatesRequest(names=[kept], state="CATALOG_STATE_ACTIVE")
    assert isinstance(await wire.call(MOVE, move), bytes)
    request = rates.DiscoverRatesRequest(
        questions=[DATED | {"currency_code": currency, "date": day(on)}],
        freshness="FULLY_CONSISTENT",
    )

    answer = await wire.call(DISCOVER, request)

    assert isinstance(answer, bytes)
    [found] = rates.DiscoverRatesResponse.FromString(answer).answers
    error = UsageError.of_status(found.status)
    assert (error.reason, error.facts["missing"]) == ("RATE_NOT_FOUND", "DATE")
    assert error.facts["nearest_dates"] == "from 2024-01-01 and before 2024-02-01"


async def test_r05_a_negotiated_rate_of_what_is_fixed_is_refused(wire: Wire):
    world = wire.world
    fixed = Metered(resource="fixed", rate="3", negotiable=False)
    await world.product("fixed-plan", fixed)
    rate = types.Rate(value=number(1), currency_code="USD")
    agreed = quotes.NegotiatedRate(usage_resource="usageResources/fixed", rate=rate)
    sale = line("fixed-plan", "2024-01-01", negotiated=[agreed])
    quote = quotes.Quote(price_book="priceBooks/book", lines=[sale])
    request = quotes.CreateQuoteRequest(parent=wire.account, quote=quote)

    refused = await wire.refused("QuoteService/CreateQuote", request)

    is_(refused, StatusCode.FAILED_PRECONDITION, "NOT_NEGOTIABLE")
