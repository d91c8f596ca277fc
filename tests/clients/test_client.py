"""The client: its key, its one error, and what it tries again."""

import asyncio
import time
from collections.abc import AsyncIterator

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2 as details
from google.rpc import status_pb2
from usage_management.v1 import access_service_pb2 as access
from usage_management.v1 import account_service_pb2 as accounts
from usage_management.v1 import catalog_service_pb2 as catalog
from usage_management.v1 import consumption_service_pb2 as consumption
from usage_management.v1 import quote_service_pb2 as quotes

from clients import UsageClient, UsageError, retry
from clients.pages import pages
from tests.clients.small_server import Script, answering, refusal

BUSY = refusal(grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE", after=0.01)
OVERLOADED = refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", after=0.01)


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
async def client(script: Script) -> AsyncIterator[UsageClient]:
    async with answering(script) as address, UsageClient(address, "k", timeout=5) as made:
        yield made


async def test_a_call_carries_the_key(client: UsageClient, script: Script) -> None:
    script.answers["GetTenant"] = [access.Tenant(name="tenants/t")]

    assert (
        await client.access.GetTenant(access.GetTenantRequest(name="tenants/-"))
    ).name == "tenants/t"
    assert script.metadata[0]["authorization"] == "Bearer k"


async def test_the_latest_revision_is_kept_in_whatever_order_changes_are_answered(
    client: UsageClient, script: Script
) -> None:
    script.answers["CreateAccount"] = [accounts.Account()]
    script.answers["GetTenant"] = [access.Tenant()]
    script.trailers = [
        ("usage-revision-token", "r1-0000000000000009-a"),
        ("usage-revision-token", "r1-0000000000000008-f"),
        ("of-something-else", "z"),
        ("usage-revision-token", "r1-0000000000000010-0"),
    ]

    seen = [client.revision_token]
    for _ in range(3):
        await client.accounts.CreateAccount(accounts.CreateAccountRequest())
        seen.append(client.revision_token)
    await client.access.GetTenant(access.GetTenantRequest(name="tenants/-"))

    ninth = "r1-0000000000000009-a"
    assert seen == ["", ninth, ninth, ninth]
    assert client.revision_token == ninth, "reads change nothing, so their trailers are not read"


async def test_a_refusal_is_one_error_with_all_it_says(client: UsageClient, script: Script) -> None:
    violation = details.BadRequest.FieldViolation(
        field="account.time_zone", reason="ZONE_UNKNOWN", description="no such zone"
    )
    script.answers["CreateAccount"] = [
        refusal(
            grpc.StatusCode.INVALID_ARGUMENT,
            "ZONE_UNKNOWN",
            details.BadRequest(field_violations=[violation]),
            zone="Mars",
        )
    ]

    with pytest.raises(UsageError) as refused:
        await client.accounts.CreateAccount(accounts.CreateAccountRequest())

    error = refused.value
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert (error.reason, error.message) == ("ZONE_UNKNOWN", "because ZONE_UNKNOWN")
    assert error.facts == {"zone": "Mars"}
    [one] = error.violations
    assert (one.field, one.reason) == ("account.time_zone", "ZONE_UNKNOWN")
    assert error.is_answer
    assert len(script.asked) == 1


async def test_states_in_the_way_are_violations_too(client: UsageClient, script: Script) -> None:
    violation = details.PreconditionFailure.Violation(
        type="NO_RATE", subject="products/p", description="has no rate"
    )
    failure = details.PreconditionFailure(violations=[violation])
    script.answers["ActivateProduct"] = [
        refusal(grpc.StatusCode.FAILED_PRECONDITION, "VALIDATION_FAILED", failure)
    ]

    with pytest.raises(UsageError) as refused:
        await client.catalog.ActivateProduct(catalog.ActivateProductRequest(name="products/p"))

    [one] = refused.value.violations
    assert (one.field, one.reason) == ("products/p", "NO_RATE")


async def test_limits_that_were_reached_are_violations_too(
    client: UsageClient, script: Script
) -> None:
    violation = details.QuotaFailure.Violation(subject="rateCards/c", description="has 1,200")
    failure = details.QuotaFailure(violations=[violation])
    script.answers["CreateAccount"] = [
        refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "LIMIT_RATE_CARD", failure)
    ]

    with pytest.raises(UsageError) as refused:
        await client.accounts.CreateAccount(accounts.CreateAccountRequest())

    [one] = refused.value.violations
    assert (one.field, one.reason) == ("rateCards/c", "LIMIT_RATE_CARD")
    assert one.description == "has 1,200"


async def test_reads_are_tried_again_up_to_three_times(client: UsageClient, script: Script) -> None:
    script.answers["GetTenant"] = [BUSY, BUSY, BUSY, access.Tenant()]
    await client.access.GetTenant(access.GetTenantRequest(name="tenants/-"))
    assert len(script.asked) == 4

    script.answers["GetTenant"] = [BUSY]
    with pytest.raises(UsageError, match="STORE_UNAVAILABLE"):
        await client.access.GetTenant(access.GetTenantRequest(name="tenants/-"))
    assert len(script.asked) == 8


async def test_one_attempt_has_one_name_however_often_it_is_sent(
    client: UsageClient, script: Script
) -> None:
    script.answers["CreateQuote"] = [BUSY, OVERLOADED, quotes.Quote()]
    request = quotes.CreateQuoteRequest(parent="accounts/a")

    await client.quotes.CreateQuote(request)
    await client.quotes.CreateQuote(quotes.CreateQuoteRequest(request_id="of-the-caller"))

    first, second, third, fourth = (sent.request_id for sent in script.asked)
    assert first == second == third != ""
    assert fourth == "of-the-caller"
    assert request.request_id == "", "the caller's own message is left alone"


