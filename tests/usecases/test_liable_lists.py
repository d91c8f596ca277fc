"""Liable lines of all accounts, read statement by statement and within a transaction."""

import pytest

from server.store.billing.summary_reads import LiableFilter, LiableSummary, list_liable_of_all
from server.store.connection import Transaction
from server.store.transaction import read
from tests.usecases.recorders import TENANT


@pytest.mark.parametrize("snapshot", [False, True])
async def test_a_page_in_order_leaves_the_planner_as_it_was(pool, snapshot):
    """Behind a pooler that hands out transactions, every read is within one."""

    async def page(tx: Transaction) -> list[LiableSummary]:
        return await list_liable_of_all(tx, LiableFilter(), after=None, limit=10)

    async def setting(tx: Transaction) -> object:
        return await tx.fetchval("SHOW enable_sort")

    for _ in range(2):
        assert await read(pool, TENANT, page, snapshot=snapshot) == []
    assert await read(pool, TENANT, setting) == "on"
