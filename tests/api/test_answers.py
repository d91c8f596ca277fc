"""Answers: bounded in bytes, true about what is absent, complete about what is wrong."""

import base64
import hmac
import json
import time
from hashlib import sha256
from uuid import UUID

import pytest
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2 as details
from google.rpc import status_pb2
from usage_management.v1 import account_service_pb2 as accounts
from usage_management.v1 import catalog_service_pb2 as catalog_rpc
from usage_management.v1 import consumption_service_pb2 as consumption
from usage_management.v1 import quote_service_pb2 as quotes
from usage_management.v1 import rate_service_pb2 as rates

from clients import UsageClient
from server.api import pages
from server.api.answers import MAX_ANSWER_BYTES, MAX_PAGE_BYTES
from server.app import SERVICES
from server.config import Config
from server.domain.errors import InvalidArgument
from server.domain.ids import TenantId
from server.domain.limits import LIMITS
from server.runtime.token_seal import TokenSeal
from server.usecases.access.tenants import tenant_id_of
from tests.api.wire import Refusal, Wire
from tests.service import Service, add_tenant
from tests.stories.rate_words import priced, put
from tests.stories.words import Metered, day, line, moment, usage
from tests.stories.world import World

LABELS = {f"label-{n}": "x" * 1_000 for n in range(60)}


async def test_a_page_ends_at_a_mebibyte_and_all_pages_have_all(wire: Wire):
    """A hundred records of 60 KB, of which default clients cannot read a page of a thousand."""
    account = await wire.world.account("wordy")
    [asset] = await wire.world.sell(account, line("plan", "2024-01-01"))
    for batch in range(2):
        records = [
            usage(asset, "calls", "2024-01-10", 1, f"wordy-{batch}-{n}", **LABELS)
            for n in range(50)
        ]
        request = consumption.RecordUsageRequest(records=records)
        assert isinstance(await wire.call("ConsumptionService/RecordUsage", request), bytes)

    sizes, ids, token = [], [], ""
    while True:
        request = consumption.ListUsageRecordsRequest(
            parent=account, page_size=1_000, page_token=token
        )
        data = await wire.call("ConsumptionService/ListUsageRecords", request)
        assert isinstance(data, bytes), data
        page = consumption.ListUsageRecordsResponse.FromString(data)
        sizes.append(len(data))
        ids += [record.name for record in page.usage_records]
        token = page.next_page_token
        if not token:
            break

    assert (len(ids), len(set(ids))) == (100, 100)
    assert max(sizes) < MAX_PAGE_BYTES + 1_000
    assert min(sizes[:-1]) > MAX_PAGE_BYTES - 70_000


async def test_a_batch_that_is_too_large_is_refused_with_the_limit(wire: Wire):
    records = [
        usage(wire.asset, "calls", "2024-01-10", 1, f"large-{n}", **LABELS) for n in range(100)
    ]
    request = consumption.RecordUsageRequest(records=records)

    refused = await wire.refused("ConsumptionService/RecordUsage", request)

    assert (refused.code.name, refused.reason) == ("RESOURCE_EXHAUSTED", "MESSAGE_TOO_LARGE")
    assert refused.facts == {"limit": str(4 * 1024 * 1024), "got": str(request.ByteSize())}


async def test_an_answer_that_nobody_could_read_is_refused_before_anything_is_kept(
    service: Service,
):
    """200 lines of five resources with a hundred tiers each: a quote of some 4 MB."""
    _, key = await add_tenant(service, moment("2024-01-15"))
    names = [f"data{n}" for n in range(5)]
    async with UsageClient(service.address, key, timeout=30) as client:
        world = World(client)
        await world.product("plan", *[Metered(resource=name) for name in names])
        tiers = [(str(n), str(n + 1), "OVERRIDE", "2.123456789012") for n in range(100)]
        for name in names:
            await put(world, f"tiers/{name}", priced(name, None, *tiers))
        account = await world.account("ann")
        few, many = (
            quotes.CreateQuoteRequest(
                parent=account,
                quote={
                    "price_book": "priceBooks/book",
                    "lines": [{"product": "products/plan", "start_date": day("2024-01-01")}] * n,
                },
            )
            for n in (20, 200)
        )
        made = await client.quotes.CreateQuote(few)
        with pytest.raises(Exception, match="ANSWER_TOO_LARGE") as caught:
            await client.quotes.CreateQuote(many)
        kept = (await client.quotes.ListQuotes(quotes.ListQuotesRequest(parent=account))).quotes

    assert caught.value.code.name == "RESOURCE_EXHAUSTED"
    assert int(caught.value.facts["got"]) > MAX_ANSWER_BYTES == int(caught.value.facts["limit"])
    assert [quote.name for quote in kept] == [made.name]


def lists_of_accounts() -> list[str]:
    """The methods that list what belongs to an account."""
    found = []
    for descriptor, _ in SERVICES:
        for method in descriptor.methods:
            if method.name.startswith("List") and "parent" in method.input_type.fields_by_name:
                found.append(f"{descriptor.name}/{method.name}")
    return found


@pytest.mark.parametrize("method", lists_of_accounts())
async def test_nothing_belongs_to_what_is_absent(wire: Wire, method: str):
    service, name = method.split("/")
    descriptors = {descriptor.name: descriptor for descriptor, _ in SERVICES}
    request_type = GetMessageClass(descriptors[service].methods_by_name[name].input_type)
    nil = "00000000-0000-0000-0000-000000000001"
    parents = (
        "accounts/absent",
        f"accounts/absent/assets/{nil}",
        f"accounts/absent/wallets/{nil}",
        f"runs/{nil}",
        f"repriceRuns/{nil}",
        "products/absent",
        "rateCards/absent",
        "procedures/absent",
        "aggregationPolicies/absent",
    )

    answers = [await wire.call(method, request_type(parent=parent)) for parent in parents]

    refusals = [one for one in answers if isinstance(one, Refusal)]
    assert len(refusals) == len(answers), method
    assert {one.reason.rpartition("_")[2] for one in refusals} <= {"FOUND", "FORMAT", "SPAN"}
    assert [one.code.name for one in refusals].count("NOT_FOUND") >= 1


