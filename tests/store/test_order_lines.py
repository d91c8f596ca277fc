"""Versions of a line: each follows the one before it, and the asset refers to the one in force."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import asyncpg
import pytest

from server.domain.ids import AssetId
from server.domain.selling.sales import Asset, Order
from server.store.selling import assets, orders
from server.store.transaction import read, transact
from server.usecases.lifecycle.order_activation import ActivateOrder, activate_order
from tests.usecases.selling import ACME, TENANT, line, order, shop

if TYPE_CHECKING:
    from asyncpg import Connection

ADD_VERSION = """
INSERT INTO order_lines (tenant_id, account_id, order_id, position, asset_id, version, product_id,
                         quantity, start_date, binding, resources)
SELECT tenant_id, account_id, $1, $5, asset_id, $3, product_id, $4, start_date, binding, resources
  FROM order_lines WHERE asset_id = $2 AND version = 1
"""
REFER = "UPDATE assets SET line_version = $2 WHERE asset_id = $1"


@dataclass(frozen=True)
class Sold:
    """An asset of quantity 2 by an active order, and a draft order for later versions."""

    pool: asyncpg.Pool
    owner: "Connection"
    first: Order
    later: Order

    @property
    def asset_id(self) -> AssetId:
        return self.first.asset_ids[0]

    async def add_version(self, version: int, quantity: int, *, position: int) -> None:
        args = (self.later.id, self.asset_id, version, Decimal(quantity), position)
        await self.owner.execute(ADD_VERSION, *args)

    async def asset(self) -> Asset:
        return await read(self.pool, TENANT, lambda tx: assets.get(tx, ACME, self.asset_id))

    async def order(self, of: Order) -> Order:
        return await read(self.pool, TENANT, lambda tx: orders.get(tx, ACME, of.id))


@pytest.fixture
async def sold(database: str, owner: "Connection") -> AsyncIterator[Sold]:
    async with shop(database) as pool:
        draft = await order(pool, line(quantity=2))
        command = ActivateOrder(account_id=ACME, order_id=draft.id)
        first = await transact(pool, TENANT, lambda tx: activate_order(tx, command))
        yield Sold(pool, owner, first, await order(pool, line("pager", start=date(2024, 2, 1))))


async def test_an_asset_is_that_of_the_line_of_its_order(sold: Sold) -> None:
    asset = await sold.asset()

    assert (asset.id, asset.order_id) == (sold.first.asset_ids[0], sold.first.id)
    assert len(sold.later.asset_ids) == 1
    assert sold.later.asset_ids != sold.first.asset_ids


async def test_an_asset_shows_the_order_of_the_version_in_force(sold: Sold) -> None:
    await sold.add_version(2, 5, position=1)

    assert (await sold.asset()).order_id == sold.first.id
    await sold.owner.execute(REFER, sold.asset_id, 2)
    assert (await sold.asset()).order_id == sold.later.id


async def test_the_first_version_stays_readable(sold: Sold) -> None:
    await sold.add_version(2, 5, position=1)
    await sold.add_version(3, 7, position=2)
    await sold.owner.execute(REFER, sold.asset_id, 3)

    assert (await sold.order(sold.first)).lines == sold.first.lines
    later = await sold.order(sold.later)
    assert [each.quantity for each in later.lines] == [Decimal(1), Decimal(5), Decimal(7)]
    assert later.asset_ids == (*sold.later.asset_ids, sold.asset_id, sold.asset_id)


@pytest.mark.parametrize(
    ("version", "constraint"),
    [
        (0, "order_lines_version_check"),
        (1, "line_version_taken"),
        (2, "line_version_taken"),
        (4, "previous_version_exists"),
    ],
)
async def test_a_version_that_is_repeated_or_skipped_is_refused(
    sold: Sold, version: int, constraint: str
) -> None:
    await sold.add_version(2, 5, position=1)

    with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refused:
        await sold.add_version(version, 7, position=2)

    assert refused.value.constraint_name == constraint


async def test_an_asset_refers_to_a_version_that_exists(sold: Sold) -> None:
    with pytest.raises(asyncpg.ForeignKeyViolationError) as refused:
        await sold.owner.execute(REFER, sold.asset_id, 2)

    assert refused.value.constraint_name == "order_line_exists"


async def test_the_service_changes_no_line(sold: Sold) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await sold.pool.execute("UPDATE order_lines SET quantity = 9")
