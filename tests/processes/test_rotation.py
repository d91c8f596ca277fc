"""A rotation of the secrets of tokens: one rotation leaves page tokens valid, a second does not."""

import asyncio
import subprocess
import sys

import asyncpg
from usage_management.v1 import account_service_pb2 as accounts

from clients import UsageClient, UsageError
from tests.processes.conftest import Stack
from tests.service import Service, add_tenant
from tests.stories.world import World

WATCHED_SECONDS = 20


async def rotate(environment: dict[str, str], durable: str) -> None:
    """Rotate with the command, when the secrets before and after are old enough."""
    await grow_old(durable)
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "clients", "rotate-token-secrets"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "stay valid until the next rotation" in done.stdout
    await grow_old(durable)


async def grow_old(durable: str) -> None:
    superuser = await asyncpg.connect(durable)
    await superuser.execute(
        "UPDATE token_secrets SET create_time = create_time - interval '1 minute'"
    )
    await superuser.close()


async def page(client: UsageClient, token: str = "") -> str:
    answer = await client.accounts.ListAccounts(
        accounts.ListAccountsRequest(page_size=1, page_token=token)
    )
    assert len(answer.accounts) == 1
    return answer.next_page_token


async def refusal(client: UsageClient, token: str) -> str:
    """The reason for which a token is refused, once the server has read the new secret."""
    async with asyncio.timeout(WATCHED_SECONDS):
        while True:
            try:
                await page(client, token)
            except UsageError as error:
                return error.reason
            await asyncio.sleep(0.1)


async def test_a_page_token_outlives_one_rotation_and_not_two(
    stack: Stack, durable: str, operator_key: str, settings
):
    environment = settings(durable)
    _, key = await add_tenant(Service(stack.address, operator_key), None)
    async with UsageClient(stack.address, key) as client:
        for number in range(3):
            await World(client).account(f"a{number}")
        old = await page(client)

        await rotate(environment, durable)
        async with asyncio.timeout(WATCHED_SECONDS):
            while (new := await page(client)) == old:  # noqa: ASYNC110 - the server reads it later
                await asyncio.sleep(0.1)
        await page(client, old)

        await rotate(environment, durable)
        assert await refusal(client, old) == "PAGE_TOKEN_INVALID"
        await page(client, new)


async def test_the_login_of_the_service_may_not_rotate(durable: str, operator_key: str, settings):
    environment = settings(durable)
    environment["DATABASE_OWNER_URL"] = environment["DATABASE_URL"]

    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "server", "rotate-token-secrets"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "DATABASE_OWNER_URL" in done.stderr
    assert "Traceback" not in done.stderr
