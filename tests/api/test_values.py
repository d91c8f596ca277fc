"""Bad identifiers, numbers and times, wherever they are sent (I, N, T of the matrix)."""

import pytest
from google.type import date_pb2
from grpc import StatusCode
from usage_management.v1 import access_service_pb2 as access
from usage_management.v1 import account_service_pb2 as accounts
from usage_management.v1 import catalog_resources_pb2 as catalog
from usage_management.v1 import catalog_service_pb2 as catalog_rpc
from usage_management.v1 import quote_service_pb2 as quotes
from usage_management.v1 import rate_service_pb2 as rates
from usage_management.v1 import types_pb2 as types
from usage_management.v1 import wallet_service_pb2 as wallets

from tests.api.refusals import CREATE, INVALID, NOT_DECIMALS, account, is_
from tests.api.wire import Refusal, Wire
from tests.service import add_tenant
from tests.stories.words import line, number

ID = "0192f0c1-2b3c-7d4e-8f5a-6b7c8d9e0f1a"
GET_WALLET = "WalletService/GetWallet"
LIST = "AccountService/ListAccounts"


@pytest.mark.parametrize(
    "wallet",
    [
        ID.upper(),
        f"{{{ID}}}",
        f"urn:uuid:{ID}",
        ID.replace("-", ""),
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
    ],
)
async def test_i01_i02_ids_are_canonical(wire: Wire, wallet: str):
    request = wallets.GetWalletRequest(name=f"{wire.account}/wallets/{wallet}")
    is_(await wire.refused(GET_WALLET, request), INVALID, "ID_FORMAT")


async def test_i03_the_id_of_another_kind_is_not_found(wire: Wire):
    name = wire.asset.name.replace("/assets/", "/wallets/")
    refused = await wire.refused(GET_WALLET, wallets.GetWalletRequest(name=name))
    is_(refused, StatusCode.NOT_FOUND, "WALLET_NOT_FOUND")
    other = wallets.GetWalletRequest(name=wire.asset.name)
    is_(await wire.refused(GET_WALLET, other), INVALID, "NAME_FORMAT")


async def test_i04_what_belongs_to_another_tenant_looks_as_if_it_were_not_there(
    wire: Wire, service
):
    _, stranger = await add_tenant(service, None)
    [wallet] = await wire.world.wallets(wire.account)
    theirs = await wire.refused(
        GET_WALLET, wallets.GetWalletRequest(name=wallet.name), key=stranger
    )
    nobodys = await wire.refused(
        GET_WALLET, wallets.GetWalletRequest(name=f"{wire.account}/wallets/{ID}"), key=stranger
    )
    taken_out = theirs.message.replace(wallet.name, "")
    assert taken_out == nobodys.message.replace(f"{wire.account}/wallets/{ID}", "")
    assert (theirs.code, theirs.reason) == (nobodys.code, nobodys.reason)


@pytest.mark.parametrize(
    "code", [" ann", "ann ", "../ann", "ann%00", "'ann'", "ann;--", "a" * 65, "änn", ".ann", "a\n"]
)
async def test_i05_codes_are_plain(wire: Wire, code: str):
    is_(await wire.refused(CREATE, account(code)), INVALID, "CODE_FORMAT")


async def test_codes_are_taken_whatever_their_case(wire: Wire):
    refused = await wire.refused(CREATE, account("ANN"))
    is_(refused, StatusCode.ALREADY_EXISTS, "CODE_TAKEN")


@pytest.mark.parametrize("text", ["nul\x00", "bell\x07", "c1\x85", "\u202eright to left"])
async def test_i06_text_has_no_control_characters(wire: Wire, text: str):
    refused = await wire.refused(CREATE, account("i06", display_name=text))
    is_(refused, INVALID, "TEXT_CONTROL_CHARACTER")


@pytest.mark.parametrize("text", ["x" * 201, "😀" * 201])
async def test_i07_text_is_bounded(wire: Wire, text: str):
    is_(await wire.refused(CREATE, account("i07", display_name=text)), INVALID, "TEXT_TOO_LONG")


async def test_i08_text_is_stored_composed(wire: Wire):
    decomposed, composed = "Zoe\u0308", "Zoë"
    answer = await wire.call(CREATE, account("i08", display_name=decomposed))
    assert isinstance(answer, bytes)
    assert accounts.Account.FromString(answer).display_name == composed
    assert isinstance(await wire.call(CREATE, account("i08", display_name=composed)), bytes)


async def test_i10_i11_pages_have_a_size(wire: Wire):
    negative = accounts.ListAccountsRequest(page_size=-1)
    is_(await wire.refused(LIST, negative), INVALID, "PAGE_SIZE_INVALID")
    huge = accounts.ListAccountsRequest(page_size=10**9)
    assert isinstance(await wire.call(LIST, huge), bytes)