async def test_aborted_is_tried_again_only_when_told_to(
    client: UsageClient, script: Script
) -> None:
    lost_race = refusal(grpc.StatusCode.ABORTED, "CONCURRENT_CHANGE", after=0.01)
    script.answers["RecordUsage"] = [lost_race, consumption.RecordUsageResponse()]
    await client.consumption.RecordUsage(consumption.RecordUsageRequest())
    assert len(script.asked) == 2

    script.answers["UpdateAccount"] = [refusal(grpc.StatusCode.ABORTED, "ETAG_MISMATCH")]
    with pytest.raises(UsageError, match="ETAG_MISMATCH"):
        await client.accounts.UpdateAccount(accounts.UpdateAccountRequest())
    assert len(script.asked) == 3


async def test_a_call_that_the_transport_canceled_is_tried_again_where_that_is_safe(
    client: UsageClient, script: Script
) -> None:
    shed = status_pb2.Status(code=grpc.StatusCode.CANCELLED.value[0])
    script.answers["GetTenant"] = [shed, access.Tenant()]
    started = time.monotonic()
    await client.access.GetTenant(access.GetTenantRequest(name="tenants/-"))
    assert len(script.asked) == 2
    assert time.monotonic() - started >= retry.FIRST_PAUSE_SECONDS

    script.answers["CreateCredential"] = [shed]
    with pytest.raises(UsageError, match="CANCELLED"):
        await client.access.CreateCredential(access.CreateCredentialRequest())
    assert len(script.asked) == 3

    script.answers["GetTenant"] = [refusal(grpc.StatusCode.CANCELLED, "OF_THE_SERVICE")]
    with pytest.raises(UsageError, match="OF_THE_SERVICE"):
        await client.access.GetTenant(access.GetTenantRequest(name="tenants/-"))
    assert len(script.asked) == 4, "the service itself said so"


async def test_a_call_that_its_caller_cancels_is_not_tried_again(
    client: UsageClient, script: Script
) -> None:
    async def never(_: Message) -> Message:
        await asyncio.sleep(60)
        return access.Tenant()

    script.answers["GetTenant"] = [never]
    call = asyncio.create_task(client.access.GetTenant(access.GetTenantRequest(name="tenants/-")))
    while not script.asked:  # noqa: ASYNC110 - the server tells nobody
        await asyncio.sleep(0.01)

    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    await asyncio.sleep(0.2)
    assert len(script.asked) == 1


async def test_what_would_be_done_twice_is_not_tried_again(
    client: UsageClient, script: Script
) -> None:
    script.answers["CreateCredential"] = [BUSY]

    with pytest.raises(UsageError):
        await client.access.CreateCredential(access.CreateCredentialRequest())

    assert len(script.asked) == 1


async def test_a_pause_beyond_the_deadline_is_not_waited_for(
    client: UsageClient, script: Script
) -> None:
    script.answers["GetTenant"] = [refusal(grpc.StatusCode.UNAVAILABLE, "BACKLOG", after=0.9)]
    started = time.monotonic()

    with pytest.raises(UsageError, match="BACKLOG") as refused:
        await client.access.GetTenant(access.GetTenantRequest(name="tenants/-"), timeout=0.5)

    assert time.monotonic() - started < 0.5
    assert refused.value.retry_after_seconds == pytest.approx(0.9)


async def test_nobody_there_is_an_error_that_is_no_answer() -> None:
    async with UsageClient("127.0.0.1:1", "k", timeout=2) as client:
        with pytest.raises(UsageError) as failed:
            await client.access.GetTenant(access.GetTenantRequest(name="tenants/-"))

    assert failed.value.code is grpc.StatusCode.UNAVAILABLE
    assert not failed.value.is_answer


async def test_a_client_made_before_its_loop_can_be_closed_and_used_again(script: Script) -> None:
    script.answers["GetTenant"] = [access.Tenant()]
    async with answering(script) as address:
        client = UsageClient(address, "k")
        await client.close()
        for _ in range(2):
            await client.access.GetTenant(access.GetTenantRequest(name="tenants/-"))
            await client.close()

    assert len(script.asked) == 2


async def test_pages_are_one_list(client: UsageClient, script: Script) -> None:
    def page(*names: str, following: str = "") -> accounts.ListAccountsResponse:
        found = [accounts.Account(name=name) for name in names]
        return accounts.ListAccountsResponse(accounts=found, next_page_token=following)

    script.answers["ListAccounts"] = [
        page("a", "b", following="t1"),
        page(following="t2"),
        page("c"),
    ]
    request = accounts.ListAccountsRequest(page_size=2)

    found = [one.name async for one in pages(client.accounts.ListAccounts, request)]

    assert found == ["a", "b", "c"]
    assert [sent.page_token for sent in script.asked] == ["", "t1", "t2"]
    assert {sent.page_size for sent in script.asked} == {2}
    assert request.page_token == ""


def test_which_mutations_may_be_repeated() -> None:
    def safe(name: str) -> bool:
        return retry.is_safe(retry.method(f"/usage_management.v1.{name}"))

    assert safe("AccessService/AdvanceClock")
    assert safe("AccessService/CreateTenant")
    assert safe("OrderService/ActivateOrder")
    assert safe("CatalogService/CreateProductUsageResource")
    assert safe("RateService/DiscoverRates")
    assert not safe("AccessService/RetryJob")
    assert not safe("AccessService/WaiveJob")
