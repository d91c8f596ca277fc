"""Grants over a quarter: refresh, rollover and expiry, before and after each freeze."""

from decimal import Decimal

import pytest
from usage_management.v1 import consumption_service_pb2 as consumption
from usage_management.v1 import wallet_service_pb2 as wallets

from clients.values import enum_name
from tests.stories.sale_words import bind, to
from tests.stories.words import Metered, figure, line, usage

Entry = wallets.WalletEntry


async def balances(world, account: str) -> tuple[Decimal, Decimal]:
    """Return the balance now, and the entries of the ledger."""
    wallet = await world.wallet(account, "minutes")
    return figure(wallet.balance), figure(wallet.posted_balance)


@pytest.mark.capability("M95", "M96.refresh", "M96.expiry", "M96.order")
async def test_a_grant_is_issued_every_month_and_what_is_left_expires(sandbox):
    """§3.4: 100 minutes a month over a quarter, without rollover."""
    world = await sandbox("2024-01-01")
    await world.product("plan", Metered(resource="minutes", grant="100", refresh="MONTH", rate="1"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01", end="2024-04-01"))
    assert await balances(world, account) == (100, 100)

    await world.use(asset, "minutes", "2024-01-01T00:00", 30)
    assert await balances(world, account) == (70, 100)
    await world.advance("2024-01-31T23:59")
    assert await balances(world, account) == (70, 100)
    await world.advance("2024-02-01")
    assert await balances(world, account) == (100, 200)
    await world.advance("2024-02-03T23:59")
    assert await balances(world, account) == (100, 200)
    await world.advance("2024-02-04")
    assert await balances(world, account) == (100, 100)
    await world.use(asset, "minutes", "2024-02-04T00:00", 120)
    assert await balances(world, account) == (0, 100)
    await world.advance("2024-03-01")
    assert await balances(world, account) == (100, 200)
    await world.advance("2024-03-04")
    assert await balances(world, account) == (100, 100)
    await world.advance("2024-04-04")
    assert await balances(world, account) == (0, 0)

    wallet = await world.wallet(account, "minutes")
    entries = await world.entries(wallet)
    moves = [(entry.kind, figure(entry.amount)) for entry in entries]
    assert moves == [
        (Entry.GRANT, 100),
        (Entry.REFRESH, 100),
        (Entry.DRAWDOWN, -30),
        (Entry.EXPIRY, -70),
        (Entry.REFRESH, 100),
        (Entry.DRAWDOWN, -100),
        (Entry.EXPIRY, -100),
    ]
    assert sum(amount for _, amount in moves) == figure(wallet.posted_balance)
    opening = [figure(entry.opening_balance) for entry in entries]
    closing = [figure(entry.closing_balance) for entry in entries]
    assert opening == [0, *closing[:-1]]


@pytest.mark.capability("M25", "M96.rollover")
async def test_a_remainder_rolls_over_once_and_then_expires(sandbox):
    """§3.5: 100 a month, one rollover; 60 used in January, 30 in February."""
    world = await sandbox("2024-01-01")
    await world.product(
        "plan",
        Metered(resource="minutes", grant="100", refresh="MONTH", max_rollovers=1, rate="1"),
    )
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))

    await world.use(asset, "minutes", "2024-01-01T00:00", 60)
    await world.advance("2024-02-01")
    assert await balances(world, account) == (140, 200)
    await world.advance("2024-02-04")
    assert await balances(world, account) == (140, 140)
    await world.use(asset, "minutes", "2024-02-03T00:00", 30)
    assert await balances(world, account) == (110, 140)
    await world.advance("2024-03-01")
    assert await balances(world, account) == (200, 240)
    await world.advance("2024-03-04")
    assert await balances(world, account) == (200, 200)

    wallet = await world.wallet(account, "minutes")
    open_now = [grant for grant in await world.grants(wallet) if figure(grant.balance)]
    assert sorted((g.kind, figure(g.balance), g.rollover_count) for g in open_now) == [
        (wallets.Grant.REFRESH, 100, 0),
        (wallets.Grant.ROLLOVER, 100, 1),
    ]
    moves = [(entry.kind, figure(entry.amount)) for entry in await world.entries(wallet)]
    assert moves[:7] == [
        (Entry.GRANT, 100),
        (Entry.REFRESH, 100),
        (Entry.DRAWDOWN, -60),
        (Entry.ROLLOVER, -40),
        (Entry.ROLLOVER, 40),
        (Entry.REFRESH, 100),
        (Entry.DRAWDOWN, -30),
    ]
    # Both issues end at one moment; which goes first is by their ids.
    assert sorted(moves[7:]) == sorted(
        [(Entry.EXPIRY, -10), (Entry.ROLLOVER, -100), (Entry.ROLLOVER, 100)]
    )