async def test_i12_page_tokens_belong_to_one_list_of_one_tenant(wire: Wire, service):
    for number_ in range(3):
        await wire.call(CREATE, account(f"i12-{number_}"))
    answer = await wire.call(LIST, accounts.ListAccountsRequest(page_size=2))
    assert isinstance(answer, bytes)
    token = accounts.ListAccountsResponse.FromString(answer).next_page_token
    assert token
    next_page = accounts.ListAccountsRequest(page_size=1, page_token=token)
    assert isinstance(await wire.call(LIST, next_page), bytes)

    for bad in ("random", token[:-4], token[::-1], "é", token + "A" * 3000):
        request = accounts.ListAccountsRequest(page_token=bad)
        is_(await wire.refused(LIST, request), INVALID, "PAGE_TOKEN_INVALID")
    other_list = catalog_rpc.ListProductsRequest(page_token=token)
    is_(
        await wire.refused("CatalogService/ListProducts", other_list), INVALID, "PAGE_TOKEN_INVALID"
    )
    _, stranger = await add_tenant(service, None)
    is_(await wire.refused(LIST, next_page, key=stranger), INVALID, "PAGE_TOKEN_INVALID")


def quantity(wire: Wire, text: str) -> quotes.CreateQuoteRequest:
    sale = line("plan", "2024-01-01")
    sale.quantity.value = text
    quote = quotes.Quote(price_book="priceBooks/book", lines=[sale])
    return quotes.CreateQuoteRequest(parent=wire.account, quote=quote)


@pytest.mark.parametrize("text", NOT_DECIMALS, ids=lambda text: repr(text[:12]))
async def test_n01_to_n04_n08_what_is_no_decimal(wire: Wire, text: str):
    refused = await wire.refused("QuoteService/CreateQuote", quantity(wire, text))
    is_(refused, INVALID, "DECIMAL_FORMAT")
    assert refused.fields == ("quote.lines[0].quantity",)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1." + "0" * 12 + "1", "DECIMAL_SCALE"),
        ("1" + "0" * 26, "DECIMAL_RANGE"),
        ("0", "QUANTITY_ZERO"),
        ("-1", "QUANTITY_NEGATIVE"),
    ],
)
async def test_n05_n07_n09_n10_decimals_out_of_range(wire: Wire, text: str, reason: str):
    refused = await wire.refused("QuoteService/CreateQuote", quantity(wire, text))
    is_(refused, INVALID, reason)


async def test_n06_grants_are_as_fine_as_their_unit(wire: Wire):
    request = catalog_rpc.CreateProductUsageGrantRequest(
        parent="products/plan",
        product_usage_grant_id="fine",
        product_usage_grant=catalog.ProductUsageGrant(
            product_usage_resource="products/plan/usageResources/calls", quantity=number("0.001")
        ),
    )
    refused = await wire.refused("CatalogService/CreateProductUsageGrant", request)
    is_(refused, INVALID, "UNIT_SCALE")


def entry(**terms: object) -> rates.CreateRateCardEntryRequest:
    about = {"product": "products/plan", "usage_resource": "usageResources/calls"}
    made = rates.RateCardEntry(currency_code="USD", **about, **terms)
    card = "tiers" if made.HasField("tiers") else "base"
    return rates.CreateRateCardEntryRequest(
        parent=f"rateCards/{card}", rate_card_entry_id="bad", rate_card_entry=made
    )


@pytest.mark.parametrize("percent", ["100.000001", "-10000.01"])
async def test_n11_percentages_are_of_a_hundred(wire: Wire, percent: str):
    adjustment = types.RateAdjustment(kind="PERCENTAGE", value=number(percent))
    tiers = types.RateTiers(tiers=[types.RateTier(adjustment=adjustment)])
    refused = await wire.refused("RateService/CreateRateCardEntry", entry(tiers=tiers))
    is_(refused, INVALID, "PERCENT_RANGE")


@pytest.mark.parametrize("currency", ["usd", "XXX", "US$", "ZZZ", "XAU", "EURO"])
async def test_n14_currencies_are_of_iso_4217(wire: Wire, currency: str):
    refused = await wire.refused(CREATE, account("n14", currency_code=currency))
    is_(refused, INVALID, "CURRENCY_UNKNOWN")
    request = entry(rate=types.Rate(value=number("1"), currency_code=currency))
    request.rate_card_entry.currency_code = currency
    refused = await wire.refused("RateService/CreateRateCardEntry", request)
    is_(refused, INVALID, "CURRENCY_UNKNOWN")


async def test_n15_a_rate_is_in_the_currency_of_its_entry_and_its_buyer(wire: Wire):
    rate = types.Rate(value=number("1"), currency_code="EUR")
    refused = await wire.refused("RateService/CreateRateCardEntry", entry(rate=rate))
    is_(refused, INVALID, "CURRENCY_MISMATCH")
    negotiated = quotes.NegotiatedRate(usage_resource="usageResources/calls", rate=rate)
    sale = line("plan", "2024-01-01", negotiated=[negotiated])
    quote = quotes.Quote(price_book="priceBooks/book", lines=[sale])
    request = quotes.CreateQuoteRequest(parent=wire.account, quote=quote)
    is_(await wire.refused("QuoteService/CreateQuote", request), INVALID, "CURRENCY_MISMATCH")


