"""Access: every method against every role, keys, limits, clocks, jobs that stopped."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.message_factory import GetMessageClass
from grpc import StatusCode
from usage_management.v1 import access_service_pb2 as access
from usage_management.v1 import account_service_pb2 as accounts

from clients import UsageClient, UsageError
from server.api.permissions import requirement
from server.app import SERVICES
from server.domain.access import PERMISSIONS, Role
from tests.api.wire import Refusal, Wire
from tests.service import Service, add_tenant
from tests.stories.words import moment, stamp

METHODS = [
    method
    for service, _ in SERVICES
    for method in service.methods
    if not method.client_streaming and not method.server_streaming
]


@pytest.fixture(scope="session")
async def keys(service: Service) -> dict[Role, str]:
    """A key of each role, of one tenant but for the operator's."""
    found = {Role.OPERATOR: service.operator_key}
    tenant, _ = await add_tenant(service, None)
    async with UsageClient(service.address, service.operator_key) as operator:
        for role in Role:
            if role is not Role.OPERATOR:
                credential = access.Credential(tenant=f"tenants/{tenant}", roles=[role.value])
                request = access.CreateCredentialRequest(credential=credential)
                found[role] = (await operator.access.CreateCredential(request)).key
    return found


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.full_name)
async def test_a_method_is_refused_to_roles_without_its_permission(wire: Wire, keys, method):
    """An empty request is never answered with success but to those who may ask."""
    needed = requirement(method).permission
    path = f"{method.containing_service.name}/{method.name}"
    empty = GetMessageClass(method.input_type)()
    for role in Role:
        answer = await wire.call(path, empty, key=keys[role])
        refused = isinstance(answer, Refusal) and answer.code is StatusCode.PERMISSION_DENIED
        assert refused == (needed not in PERMISSIONS[role]), (role, answer)


def test_every_permission_is_somebodys_and_every_role_may_something():
    methods = [method for service, _ in SERVICES for method in service.methods]
    asked = {requirement(method).permission for method in methods}
    given = frozenset().union(*PERMISSIONS.values())

    assert given == asked


async def test_roles_add_up(service: Service):
    _, key = await add_tenant(service, None, "COLLECTOR", "WALLET_USER")
    async with UsageClient(service.address, key) as client:
        assert not (await client.accounts.ListAccounts(accounts.ListAccountsRequest())).accounts
        with pytest.raises(UsageError, match="PERMISSION_MISSING"):
            await client.access.ListRuns(access.ListRunsRequest())


async def test_nobody_gives_what_they_do_not_have(service: Service):
    _, key = await add_tenant(service, None, "ADMIN")
    async with UsageClient(service.address, key) as client:
        operator = access.Credential(roles=["OPERATOR"])
        with pytest.raises(UsageError) as refused:
            await client.access.CreateCredential(
                access.CreateCredentialRequest(credential=operator)
            )
        assert (refused.value.code, refused.value.reason) == (
            StatusCode.PERMISSION_DENIED,
            "ESCALATION",
        )
        elsewhere = access.Credential(roles=["COLLECTOR"], tenant="tenants/operator")
        with pytest.raises(UsageError, match="TENANT_NOT_FOUND"):
            await client.access.CreateCredential(
                access.CreateCredentialRequest(credential=elsewhere)
            )


async def test_a_revoked_key_stops_working_within_five_seconds(service: Service):
    _, key = await add_tenant(service, None, "ADMIN")
    async with UsageClient(service.address, key) as client:
        made = await client.access.CreateCredential(
            access.CreateCredentialRequest(credential=access.Credential(roles=["COLLECTOR"]))
        )
        async with UsageClient(service.address, made.key) as collector:
            request = accounts.ListAccountsRequest()
            with pytest.raises(UsageError, match="PERMISSION_MISSING"):
                await collector.accounts.ListAccounts(request)
            name = access.RevokeCredentialRequest(name=made.credential.name)
            first = await client.access.RevokeCredential(name)
            again = await client.access.RevokeCredential(name)
            assert first.revoke_time == again.revoke_time
            await asyncio.sleep(5)
            listing = collector.accounts.ListAccounts(request)
            assert await reason(listing) == "CREDENTIAL_INVALID"


async def reason(call) -> str:
    with pytest.raises(UsageError) as refused:
        await call
    return refused.value.reason


