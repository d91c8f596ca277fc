"""`python -m clients.bootstrap`: waits for the service and sees to a first tenant with a key.

`usage up` runs it. The address and the operator's key are those of `.usage/credentials`, and the
new key is written there: what is printed goes to a log.
"""

import asyncio
import sys
from datetime import UTC, datetime

import grpc
from usage_management.v1 import access_service_pb2 as access

from clients import UsageClient, UsageError
from clients.health import serving
from clients.home import USUAL_ADDRESS, credentials, keep
from clients.tls import Tls, TlsError
from clients.values import time_pb

TENANT = "demo"
CLOCK_START = datetime(2026, 1, 1, tzinfo=UTC)
# Sooner than the supervisor gives up, so that the reason is told.
WAIT_SECONDS = 50.0


async def demo_key(address: str, operator_key: str, tls: Tls | None) -> str:
    """A new administrator's key of the tenant `demo`, a sandbox, made when it is not there."""
    async with UsageClient(address, operator_key, tls=tls) as client:
        tenant = await client.access.CreateTenant(
            access.CreateTenantRequest(
                tenant_id=TENANT,
                tenant=access.Tenant(display_name="Demo", clock_start_time=time_pb(CLOCK_START)),
            )
        )
        credential = access.Credential(
            tenant=tenant.name, roles=[access.Credential.ADMIN], display_name="made by usage up"
        )
        answer = await client.access.CreateCredential(
            access.CreateCredentialRequest(credential=credential)
        )
    return answer.key


async def works(address: str, key: str, tls: Tls | None) -> bool:
    """Return whether a key is valid."""
    async with UsageClient(address, key, tls=tls) as client:
        try:
            await client.access.GetTenant(access.GetTenantRequest(name="tenants/-"))
        except UsageError as error:
            if error.code is grpc.StatusCode.UNAUTHENTICATED:
                return False
            raise
    return True


async def reason(address: str, tls: Tls | None) -> str:
    """Why a call fails, such as a name that is not in the server's certificate."""
    async with UsageClient(address, "", timeout=2, tls=tls) as client:
        try:
            await client.access.GetTenant(access.GetTenantRequest(name="tenants/-"))
        except UsageError as error:
            return error.message
    return "it does not serve"


async def main() -> int:
    """Wait, look, make what is missing."""
    kept = credentials()
    address = kept.get("address", USUAL_ADDRESS)
    try:
        tls = Tls.of(kept)
        await serving(address, WAIT_SECONDS, tls)
    except TlsError as error:
        print(error)
        return 1
    except TimeoutError:
        print(f"{address} does not answer: {await reason(address, tls)}")
        return 1
    if not kept.get("demo_key") or not await works(address, kept["demo_key"], tls):
        if kept.get("operator_key"):
            keep(demo_key=await demo_key(address, kept["operator_key"], tls))
        else:
            print("no operator key is kept here, so the tenant demo is not made")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
