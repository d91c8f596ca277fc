"""Bad rates, as they are sent: tiers, limits, types, numbers (R, N and M of the matrix)."""

from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from grpc import StatusCode
from usage_management.v1 import rate_service_pb2 as rates

from clients import UsageError
from tests.api.inputs.rate_calls import CREATE, DISCOVER, MOVE
from tests.api.refusals import INVALID, is_
from tests.api.wire import Wire
from tests.service import Service, add_tenant
from tests.stories.rate_words import adding, priced
from tests.stories.words import day, number

BATCH = "RateService/BatchCreateRateCardEntries"
UPDATE = "RateService/UpdateRateCardEntry"
LIST = "RateService/ListRateCardEntries"
# The entry that the tests' product is sold at.
SOLD = "rateCards/base/entries/plan-calls-USD"


@pytest.mark.parametrize(
    ("bounds", "index"),
    [
        ([("0", "10"), ("9", "20")], 1),
        ([("0", "10"), ("11", "20")], 1),
        ([("0", "10"), ("10", "20"), ("20", "20")], 2),
        ([("5", "1")], 0),
        ([("0", None), ("10", None)], 1),
        ([("10", "20"), ("0", "10")], 1),
        ([("-1", "10")], 0),
    ],
    ids=["overlap", "gap", "empty", "upside down", "two open ends", "unsorted", "below zero"],
)
async def test_r01_tiers_follow_each_other(wire: Wire, bounds: Any, index: int):
    steps = [(lower, upper, "OVERRIDE", "1") for lower, upper in bounds]
    request = adding("tiers/bad", priced("calls", None, *steps))
    refused = await wire.refused(CREATE, request)
    is_(refused, INVALID, "TIERS_INVALID")
    assert refused.fields == (f"rate_card_entry.tiers.tiers[{index}]",)
    assert refused.facts["index"] == str(index)

    batch = rates.BatchCreateRateCardEntriesRequest(
        requests=[adding("base/good", priced("calls", "1")), request]
    )
    refused = await wire.refused(BATCH, batch)
    is_(refused, INVALID, "TIERS_INVALID")
    assert refused.fields == (f"requests[1].rate_card_entry.tiers.tiers[{index}]",)


async def test_r01_inclusive_tiers_close_one_step_of_the_unit_and_no_more(wire: Wire):
    steps = [("0", "10", "OVERRIDE", "2"), ("11", "20", "OVERRIDE", "1")]
    request = adding("tiers/bad", priced("calls", None, *steps, bounds="UPPER_INCLUSIVE"))
    is_(await wire.refused(CREATE, request), INVALID, "TIERS_INVALID")  # its unit has hundredths
    request.rate_card_entry.tiers.tiers[1].lower.value = "10.01"
    answer = await wire.call(CREATE, request)
    assert isinstance(answer, bytes)
    kept = rates.RateCardEntry.FromString(answer)
    assert [one.lower.value for one in kept.tiers.tiers] == ["0", "10"]


async def test_tiers_are_counted(wire: Wire):
    steps = [(f"{n}", f"{n + 1}", "OVERRIDE", "1") for n in range(101)]
    refused = await wire.refused(CREATE, adding("tiers/bad", priced("calls", None, *steps)))
    is_(refused, INVALID, "TOO_MANY_ITEMS")


@pytest.mark.parametrize(
    ("name", "entry", "reason", "field"),
    [
        ("base/bad", priced("calls"), "FIELD_REQUIRED", "rate"),
        ("tiers/bad", priced("calls"), "FIELD_REQUIRED", "tiers"),
        ("tiers/bad", priced("calls", "1"), "FIELD_REQUIRED", "tiers"),
        ("base/bad", priced("calls", "-1"), "RATE_NEGATIVE", "rate.value"),
        ("base/bad", priced("calls", "1", per="0"), "FACTOR_RANGE", "rate.per"),
        ("base/bad", priced("calls", "1", per="-5"), "FACTOR_RANGE", "rate.per"),
        ("base/bad", priced("calls", "1." + "1" * 13), "DECIMAL_SCALE", "rate.value"),
        ("base/bad", priced("calls", "1" + "0" * 26), "DECIMAL_RANGE", "rate.value"),
        ("base/bad", priced("calls", "1" * 300_000), "DECIMAL_FORMAT", "rate.value"),
        ("base/bad", priced("calls", "NaN"), "DECIMAL_FORMAT", "rate.value"),
        ("base/bad", priced("calls", "-0"), "DECIMAL_FORMAT", "rate.value"),
        (
            "base/bad",
            priced("calls", "1", start="2024-02-01", end="2024-02-01"),
            "INTERVAL_INVALID",
            "end_date",
        ),
        (
            "base/bad",
            priced("calls", "1", selling_model="models/x"),
            "NAME_FORMAT",
            "selling_model",
        ),
        ("base/bad", priced("calls", "1", product="p lan"), "CODE_FORMAT", "product"),
    ],
)
async def test_n_an_entry_is_refused_by_the_field_that_is_wrong(
    wire: Wire, name: str, entry: rates.RateCardEntry, reason: str, field: str
):
    refused = await wire.refused(CREATE, adding(name, entry))
    is_(refused, INVALID, reason)
    assert refused.fields[0] == f"rate_card_entry.{field}"


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        ("PERCENTAGE", "100.000001", "PERCENT_RANGE"),
        ("PERCENTAGE", "-10000.01", "PERCENT_RANGE"),
        ("OVERRIDE", "-1", "RATE_NEGATIVE"),
        ("KIND_UNSPECIFIED", "1", "ENUM_UNSPECIFIED"),
    ],
)
async def test_n11_an_adjustment_has_a_kind_and_a_value_in_its_range(
    wire: Wire, kind: str, value: str, reason: str
):
    request = adding("tiers/bad", priced("calls", None, ("0", None, kind, value)))
    is_(await wire.refused(CREATE, request), INVALID, reason)


