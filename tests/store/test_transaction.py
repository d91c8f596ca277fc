"""The unit of work: all or nothing, again when that is right, no lie about a lost commit."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from uuid import UUID, uuid4

import asyncpg
import pytest

from server.domain.errors import Aborted, FailedPrecondition, ResourceExhausted, Unavailable
from server.store import transaction
from server.store.pool import open_pool, unsafe_settings
from server.store.transaction import finish_commits, read, transact
from tests.logins import as_service

ONE, OTHER = uuid4(), uuid4()
ADD_ACCOUNT = (
    "WITH code AS (INSERT INTO account_codes VALUES ($1, lower($2), $2))"
    " INSERT INTO accounts (tenant_id, account_id, time_zone, currency_code, billing_anchor_day)"
    " VALUES ($1, $2, 'UTC', 'USD', 1)"
)


@pytest.fixture
async def pool(database: str) -> AsyncIterator[asyncpg.Pool]:
    pool = await open_pool(as_service(database), size=4)
    for tenant in (ONE, OTHER):
        await transact(pool, tenant, add_tenant(tenant))
    yield pool
    await finish_commits()
    await pool.close()


def add_tenant(tenant: UUID):
    async def work(tx) -> None:
        await tx.execute(
            "INSERT INTO tenants (tenant_id, id) VALUES ($1, $2)", tenant, f"t{tenant.hex}"
        )

    return work


def add_account(tenant: UUID, account: str):
    async def work(tx) -> str:
        await tx.execute(ADD_ACCOUNT, tenant, account)
        return account

    return work


async def accounts(tx) -> list[str]:
    return [row[0] for row in await tx.fetch("SELECT account_id FROM accounts ORDER BY account_id")]


@pytest.mark.parametrize("snapshot", [False, True])
async def test_rows_are_read_by_their_type_after_a_migration(pool, owner, snapshot):
    """A migration under a running service changes the type of a row that the driver knows."""
    numbers = iter(range(10))

    async def migrate_and_read(how) -> list[str]:
        async def ids(tx) -> list[str]:
            rows = await tx.fetchval("SELECT ARRAY(SELECT a FROM account_codes AS a)")
            return [row["account_id"] for row in rows]

        await asyncio.gather(*(how(ids) for _ in range(4)))
        await owner.execute(f"ALTER TABLE account_codes ADD COLUMN new{next(numbers)} text")
        return await how(ids)

    await transact(pool, ONE, add_account(ONE, "ann"))

    assert await migrate_and_read(partial(read, pool, ONE, snapshot=snapshot)) == ["ann"]
    assert await migrate_and_read(partial(transact, pool, ONE)) == ["ann"]


async def test_what_is_refused_half_way_leaves_nothing(pool):
    async def work(tx) -> None:
        await tx.execute(ADD_ACCOUNT, ONE, "first")
        raise FailedPrecondition("STATE_TRANSITION", "refused after a write")

    with pytest.raises(FailedPrecondition):
        await transact(pool, ONE, work)

    assert await read(pool, ONE, accounts) == []


async def test_two_tenants_over_one_connection_never_see_each_other(database):
    pool = await open_pool(as_service(database), size=1)
    for tenant in (ONE, OTHER):
        await transact(pool, tenant, add_tenant(tenant))
    await transact(pool, ONE, add_account(ONE, "mine"))
    await transact(pool, OTHER, add_account(OTHER, "theirs"))

    seen = await asyncio.gather(
        *(read(pool, tenant, accounts) for _ in range(50) for tenant in (ONE, OTHER))
    )

    assert seen == [["mine"], ["theirs"]] * 50
    await pool.close()


async def test_nobody_writes_into_another_tenant(pool):
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await transact(pool, ONE, add_account(OTHER, "smuggled"))

    assert await read(pool, OTHER, accounts) == []


async def test_a_deadlock_is_tried_again_and_both_take_effect(pool):
    for account in ("a", "b"):
        await transact(pool, ONE, add_account(ONE, account))
    met = asyncio.Barrier(2)
    tries = {"a": 0, "b": 0}

    def raise_both(first: str, second: str):
        async def work(tx) -> None:
            tries[first] += 1
            for account in (first, second):
                await tx.execute(
                    "UPDATE accounts SET revision = revision + 1 WHERE account_id = $1", account
                )
                if tries[first] == 1 and account == first:
                    await met.wait()

        return work

    await asyncio.gather(
        transact(pool, ONE, raise_both("a", "b")), transact(pool, ONE, raise_both("b", "a"))
    )

    async def revisions(tx) -> list[int]:
        return [row[0] for row in await tx.fetch("SELECT revision FROM accounts")]

    assert await read(pool, ONE, revisions) == [3, 3]
    assert sorted(tries.values()) == [1, 2]


async def test_who_is_overtaken_three_times_is_told_to_try_again(pool):
    tries = 0

    async def work(tx) -> None:
        nonlocal tries
        tries += 1
        await tx.execute("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$")

    with pytest.raises(Aborted) as refused:
        await transact(pool, ONE, work)

    assert (refused.value.reason, tries) == ("CONCURRENT_CHANGE", 3)


async def test_a_connection_killed_before_the_commit_is_tried_again(pool, owner):
    tries = 0

    async def work(tx) -> str:
        nonlocal tries
        tries += 1
        await tx.execute(ADD_ACCOUNT, ONE, "kept")
        if tries == 1:
            await owner.execute(f"SELECT pg_terminate_backend({tx.connection.get_server_pid()})")
            await tx.fetchval("SELECT 1")
        return "done"

    assert await transact(pool, ONE, work) == "done"
    assert (await read(pool, ONE, accounts), tries) == (["kept"], 2)


async def test_a_commit_outlives_the_caller_who_gave_up(pool, monkeypatch):
    committing, commit = asyncio.Event(), transaction._commit

    async def slow_commit(of, tenant_id, connection) -> None:
        if of is pool:
            committing.set()
            await asyncio.sleep(0.1)
        await commit(of, tenant_id, connection)

    monkeypatch.setattr(transaction, "_commit", slow_commit)
    caller = asyncio.create_task(transact(pool, ONE, add_account(ONE, "kept")))
    await committing.wait()
    caller.cancel()

    with pytest.raises(asyncio.CancelledError):
        await caller
    await finish_commits()
    assert await read(pool, ONE, accounts) == ["kept"]


@pytest.mark.parametrize("is_committed", [True, False], ids=["it happened", "it did not"])
async def test_a_lost_commit_is_resolved_by_its_key(pool, owner, monkeypatch, is_committed):
    commit, tries = transaction._commit, 0

    async def cut_commit(of, tenant_id, connection) -> None:
        nonlocal tries
        tries += of is pool
        if of is pool and tries == 1:
            if is_committed:
                await connection.execute("COMMIT")
            await owner.execute(f"SELECT pg_terminate_backend({connection.get_server_pid()})")
            await asyncio.sleep(0.05)
        await commit(of, tenant_id, connection)

    async def resolve(tx) -> str | None:
        return next(iter(await accounts(tx)), None)

    monkeypatch.setattr(transaction, "_commit", cut_commit)
    found = await transact(pool, ONE, add_account(ONE, "once"), resolve=resolve)

    assert found == "once"
    assert await read(pool, ONE, accounts) == ["once"]


async def test_a_lost_commit_without_a_key_is_reported_as_unknown(pool, owner, monkeypatch):
    commit = transaction._commit

    async def cut_commit(of, tenant_id, connection) -> None:
        if of is pool:
            await owner.execute(f"SELECT pg_terminate_backend({connection.get_server_pid()})")
            await asyncio.sleep(0.05)
        await commit(of, tenant_id, connection)

    monkeypatch.setattr(transaction, "_commit", cut_commit)
    with pytest.raises(Unavailable) as refused:
        await transact(pool, ONE, add_account(ONE, "unknown"))

    assert refused.value.reason == "OUTCOME_UNKNOWN"


async def test_an_exhausted_pool_answers_within_its_limit(database):
    pool = await open_pool(as_service(database), size=1)
    held = await pool.acquire()

    with pytest.raises(ResourceExhausted) as refused:
        await transact(pool, ONE, add_account(ONE, "never"), seconds=0.4)

    assert (refused.value.reason, refused.value.retry_after_seconds) == ("OVERLOADED", 1.0)
    await pool.release(held)
    await pool.close()


async def test_unsafe_settings_are_named(pool):
    async with pool.acquire() as connection:
        await connection.execute("SET synchronous_commit = off")
        found = await unsafe_settings(connection)
        await connection.execute("RESET synchronous_commit")

    assert "synchronous_commit = off" in found


@pytest.mark.parametrize("pins", [True, False], ids=["pinned", "behind a pooler"])
async def test_two_tenants_on_one_connection_never_see_each_other(database, pins):
    """Reads that pin the session, reads that do not, writes that fail: all in turn, on one."""
    pool = await open_pool(as_service(database), size=1, pins=pins)
    for tenant in (ONE, OTHER):
        await transact(pool, tenant, add_tenant(tenant))
    seen: dict[UUID, list[str]] = {ONE: [], OTHER: []}

    async def refused(tx) -> None:
        await tx.execute(ADD_ACCOUNT, OTHER, "stranger")

    for number in range(6):
        tenant, other = (ONE, OTHER) if number % 2 else (OTHER, ONE)
        name = f"a{number}"
        seen[tenant].append(await transact(pool, tenant, add_account(tenant, name)))
        assert await read(pool, other, accounts) == sorted(seen[other])
        assert await read(pool, tenant, accounts, snapshot=number > 2) == sorted(seen[tenant])
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await transact(pool, ONE, refused)
        assert await read(pool, tenant, accounts) == sorted(seen[tenant])
    together = await asyncio.gather(*(read(pool, t, accounts) for t in (ONE, OTHER) * 10))
    assert together == [sorted(seen[t]) for t in (ONE, OTHER) * 10]
    await pool.close()
