"""The verifier: silent about what is right, exact about what was tampered with."""

import asyncpg
import pytest
from usage_management.v1 import access_service_pb2 as access

from clients import UsageClient
from server.domain.ids import AccountId
from server.runtime.verification import verify_all
from server.store.pool import open_pool
from server.store.transaction import read
from server.usecases.access.tenants import tenant_id_of
from server.usecases.billing.verification import verify_account
from tests.logins import as_service
from tests.service import add_tenant, serving
from tests.stories.words import Metered, line, moment
from tests.stories.world import World

ANN = AccountId("ann")

TAMPERED = {
    "a record": (
        "UPDATE usage_records SET counted_quantity = counted_quantity + 1 WHERE record_id ="
        " (SELECT min(record_id) FROM usage_records)",
        "sum",
    ),
    "a cell": (
        "UPDATE usage_summaries SET record_count = record_count + 1 WHERE usage_summary_id ="
        " (SELECT min(usage_summary_id::text)::uuid FROM usage_summaries)",
        "record count",
    ),
    "an entry": (
        "UPDATE wallet_entries SET effective_time = effective_time + interval '1 second'"
        " WHERE seq = 1",
        "hash of entry 1",
    ),
    "a wallet's head": ("UPDATE wallets SET balance = balance + 1", "head"),
    "a grant's head": ("UPDATE grants SET head_seq = head_seq + 1", "head"),
    "a ratable line": (
        "UPDATE ratable_summaries SET used_quantity = used_quantity + 1,"
        " overage_quantity = overage_quantity + 1",
        "used quantity and overage",
    ),
    "usage and its line together": (
        "WITH cell AS (UPDATE usage_summaries SET quantity = quantity + 1,"
        " overage_quantity = overage_quantity + 1 WHERE usage_summary_id ="
        " (SELECT min(usage_summary_id::text)::uuid FROM usage_summaries))"
        " UPDATE ratable_summaries SET used_quantity = used_quantity + 1,"
        " overage_quantity = overage_quantity + 1",
        "quantity",
    ),
    "both amounts": (
        "WITH line AS (UPDATE liable_summaries SET exact_amount = exact_amount + 1,"
        " amount = amount + 1) UPDATE ratable_summaries SET amount = amount + 1",
        "amount",
    ),
    "a ratable amount": ("UPDATE ratable_summaries SET amount = amount + 1", "exact amount"),
    "a liable amount": ("UPDATE liable_summaries SET amount = amount + 1", "amount"),
}


@pytest.fixture
async def played(database: str):
    """A tenant with one account whose January is final, and how to look at it."""
    async with serving(database) as service:
        name, key = await add_tenant(service, moment("2024-01-31"))
        async with UsageClient(service.address, key) as client:
            world = World(client)
            await world.product("plan", Metered(resource="calls", grant="100", rate="2"))
            account = await world.account(ANN)
            [asset] = await world.sell(account, line("plan", "2024-01-01"))
            for day in range(1, 11):
                await world.use(asset, "calls", f"2024-01-{day:02}", 12)
            await world.advance("2024-02-10")
            limits = await client.access.ListLimits(access.ListLimitsRequest(page_size=1000))
            assert limits.limits
    pool = await open_pool(as_service(database), size=2)
    yield pool, tenant_id_of(name)
    await pool.close()


async def findings(played) -> list[str]:
    pool, tenant_id = played
    verified = await read(pool, tenant_id, lambda tx: verify_account(tx, ANN), snapshot=True)
    assert (verified.wallets, verified.records) == (1, 10)
    return [finding.what for finding in verified.findings]


async def test_what_was_played_agrees_and_what_was_tampered_with_is_named(
    played, database: str, capsys
):
    assert await findings(played) == []
    assert await verify_all(played[0]) == 0
    assert "1 accounts, 1 wallets, 10 entries, 10 records: all agree" in capsys.readouterr().out

    superuser = await asyncpg.connect(database)
    await superuser.execute("SET session_replication_role = replica")
    for what, (statement, named) in TAMPERED.items():
        change = superuser.transaction()
        await change.start()
        await superuser.execute("ALTER TABLE wallet_entries DISABLE TRIGGER USER")
        await superuser.execute(statement)
        await change.commit()
        found = await findings(played)
        assert named in found, (what, found)
        await superuser.execute(undone(statement))
        assert await findings(played) == [], what
    await superuser.close()


def undone(statement: str) -> str:
    return statement.replace(" + 1", " - 1").replace("time + interval", "time - interval")


async def test_what_a_gauge_held_and_carried_over_is_measured_again(database: str):
    async with serving(database) as service:
        name, key = await add_tenant(service, moment("2024-01-31"))
        async with UsageClient(service.address, key) as client:
            world = World(client)
            stored = {"method": "TIME_WEIGHTED", "window": "RATING_PERIOD", "late": "REJECT"}
            await world.product("plan", Metered(resource="disk", rate="2", **stored))
            account = await world.account(ANN)
            [asset] = await world.sell(account, line("plan", "2024-01-01"))
            for hour in (1, 7):
                await world.use(asset, "disk", f"2024-01-05T{hour:02}:00:00", hour)
            await world.advance("2024-03-10")
    pool = await open_pool(as_service(database), size=2)
    superuser = await asyncpg.connect(database)

    async def found() -> list[str]:
        tenant_id = tenant_id_of(name)
        verified = await read(pool, tenant_id, lambda tx: verify_account(tx, ANN), snapshot=True)
        return [finding.what for finding in verified.findings]

    assert await found() == []
    for statement, named in (
        ("SET held_quantity = held_quantity + 1 WHERE record_count > 0", "held"),
        ("SET last_quantity = last_quantity + 1 WHERE record_count = 0", "carried over"),
    ):
        await superuser.execute(f"UPDATE usage_summaries {statement}")
        assert named in await found()
        await superuser.execute(f"UPDATE usage_summaries {undone(statement)}")
        assert await found() == []
    await superuser.close()
    await pool.close()
