"""Bad envelopes: what is wrong with a call whatever it asks for (X01 to X28)."""

import asyncio

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from grpc import StatusCode
from usage_management.v1 import account_service_pb2 as accounts
from usage_management.v1 import catalog_resources_pb2 as catalog
from usage_management.v1 import catalog_service_pb2 as catalog_rpc
from usage_management.v1 import consumption_service_pb2 as consumption
from usage_management.v1 import order_service_pb2 as orders
from usage_management.v1 import policy_resources_pb2 as policies
from usage_management.v1 import policy_service_pb2 as policy_rpc
from usage_management.v1 import quote_service_pb2 as quotes

from tests.api.refusals import CREATE, INVALID, account, is_
from tests.api.wire import Wire
from tests.service import Service, add_tenant
from tests.stories.words import line

GET = "AccountService/GetAccount"
UPDATE = "AccountService/UpdateAccount"
RECORD = "ConsumptionService/RecordUsage"


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\x00\x13random\x88",
        b"\x0a\x50accounts",
        b"\x0c",
        b"\x0a\x04ab\xc3\x28",
        b"\x08\x01\x0a",
    ],
    ids=["X01 random", "X02 truncated", "X02 group end", "X03 not UTF-8", "X02 cut tag"],
)
async def test_bytes_that_are_no_message_are_malformed(wire: Wire, data: bytes):
    is_(await wire.refused(GET, data), INVALID, "MALFORMED_MESSAGE")


async def test_x04_nesting_without_end_is_malformed(wire: Wire):
    data = b""
    for _ in range(120):
        data = b"\x0b" + data + b"\x0c"  # groups within groups
    is_(await wire.refused(GET, data), INVALID, "MALFORMED_MESSAGE")


