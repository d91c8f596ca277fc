"""Overage that blocks: usage is refused at the moment it would go beyond what is granted."""

import asyncio

from usage_management.v1 import consumption_service_pb2 as consumption

from tests.stories.token_words import Credits, described, set_up
from tests.stories.words import ACCEPTED, REJECTED, Metered, codes, figure, line, usage

DUPLICATE = consumption.RecordOutcome.DUPLICATE


async def test_what_goes_beyond_the_grants_is_refused_record_by_record(sandbox):
    world = await sandbox("2024-01-31")
    await world.product("plan", Metered(resource="calls", grant="100", overage="BLOCK"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    batch = [
        usage(asset, "calls", f"2024-01-{day:02}", quantity, f"r{day}")
        for day, quantity in ((1, 60), (2, 50), (3, 30), (4, 20), (5, 10))
    ]

    outcomes = await world.record(batch)
    again = await world.record(batch[:3])
    full = await world.wallet(account, "calls")
    [beyond] = await world.record([usage(asset, "calls", "2024-01-09", 1)])
    await world.advance("2024-02-10")

    assert codes(outcomes) == [ACCEPTED, REJECTED, ACCEPTED, REJECTED, ACCEPTED]
    assert "CAP_REACHED" in str(outcomes[1].status)
    assert codes(again) == [DUPLICATE, REJECTED, DUPLICATE]
    assert (figure(full.balance), figure(full.overage_quantity)) == (0, 0)
    assert beyond.code == REJECTED
    [line_] = await world.liable(account)
    assert (figure(line_.used_quantity), figure(line_.overage_quantity)) == (100, 0)


async def test_many_who_record_at_once_never_go_beyond(sandbox):
    world = await sandbox("2024-01-31")
    await world.product("plan", Metered(resource="calls", grant="50", overage="BLOCK"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))

    async def one(number: int) -> list[int]:
        records = [usage(asset, "calls", "2024-01-10", 3, f"{number}-{part}") for part in range(5)]
        return codes(await world.record(records))

    found = await asyncio.gather(*(one(number) for number in range(8)))

    kept = sum(code == ACCEPTED for outcomes in found for code in outcomes)
    assert kept == 16
    assert figure((await world.wallet(account, "calls")).balance) == 2


async def test_tokens_that_are_used_up_block_what_costs_them(sandbox):
    world = await sandbox("2024-01-31")
    text = described("plan", {"data": "10", "sms": "5"}, Credits(price="1", grant="100"))
    first, rest = text.split("rating_frequency: {period: MONTH}", 1)
    blocked = "rating_frequency: {period: MONTH}\n  overage: {overage: BLOCK}"
    await set_up(world, f"{first}{blocked}{rest}")
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))

    outcomes = await world.record(
        [
            usage(asset, "data", "2024-01-10", 9),
            usage(asset, "sms", "2024-01-10", 3),
            usage(asset, "sms", "2024-01-11", 2),
            usage(asset, "data", "2024-01-12", 1),
        ]
    )
    await world.advance("2024-02-10")

    assert codes(outcomes) == [ACCEPTED, REJECTED, ACCEPTED, REJECTED]
    assert figure((await world.wallet(account, "credits")).balance) == 0
    assert [figure(one.overage_quantity) for one in await world.liable(account)] == [0]


async def test_what_is_granted_later_does_not_pay_for_what_was_used_before(sandbox):
    world = await sandbox("2024-02-10")
    grant = Metered(resource="calls", grant="10", refresh="MONTH", overage="BLOCK", waiting_days=20)
    await world.product("plan", grant)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))

    outcomes = await world.record(
        [
            usage(asset, "calls", "2024-01-15", 8),
            usage(asset, "calls", "2024-01-16", 5),
            usage(asset, "calls", "2024-02-05", 10),
        ]
    )

    assert codes(outcomes) == [ACCEPTED, REJECTED, ACCEPTED]