@pytest.mark.parametrize("day", [-(2**31), -1, 32, 2**31 - 1])
async def test_n16_counts_have_a_range(wire: Wire, day: int):
    is_(await wire.refused(CREATE, account("n16", billing_anchor_day=day)), INVALID, "RANGE")


@pytest.mark.parametrize(
    ("billing", "told"),
    [
        ({"billing_interval": {"unit": "DAY", "count": 7}}, "weeks, months, quarters"),
        ({"billing_interval": {"unit": "MONTH", "count": 61}}, "at most 60 months"),
        ({"billing_interval": {"unit": "WEEK", "count": 2}}, "give an anchor date"),
        ({"billing_interval": {"unit": "WEEK", "count": 1}, "billing_anchor_day": 3}, "no day"),
        (
            {
                "billing_interval": {"unit": "MONTH", "count": 5},
                "billing_calendar_aligned": True,
            },
            "give an anchor date",
        ),
        ({"billing_calendar_aligned": True, "billing_anchor_day": 3}, "give one of"),
        (
            {
                "billing_calendar_aligned": True,
                "billing_anchor_date": {"year": 2024, "month": 2, "day": 15},
            },
            "give one of",
        ),
        (
            {
                "billing_anchor_day": 3,
                "billing_anchor_date": {"year": 2024, "month": 2, "day": 15},
            },
            "either an anchor day or an anchor date",
        ),
    ],
)
async def test_n16_billing_is_aligned_in_one_way(wire: Wire, billing: dict, told: str):
    request = account("n16")
    request.account.MergeFrom(accounts.Account(**billing))

    refusal = await wire.refused(CREATE, request)

    is_(refusal, INVALID, "BILLING_CYCLE")
    assert told in refusal.message
    assert list(refusal.fields) == ["account.billing_interval"]


async def _advance(wire: Wire, seconds: int, nanos: int = 0) -> Refusal:
    request = access.AdvanceClockRequest()
    request.to_time.seconds, request.to_time.nanos = seconds, nanos
    return await wire.refused("AccessService/AdvanceClock", request)


@pytest.mark.parametrize(
    ("seconds", "nanos", "reason"),
    [
        (1_705_276_800, -1, "TIMESTAMP_FORMAT"),
        (1_705_276_800, 1_000_000_000, "TIMESTAMP_FORMAT"),
        (-62_135_596_801, 0, "TIMESTAMP_FORMAT"),
        (253_402_300_800, 0, "TIMESTAMP_FORMAT"),
        (253_402_300_799, 999_999_000, "TIMESTAMP_RANGE"),
        (0, 0, "TIMESTAMP_RANGE"),
    ],
)
async def test_t01_t02_instants_are_of_our_time(wire: Wire, seconds: int, nanos: int, reason: str):
    is_(await _advance(wire, seconds, nanos), INVALID, reason)


async def test_t04_an_instant_that_is_needed_is_needed(wire: Wire):
    refused = await wire.refused("AccessService/AdvanceClock", access.AdvanceClockRequest())
    is_(refused, INVALID, "FIELD_REQUIRED")


def sold(wire: Wire, start: date_pb2.Date, end: date_pb2.Date) -> quotes.CreateQuoteRequest:
    sale = quotes.SaleLine(product="products/plan", start_date=start, end_date=end)
    quote = quotes.Quote(price_book="priceBooks/book", lines=[sale])
    return quotes.CreateQuoteRequest(parent=wire.account, quote=quote)


async def test_t07_an_interval_ends_after_it_starts(wire: Wire):
    first = date_pb2.Date(year=2024, month=1, day=1)
    refused = await wire.refused("QuoteService/CreateQuote", sold(wire, first, first))
    is_(refused, INVALID, "INTERVAL_INVALID")


@pytest.mark.parametrize("parts", [(2027, 2, 29), (2024, 13, 1), (2024, 1, 0), (0, 1, 1)])
async def test_t08_dates_are_of_the_calendar(wire: Wire, parts: tuple[int, int, int]):
    year, month, day = parts
    bad = date_pb2.Date(year=year, month=month, day=day)
    good = date_pb2.Date(year=2030, month=1, day=1)
    refused = await wire.refused("QuoteService/CreateQuote", sold(wire, bad, good))
    is_(refused, INVALID, "DATE_INVALID")


@pytest.mark.parametrize("zone", ["Mars/Olympus", "EST5EDT", "europe/berlin", "+01:00", "../UTC"])
async def test_t09_zones_are_of_the_iana_data(wire: Wire, zone: str):
    is_(await wire.refused(CREATE, account("t09", time_zone=zone)), INVALID, "TIME_ZONE")


async def test_t12_the_31st_is_a_billing_day(wire: Wire):
    answer = await wire.call(CREATE, account("t12", billing_anchor_day=31))
    assert isinstance(answer, bytes)
    assert accounts.Account.FromString(answer).billing_anchor_day == 31