async def test_x05_messages_have_a_largest_size(wire: Wire):
    over = accounts.GetAccountRequest(name="x" * (1024 * 1024))
    is_(await wire.refused(GET, over), StatusCode.RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE")
    far_over = await wire.refused(RECORD, b"\x00" * (4 * 1024 * 1024 + 1))
    assert far_over.code is StatusCode.RESOURCE_EXHAUSTED


async def test_x06_a_compressed_message_is_measured_unpacked(wire: Wire):
    bomb = b"a" * (50 * 1024 * 1024)
    refused = await wire.refused(RECORD, bomb, compression=grpc.Compression.Gzip)
    assert refused.code is StatusCode.RESOURCE_EXHAUSTED


async def test_x08_a_few_unknown_fields_are_ignored_and_many_refused(wire: Wire):
    known = accounts.GetAccountRequest(name=wire.account).SerializeToString()
    unknown = b"\xfa\x3f\x03abc"
    assert isinstance(await wire.call(GET, known + unknown * 10), bytes)
    is_(await wire.refused(GET, known + unknown * 65), INVALID, "UNKNOWN_FIELDS")
    is_(await wire.refused(GET, known + unknown * 10_000), INVALID, "UNKNOWN_FIELDS")
    nested = consumption.RecordUsageRequest(records=[consumption.UsageRecordInput()])
    inner = nested.records[0].SerializeToString() + b"\xfa\x3f\xff\x7f" + b"x" * 16383
    data = b"\x0a" + _varint(len(inner)) + inner
    is_(await wire.refused(RECORD, data), INVALID, "UNKNOWN_FIELDS")


def _varint(value: int) -> bytes:
    parts = []
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


async def test_x09_what_does_not_exist_is_unimplemented(wire: Wire):
    assert (await wire.refused("AccountService/Nothing", b"")).code is StatusCode.UNIMPLEMENTED
    assert (await wire.refused("NoService/GetAccount", b"")).code is StatusCode.UNIMPLEMENTED


async def test_x10_everything_that_is_missing_is_named(wire: Wire):
    refused = await wire.refused(CREATE, accounts.CreateAccountRequest())
    is_(refused, INVALID, "FIELD_REQUIRED")
    assert refused.fields == ("account_id", "account")
    partly = accounts.CreateAccountRequest(account_id="new", account=accounts.Account())
    refused = await wire.refused(CREATE, partly)
    assert refused.fields == ("account.time_zone", "account.currency_code")


async def test_x11_metadata_has_a_largest_size(wire: Wire):
    request = accounts.GetAccountRequest(name=wire.account)
    refused = await wire.refused(GET, request, metadata=(("x-note", "x" * 20_000),))
    assert refused.code is StatusCode.RESOURCE_EXHAUSTED


async def test_x13_x14_x15_deadlines_are_kept_capped_and_supplied(wire: Wire):
    request = accounts.GetAccountRequest(name=wire.account)
    assert (await wire.refused(GET, request, timeout=-1)).code is StatusCode.DEADLINE_EXCEEDED
    assert isinstance(await wire.call(GET, request, timeout=11 * 86_400), bytes)
    assert isinstance(await wire.call(GET, request, timeout=None), bytes)


@pytest.mark.parametrize(
    "request_id", ["short", "x" * 129, "has a space", "line\nbreak", "nul\x00nul1", "smile-😀-1"]
)
@pytest.mark.parametrize("is_dry", [False, True])
async def test_x17_request_ids_have_a_format(wire: Wire, request_id: str, is_dry: bool):
    request = orders.ActivateOrderRequest(
        name=f"{wire.account}/orders/0192f0c1-2b3c-7d4e-8f5a-6b7c8d9e0f1a",
        request_id=request_id,
        validate_only=is_dry,
    )
    is_(await wire.refused("OrderService/ActivateOrder", request), INVALID, "REQUEST_ID_FORMAT")


def _quote(wire: Wire, request_id: str, *, quantity: int = 1) -> quotes.CreateQuoteRequest:
    return quotes.CreateQuoteRequest(
        parent=wire.account,
        quote=quotes.Quote(
            price_book="priceBooks/book", lines=[line("plan", "2024-01-01", quantity=quantity)]
        ),
        request_id=request_id,
    )


async def test_x18_x19_a_request_id_names_one_request(wire: Wire):
    first = await wire.call("QuoteService/CreateQuote", _quote(wire, "x18-request"))
    again = await wire.call("QuoteService/CreateQuote", _quote(wire, "x18-request"))
    assert isinstance(first, bytes)
    assert first == again

    other = _quote(wire, "x18-request", quantity=2)
    refused = await wire.refused("QuoteService/CreateQuote", other)
    is_(refused, StatusCode.ALREADY_EXISTS, "REQUEST_ID_CONFLICT")
    assert refused.facts["fields"] == "quote"
    quote = quotes.Quote.FromString(first)
    order = orders.CreateOrderRequest(quote=quote.name, request_id="x18-request")
    refused = await wire.refused("OrderService/CreateOrder", order)
    is_(refused, StatusCode.ALREADY_EXISTS, "REQUEST_ID_CONFLICT")
    assert refused.facts["fields"] == "method"


async def test_x21_validate_only_leaves_nothing(wire: Wire):
    request = _quote(wire, "")
    request.validate_only = True
    answer = await wire.call("QuoteService/CreateQuote", request)
    assert isinstance(answer, bytes)
    shown = quotes.GetQuoteRequest(name=quotes.Quote.FromString(answer).name)
    is_(await wire.refused("QuoteService/GetQuote", shown), StatusCode.NOT_FOUND, "QUOTE_NOT_FOUND")
    request.quote.lines[0].quantity.value = "-1"
    is_(await wire.refused("QuoteService/CreateQuote", request), INVALID, "QUANTITY_NEGATIVE")


async def test_x22_a_oneof_that_is_needed_is_needed(wire: Wire):
    policy = policies.RatingFrequencyPolicy(period="MONTH")
    policy.waiting_time.SetInParent()
    request = policy_rpc.CreateRatingFrequencyPolicyRequest(
        rating_frequency_policy_id="x22", rating_frequency_policy=policy
    )
    method = "PolicyService/CreateRatingFrequencyPolicy"
    is_(await wire.refused(method, request), INVALID, "FIELD_REQUIRED")
    last_wins = b"\x08\x02\x10\x30"  # days 2, then hours 48
    policy.ClearField("waiting_time")
    inner = policy.SerializeToString() + b"\x22" + bytes([len(last_wins)]) + last_wins
    data = b"\x0a\x03x22\x12" + bytes([len(inner)]) + inner
    answer = await wire.call(method, data)
    assert isinstance(answer, bytes), answer
    assert policies.RatingFrequencyPolicy.FromString(answer).waiting_time.hours == 48


async def test_x23_x24_enums_are_chosen_and_known(wire: Wire):
    request = catalog_rpc.CreateUnitClassRequest(
        unit_class_id="x23", unit_class=catalog.UnitClass()
    )
    method = "CatalogService/CreateUnitClass"
    is_(await wire.refused(method, request), INVALID, "ENUM_UNSPECIFIED")
    request.unit_class.kind = 999
    is_(await wire.refused(method, request), INVALID, "ENUM_UNKNOWN")


@pytest.mark.parametrize("paths", [[], ["nothing"], ["time_zone"], ["*", "labels"], ["labels.key"]])
async def test_x25_update_masks_name_what_may_change(wire: Wire, paths: list[str]):
    request = accounts.UpdateAccountRequest(
        account=accounts.Account(name=wire.account, display_name="Ann"),
        update_mask=FieldMask(paths=paths),
    )
    is_(await wire.refused(UPDATE, request), INVALID, "FIELD_MASK_INVALID")


async def test_x26_a_stale_etag_is_told_the_current_one(wire: Wire):
    request = accounts.UpdateAccountRequest(
        account=accounts.Account(name=wire.account, display_name="Ann", etag='"999"'),
        update_mask=FieldMask(paths=["display_name"]),
    )
    refused = await wire.refused(UPDATE, request)
    is_(refused, StatusCode.ABORTED, "ETAG_MISMATCH")
    request.account.etag = refused.facts["etag"]
    answer = await wire.call(UPDATE, request)
    assert isinstance(answer, bytes)
    assert accounts.Account.FromString(answer).display_name == "Ann"


async def test_x27_lists_have_a_largest_length(wire: Wire):
    records = [consumption.UsageRecordInput()] * 1001
    refused = await wire.refused(RECORD, consumption.RecordUsageRequest(records=records))
    is_(refused, INVALID, "TOO_MANY_ITEMS")
    assert refused.facts["got"] == "1001"


@pytest.mark.parametrize(
    "labels",
    [{f"k{i}": "v" for i in range(65)}, {"k" * 129: "v"}, {"k": "v" * 1025}, {"k": "nul\x00"}],
    ids=["65 labels", "long key", "long value", "NUL"],
)
async def test_x28_labels_are_bounded(wire: Wire, labels: dict[str, str]):
    request = account("x28")
    request.account.labels.update(labels)
    is_(await wire.refused(CREATE, request), INVALID, "LABELS_INVALID")


async def test_keys_are_needed_known_and_sufficient(wire: Wire, service):
    request = accounts.GetAccountRequest(name=wire.account)
    is_(await wire.refused(GET, request, key=""), StatusCode.UNAUTHENTICATED, "CREDENTIAL_MISSING")
    unknown = await wire.refused(GET, request, key="usage_nobody")
    is_(unknown, StatusCode.UNAUTHENTICATED, "CREDENTIAL_INVALID")
    _, collector = await add_tenant(service, None, "COLLECTOR")
    refused = await wire.refused(GET, b"", key=collector)
    is_(refused, StatusCode.PERMISSION_DENIED, "PERMISSION_MISSING")
    assert refused.facts["permission"] == "accounts.read"


async def test_x12_a_metadata_key_that_is_none_does_not_leave_the_client(wire: Wire):
    with pytest.raises(Exception, match="execute_batch"):
        await wire.call(GET, b"", metadata=(("schlüssel", "v"),))
    answer = await wire.call(GET, accounts.GetAccountRequest(name=wire.account))
    assert isinstance(answer, bytes)


async def test_x07_a_compression_that_nobody_knows_is_refused_by_the_library(service: Service):
    """No library sends one, so these are frames by hand. gRPC itself calls it INTERNAL."""
    host, _, port = service.address.partition(":")
    headers = {
        ":method": "POST",
        ":scheme": "http",
        ":path": f"/usage_management.v1.{GET}",
        ":authority": service.address,
        "te": "trailers",
        "content-type": "application/grpc",
        "grpc-encoding": "snappy",
    }
    packed = b"".join(_literal(name) + _literal(value, b"") for name, value in headers.items())
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(4, 0, 0, b""))
    writer.write(_frame(1, 4, 1, packed) + _frame(0, 1, 1, b"\x01\x00\x00\x00\x02ab"))
    received = b""
    async with asyncio.timeout(10):
        while b"grpc-status" not in received:
            received += await reader.read(4096)
    writer.close()
    assert b"grpc-status\x010" not in received
    assert b"Error parsing 'grpc-encoding' metadata" in received


def _literal(text: str, mark: bytes = b"\x00") -> bytes:
    """A name or a value as HPACK spells out what it does not index."""
    return mark + bytes([len(text)]) + text.encode()


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    head = len(payload).to_bytes(3) + bytes([kind, flags])
    return head + stream.to_bytes(4) + payload