async def test_r03_a_second_card_of_a_type_is_refused(wire: Wire):
    made = rates.CreateRateCardRequest(rate_card_id="more", rate_card=rates.RateCard(type="BASE"))
    assert isinstance(await wire.call("RateService/CreateRateCard", made), bytes)
    book = rates.PriceBook(rate_cards=["rateCards/base", "rateCards/more"])
    request = rates.CreatePriceBookRequest(price_book_id="two", price_book=book)
    refused = await wire.refused("RateService/CreatePriceBook", request)
    is_(refused, StatusCode.ALREADY_EXISTS, "RATE_CARD_TYPE_TAKEN")


@pytest.mark.parametrize(
    ("more", "missing"),
    [
        ({"currency_code": "GBP"}, "CURRENCY"),
        ({"price_book": "priceBooks/none"}, "PRICE_BOOK"),
        ({"product": "products/none"}, "PRODUCT"),
        ({"usage_resource": "usageResources/none"}, "USAGE_RESOURCE"),
        ({"token_unit": "unitsOfMeasure/t", "currency_code": ""}, "CURRENCY"),
    ],
)
async def test_r04_no_rate_is_an_error_of_the_question_and_no_zero(
    wire: Wire, more: dict[str, str], missing: str
):
    question = {
        "price_book": "priceBooks/book",
        "product": "products/plan",
        "usage_resource": "usageResources/calls",
        "currency_code": "USD",
        "quantity": number(1),
    } | more
    answer = await wire.call(DISCOVER, rates.DiscoverRatesRequest(questions=[question]))
    assert isinstance(answer, bytes)
    [found] = rates.DiscoverRatesResponse.FromString(answer).answers
    assert found.status.code == StatusCode.FAILED_PRECONDITION.value[0]
    assert (found.HasField("terms"), found.HasField("amount")) == (False, False)
    error = UsageError.of_status(found.status)
    assert (error.reason, error.facts["missing"]) == ("RATE_NOT_FOUND", missing)


async def test_a_selling_model_has_a_name(wire: Wire):
    question = rates.RateQuestion(
        price_book="priceBooks/book",
        product="products/plan",
        usage_resource="usageResources/calls",
        currency_code="USD",
        selling_model="yearly",
    )
    answer = await wire.call(DISCOVER, rates.DiscoverRatesRequest(questions=[question]))
    assert isinstance(answer, bytes)
    assert "NAME_FORMAT" in str(rates.DiscoverRatesResponse.FromString(answer).answers[0].status)


async def test_m01_ids_of_entries_and_cards_are_taken_once(wire: Wire):
    card = rates.CreateRateCardRequest(rate_card_id="BASE", rate_card=rates.RateCard(type="BASE"))
    refused = await wire.refused("RateService/CreateRateCard", card)
    is_(refused, StatusCode.ALREADY_EXISTS, "CODE_TAKEN")
    other = adding("base/PLAN-calls-USD", priced("calls", "9"))
    refused = await wire.refused(CREATE, other)
    is_(refused, StatusCode.ALREADY_EXISTS, "CODE_TAKEN")


