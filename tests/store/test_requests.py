"""Requests already answered: the same answer to the same request, a conflict for any other."""

from dataclasses import replace
from uuid import uuid4

import pytest

from server.domain.errors import AlreadyExists
from server.domain.ids import AccountId, TenantId
from server.store import requests
from server.store.pool import open_pool
from server.store.requests import Request
from server.store.transaction import transact
from tests.logins import as_service

TENANT = TenantId(uuid4())
REQUEST = Request(
    tenant_id=TENANT,
    account_id=AccountId("acme"),
    request_id="attempt-1",
    method="CreateQuote",
    fingerprint=b"one",
    fields={"quote.price_book": "a", "quote.lines": "b"},
)


@pytest.fixture
async def pool(database: str):
    pool = await open_pool(as_service(database), size=2)

    async def add_tenant(tx) -> None:
        await tx.execute("INSERT INTO tenants (tenant_id, id) VALUES ($1, 'acme')", TENANT)

    await transact(pool, TENANT, add_tenant)
    yield pool
    await pool.close()


async def find(pool, request: Request) -> bytes | None:
    return await transact(pool, TENANT, lambda tx: requests.find(tx, request))


async def test_a_repeat_gets_the_first_answer(pool):
    assert await find(pool, REQUEST) is None

    await transact(pool, TENANT, lambda tx: requests.keep(tx, REQUEST, b"answer"))

    assert await find(pool, REQUEST) == b"answer"
    assert await find(pool, replace(REQUEST, account_id=AccountId("other"))) is None


async def test_a_refused_attempt_leaves_the_key_free(pool):
    async def refused(tx) -> None:
        await requests.keep(tx, REQUEST, b"answer")
        raise AlreadyExists("CODE_TAKEN", "refused after the answer was kept")

    with pytest.raises(AlreadyExists):
        await transact(pool, TENANT, refused)

    assert await find(pool, REQUEST) is None


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"fingerprint": b"two", "fields": {"quote.price_book": "x"}}, ["quote.lines", "book"]),
        ({"method": "CreateOrder"}, ["method"]),
    ],
)
async def test_another_request_under_the_same_id_is_a_conflict(pool, change, named):
    await transact(pool, TENANT, lambda tx: requests.keep(tx, REQUEST, b"answer"))

    with pytest.raises(AlreadyExists) as refused:
        await find(pool, replace(REQUEST, **change))

    assert refused.value.reason == "REQUEST_ID_CONFLICT"
    assert all(name in refused.value.facts["fields"] for name in named)