async def test_an_expired_key_is_nobodys(service: Service):
    _, key = await add_tenant(service, None, "ADMIN")
    past = stamp(datetime.now(UTC) - timedelta(seconds=1))
    async with UsageClient(service.address, key) as client:
        credential = access.Credential(roles=["COLLECTOR"], expire_time=past)
        made = await client.access.CreateCredential(
            access.CreateCredentialRequest(credential=credential)
        )
        async with UsageClient(service.address, made.key) as expired:
            listing = expired.accounts.ListAccounts(accounts.ListAccountsRequest())
            assert await reason(listing) == "CREDENTIAL_INVALID"


@pytest.mark.capability("M143")
async def test_limits_can_be_read_and_hold(wire: Wire):
    answer = await wire.world.client.access.ListLimits(access.ListLimitsRequest(page_size=1000))
    limits = {limit.id: limit for limit in answer.limits}

    assert limits["record.batch_size"].value == 1000
    assert limits["order.wallets"].reason == "LIMIT_ORDER_WALLETS"
    assert [limit.id for limit in answer.limits] == sorted(limits)


async def test_an_operator_makes_operators_in_its_own_tenant_only(service: Service):
    tenant, _ = await add_tenant(service, None)
    async with UsageClient(service.address, service.operator_key) as operator:
        inside = access.Credential(roles=["OPERATOR"], tenant=f"tenants/{tenant}")
        request = access.CreateCredentialRequest(credential=inside)
        assert await reason(operator.access.CreateCredential(request)) == "ESCALATION"
        request.credential.tenant = ""
        assert (await operator.access.CreateCredential(request)).key


async def test_a_tenant_is_made_once(service: Service):
    async with UsageClient(service.address, service.operator_key) as operator:
        request = access.CreateTenantRequest(
            tenant_id="Once", tenant=access.Tenant(display_name="first")
        )
        first = await operator.access.CreateTenant(request)
        again = await operator.access.CreateTenant(request)
        assert first.create_time == again.create_time
        request.tenant.display_name = "second"
        assert await reason(operator.access.CreateTenant(request)) == "CODE_TAKEN"
        request.tenant_id, request.tenant.display_name = "ONCE", "first"
        assert await reason(operator.access.CreateTenant(request)) == "CODE_TAKEN"
        listed = await operator.access.ListTenants(access.ListTenantsRequest(page_size=1000))
        assert {"tenants/Once", "tenants/operator"} <= {tenant.name for tenant in listed.tenants}


async def test_clocks_move_forward_in_sandboxes_only(service: Service):
    _, real = await add_tenant(service, None)
    _, sandbox = await add_tenant(service, moment("2024-01-01"))
    to_june = access.AdvanceClockRequest(to_time=stamp(moment("2024-06-01")))
    async with (
        UsageClient(service.address, real) as in_time,
        UsageClient(service.address, sandbox) as client,
    ):
        assert await reason(in_time.access.AdvanceClock(to_june)) == "CLOCK_NOT_SANDBOX"
        run = await client.access.AdvanceClock(to_june)
        while run.state == access.Run.RUNNING:
            await asyncio.sleep(0.02)
            run = await client.access.GetRun(access.GetRunRequest(name=run.name))
        assert (
            await client.access.GetTenant(access.GetTenantRequest(name="tenants/-"))
        ).clock_time == stamp(moment("2024-06-01"))
        back = access.AdvanceClockRequest(to_time=stamp(moment("2024-05-31")))
        assert await reason(client.access.AdvanceClock(back)) == "CLOCK_BACKWARD"
        listed = await client.access.ListRuns(access.ListRunsRequest())
        assert [one.name for one in listed.runs] == [run.name]


async def test_an_operator_stops_the_keys_of_any_tenant_and_nobody_else_does(service: Service):
    tenant, key = await add_tenant(service, None)
    _, other_key = await add_tenant(service, None)
    async with (
        UsageClient(service.address, service.operator_key) as operator,
        UsageClient(service.address, key) as client,
        UsageClient(service.address, other_key) as other,
    ):
        made = await client.access.CreateCredential(
            access.CreateCredentialRequest(credential=access.Credential(roles=["DESIGNER"]))
        )
        revoke = access.RevokeCredentialRequest(name=made.credential.name)
        assert await reason(operator.access.RevokeCredential(revoke)) == "CREDENTIAL_NOT_FOUND"
        revoke.tenant = f"tenants/{tenant}"
        assert await reason(other.access.RevokeCredential(revoke)) == "TENANT_NOT_FOUND"
        stopped = await operator.access.RevokeCredential(revoke)
        async with UsageClient(service.address, made.key) as gone:
            listing = gone.accounts.ListAccounts(accounts.ListAccountsRequest())
            assert await reason(listing) == "CREDENTIAL_INVALID"

    assert stopped.HasField("revoke_time")
    assert stopped.tenant == f"tenants/{tenant}"