async def test_m04_m05_what_is_in_force_neither_changes_nor_goes(wire: Wire):
    change = priced("calls", "3", end="2030-01-01", name=SOLD)

    def update(*paths: str, **more: Any) -> rates.UpdateRateCardEntryRequest:
        return rates.UpdateRateCardEntryRequest(
            rate_card_entry=change, update_mask=FieldMask(paths=paths), **more
        )

    for paths in (("rate",), ("end_date",), ("*",), ("negotiability", "rate")):
        refused = await wire.refused(UPDATE, update(*paths))
        is_(refused, StatusCode.FAILED_PRECONDITION, "ACTIVE_IMMUTABLE")
    for paths in ((), ("name",), ("state",), ("rate.value",), ("*", "rate")):
        is_(await wire.refused(UPDATE, update(*paths)), INVALID, "FIELD_MASK_INVALID")
    change.etag = '"99"'
    is_(await wire.refused(UPDATE, update("rate")), StatusCode.ABORTED, "ETAG_MISMATCH")
    refused = await wire.refused(
        "RateService/DeleteRateCardEntry", rates.DeleteRateCardEntryRequest(name=SOLD)
    )
    is_(refused, StatusCode.FAILED_PRECONDITION, "IN_USE")
    refused = await wire.refused(
        "RateService/DeletePriceBook", rates.DeletePriceBookRequest(name="priceBooks/book")
    )
    is_(refused, StatusCode.FAILED_PRECONDITION, "IN_USE")
    refused = await wire.refused(
        "RateService/DeleteRateCard", rates.DeleteRateCardRequest(name="rateCards/base")
    )
    is_(refused, StatusCode.FAILED_PRECONDITION, "IN_USE")


async def test_states_are_changed_by_name(wire: Wire):
    def move(*names: str, state: Any = "CATALOG_STATE_ACTIVE") -> Any:
        return rates.ChangeRateCardEntryStatesRequest(names=names, state=state)

    is_(await wire.refused(MOVE, move()), INVALID, "FIELD_REQUIRED")
    is_(await wire.refused(MOVE, move(*["x"] * 1_001)), INVALID, "TOO_MANY_ITEMS")
    is_(await wire.refused(MOVE, move("rateCards/base")), INVALID, "NAME_FORMAT")
    is_(await wire.refused(MOVE, move("rateCards/base/entries/a b")), INVALID, "CODE_FORMAT")
    none = move(SOLD, state="CATALOG_STATE_UNSPECIFIED")
    is_(await wire.refused(MOVE, none), INVALID, "ENUM_UNSPECIFIED")
    refused = await wire.refused(MOVE, move("rateCards/base/entries/none"))
    is_(refused, StatusCode.NOT_FOUND, "RATE_CARD_ENTRY_NOT_FOUND")
    draft = move(SOLD, state="CATALOG_STATE_DRAFT")
    is_(await wire.refused(MOVE, draft), StatusCode.FAILED_PRECONDITION, "STATE_TRANSITION")


@pytest.mark.parametrize(
    ("only", "reason"),
    [
        ({"parent": "rateCards"}, "NAME_FORMAT"),
        ({"product": "plan"}, "NAME_FORMAT"),
        ({"currency_code": "usd"}, "CURRENCY_UNKNOWN"),
        ({"token_unit": "unitsOfMeasure/USD"}, "CURRENCY_MISMATCH"),
        ({"state": 77}, "ENUM_UNKNOWN"),
        ({"page_size": -1}, "PAGE_SIZE_INVALID"),
    ],
)
async def test_lists_are_narrowed_by_names_and_values(wire: Wire, only: Any, reason: str):
    request = rates.ListRateCardEntriesRequest(**{"parent": "rateCards/-"} | only)
    is_(await wire.refused(LIST, request), INVALID, reason)
    dated = rates.ListRateCardEntriesRequest(parent="rateCards/-", on_date=day("2024-01-01"))
    dated.on_date.month = 13
    is_(await wire.refused(LIST, dated), INVALID, "DATE_INVALID")


async def test_who_may_read_rates_may_not_write_them(wire: Wire, service: Service):
    _, key = await add_tenant(service, None, "RUN_TIME_USER")
    for method, request in (
        (CREATE, adding("base/x", priced("calls", "1"))),
        (BATCH, rates.BatchCreateRateCardEntriesRequest()),
        (UPDATE, rates.UpdateRateCardEntryRequest()),
        (MOVE, rates.ChangeRateCardEntryStatesRequest()),
        ("RateService/DeleteRateCardEntry", rates.DeleteRateCardEntryRequest()),
        ("RateService/UpdateRateCard", rates.UpdateRateCardRequest()),
        ("RateService/DeletePriceBook", rates.DeletePriceBookRequest()),
    ):
        refused = await wire.refused(method, request, key=key)
        is_(refused, StatusCode.PERMISSION_DENIED, "PERMISSION_MISSING")
