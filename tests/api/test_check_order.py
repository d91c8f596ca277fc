"""The order of the checks of a call: a request that breaks several is refused by the first of them.

wire form → credential → permission → rules of the proto → the use case.
"""

import pytest
from usage_management.v1 import access_service_pb2 as access
from usage_management.v1 import quote_service_pb2 as quotes

from clients import UsageClient
from tests.api.wire import Wire
from tests.service import Service

CREATE = "QuoteService/CreateQuote"
MALFORMED = b"\x0a\xff"
# It lacks what the proto requires.
INVALID = quotes.CreateQuoteRequest()
# It keeps the rules of the proto; the account does not exist.
UNKNOWN = quotes.GetQuoteRequest(name="accounts/nobody/quotes/00000000-0000-4000-8000-000000000000")


@pytest.fixture
async def reader_key(service: Service, wire: Wire) -> str:
    """A key of the wire's tenant that may read wallets and nothing else."""
    tenant = await wire.world.client.access.GetTenant(access.GetTenantRequest(name="tenants/-"))
    async with UsageClient(service.address, service.operator_key) as operator:
        credential = access.Credential(tenant=tenant.name, roles=["WALLET_USER"])
        made = await operator.access.CreateCredential(
            access.CreateCredentialRequest(credential=credential)
        )
    return made.key


async def test_each_check_comes_before_the_next(wire: Wire, reader_key: str):
    told = [
        (await wire.refused(CREATE, MALFORMED, key="wrong")).reason,
        (await wire.refused(CREATE, INVALID, key="wrong")).reason,
        (await wire.refused(CREATE, INVALID, key=reader_key)).reason,
        (await wire.refused(CREATE, INVALID)).reason,
        (await wire.refused("QuoteService/GetQuote", UNKNOWN)).reason,
    ]

    assert told == [
        "MALFORMED_MESSAGE",
        "CREDENTIAL_INVALID",
        "PERMISSION_MISSING",
        "FIELD_REQUIRED",
        "QUOTE_NOT_FOUND",
    ]