@pytest.mark.capability("M91")
async def test_usage_is_waited_for_until_the_freeze_and_is_late_from_then_on(sandbox):
    """January waits three days: the third counts, the fourth is late and billed in February."""
    world = await sandbox("2024-01-01")
    await world.product("plan", Metered(resource="calls", grant="10", rate="1"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))

    await world.advance("2024-02-03T23:59")
    in_time = await world.use(asset, "calls", "2024-01-20", 12)
    await world.advance("2024-02-04")
    late = await world.use(asset, "calls", "2024-01-21", 5)
    january = await world.liable(account)
    await world.advance("2024-03-04")
    february = [one for one in await world.liable(account) if one not in january]

    assert in_time.code == consumption.RecordOutcome.ACCEPTED
    assert late.code == consumption.RecordOutcome.LATE
    assert enum_name(late.late, "policy") == "NEXT_PERIOD"
    assert late.late.period.start_time.ToJsonString() == "2024-02-01T00:00:00Z"
    assert late.late.period.end_time.ToJsonString() == "2024-03-01T00:00:00Z"
    assert late.late.period.freeze_time.ToJsonString() == "2024-03-04T00:00:00Z"
    assert [figure(one.overage_quantity) for one in january] == [2]
    assert [figure(one.overage_quantity) for one in february if figure(one.used_quantity)] == [5]


async def test_late_usage_is_refused_where_the_policy_says_so(sandbox):
    world = await sandbox("2024-01-01")
    await world.product("plan", Metered(resource="calls", rate="1", late="REJECT"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.advance("2024-02-04")

    [outcome] = await world.record([usage(asset, "calls", "2024-01-21", 5)])

    assert outcome.code == consumption.RecordOutcome.REJECTED
    assert outcome.status.message


@pytest.mark.capability("M82")
async def test_a_back_dated_sale_is_caught_up_and_waits_for_its_usage(sandbox):
    """Sold on 10 March from 1 January: three issues; what was used before can still be recorded."""
    world = await sandbox("2024-03-10")
    await world.product("plan", Metered(resource="minutes", grant="100", refresh="MONTH", rate="1"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    early = await world.use(asset, "minutes", "2024-01-20", 130)
    await world.use(asset, "minutes", "2024-03-02", 40)
    assert early.code == consumption.RecordOutcome.ACCEPTED
    assert await balances(world, account) == (60, 300)

    await world.advance("2024-03-14")

    assert await balances(world, account) == (60, 100)
    wallet = await world.wallet(account, "minutes")
    moves = [(entry.kind, figure(entry.amount)) for entry in await world.entries(wallet)]
    assert [amount for kind, amount in moves if kind == Entry.DRAWDOWN] == [-100]
    assert [amount for kind, amount in moves if kind == Entry.EXPIRY] == [-100]
    assert len([kind for kind, _ in moves if kind in (Entry.GRANT, Entry.REFRESH)]) == 3
    billed = [
        (figure(one.used_quantity), figure(one.overage_quantity))
        for one in await world.liable(account)
    ]
    assert billed == [(130, 30)]


async def test_what_is_over_when_it_is_sold_is_closed_in_the_order_of_time(sandbox):
    """Two lines of one contract share days that are rated one by one; the second begins later."""
    world = await sandbox("2024-01-31")
    await world.product("plan", Metered(resource="data", rate="1", rating="DAY"))
    account = await world.account("ann")
    target = await bind(world, account, "deal", "CONTRACT")
    lines = [to(target, "plan", f"2024-01-{day}", binding="CONTRACT") for day in ("01", "12")]
    first, second = await world.sell(account, *lines)

    for asset, at in ((second, "2024-01-12"), (first, "2024-01-12"), (first, "2024-01-02")):
        await world.use(asset, "data", at, 2)
    await world.advance("2024-02-10")

    assert sorted(figure(one.overage_quantity) for one in await world.liable(account)) == [2, 4]