async def test_every_fault_of_a_request_is_named(wire: Wire):
    """Two that a rule of the proto finds, and two that only reading finds."""
    request = accounts.CreateAccountRequest(
        account_id="spaces are wrong",
        account={
            "display_name": "bell \a",
            "time_zone": "Mars/Olympus",
            "currency_code": "usd",
            "billing_anchor_day": 99,
        },
    )

    refused = await wire.refused("AccountService/CreateAccount", request)

    assert set(refused.fields) >= {
        "account_id",
        "account.display_name",
        "account.time_zone",
        "account.currency_code",
        "account.billing_anchor_day",
    }


async def test_an_enum_is_refused_with_the_values_it_has(wire: Wire):
    request = catalog_rpc.CreateProductRequest(product_id="p", product={"display_name": "P"})

    refused = await wire.refused("CatalogService/CreateProduct", request)

    assert refused.reason == "ENUM_UNSPECIFIED"
    assert "ANCHOR" in refused.message
    assert "PACK" in refused.message
    assert "[0]" not in refused.message


async def test_every_record_of_a_batch_is_looked_at(wire: Wire):
    request = catalog_rpc.CreateRecordsRequest(
        records=[
            {"product": {"product_id": "no good", "product": {"usage_model_type": "ANCHOR"}}},
            {"product": {"product_id": "fine", "product": {"usage_model_type": "ANCHOR"}}},
            {"product": {"product_id": "nor this", "product": {"usage_model_type": "ANCHOR"}}},
        ]
    )

    refused = await wire.refused("CatalogService/CreateRecords", request)

    assert refused.fields == (
        "records[0].product.product_id",
        "records[2].product.product_id",
    )


async def test_every_fault_of_a_record_and_of_a_question_is_named(wire: Wire):
    record = usage(wire.asset, "calls", "2024-01-10", "-1", "no id")
    record.usage_resource, record.unit_of_measure = "calls", "units/gb"
    question = rates.RateQuestion(price_book="book", currency_code="usd", date={"year": 1})
    question.quantity.value = "1e5"

    data = await wire.call(
        "ConsumptionService/RecordUsage", consumption.RecordUsageRequest(records=[record])
    )
    [outcome] = consumption.RecordUsageResponse.FromString(data).outcomes
    data = await wire.call(
        "RateService/DiscoverRates", rates.DiscoverRatesRequest(questions=[question])
    )
    [answer] = rates.DiscoverRatesResponse.FromString(data).answers

    assert fields_of(outcome.status) == [
        "record_id", "usage_resource", "quantity", "unit_of_measure",
    ]  # fmt: skip
    assert fields_of(answer.status) == [
        "price_book", "product", "usage_resource", "currency_code", "date", "quantity",
    ]  # fmt: skip


def fields_of(status: status_pb2.Status) -> list[str]:
    bad = details.BadRequest()
    assert any(detail.Unpack(bad) for detail in status.details)
    return [violation.field for violation in bad.field_violations]


async def test_a_list_with_far_too_many_items_is_refused_without_being_read(wire: Wire):
    """Four megabytes of empty records: to name the faults of each would take minutes."""
    request = b"\x0a\x00" * 2_000_000

    started = time.perf_counter()
    refused = await wire.refused("ConsumptionService/RecordUsage", request, timeout=30)

    assert refused.reason == "TOO_MANY_ITEMS"
    assert time.perf_counter() - started < 10


TENANT = TenantId(UUID(int=7))
SEAL = TokenSeal((b"s" * 32,))


def sealed(seal: TokenSeal, key: object, request: object) -> str:
    body = json.dumps(key).encode()
    return base64.urlsafe_b64encode(seal.of(pages._query(request, TENANT), body) + body).decode()


@pytest.mark.parametrize(
    "key",
    [[], ["2024-01-15T00:00:00+00:00"], ["x", str(TENANT)], [1, 2], {}, "text", None, [None, None]],
    ids=str,
)
def test_a_sealed_token_of_another_shape_is_refused(key: object):
    request = quotes.ListQuotesRequest(parent="accounts/ann")
    request.page_token = sealed(SEAL, key, request)

    with pytest.raises(InvalidArgument) as refused:
        pages.read(request, TENANT, SEAL, (pages.datetime, UUID))

    assert refused.value.reason == "PAGE_TOKEN_INVALID"


async def test_a_token_made_of_what_callers_know_is_refused(service: Service):
    """As pages were sealed before: by the tenant's id, which is derived from its public name."""
    tenant, key = await add_tenant(service, moment("2024-01-15"))
    request = rates.ListPriceBooksRequest()
    body = json.dumps(["a"]).encode()
    text = json.dumps(["usage_management.v1.ListPriceBooksRequest", {}], sort_keys=True)
    secret = tenant_id_of(tenant).bytes
    mac = hmac.new(secret, sha256(text.encode()).digest() + body, sha256).digest()[:16]
    request.page_token = base64.urlsafe_b64encode(mac + body).decode()

    async with UsageClient(service.address, key) as client:
        with pytest.raises(Exception, match="PAGE_TOKEN_INVALID"):
            await client.rates.ListPriceBooks(request)


def test_the_settings_that_are_limits_have_the_values_of_their_table():
    usual = {limit.id: limit.value for limit in LIMITS}

    assert Config(database_url="unused").limits.items() <= usual.items()
