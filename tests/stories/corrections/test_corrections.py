"""Corrections: usage that comes late is owed and drawn as if it had come in time (R26)."""

from collections import Counter
from decimal import Decimal

import pytest
from usage_management.v1 import consumption_service_pb2 as consumption
from usage_management.v1 import summary_service_pb2 as summaries

from tests.stories.bill_words import mark
from tests.stories.rate_words import priced, put
from tests.stories.sale_words import linked
from tests.stories.token_words import Credits, commitment, described, set_up
from tests.stories.words import Metered, codes, figure, line, money, usage
from tests.stories.world import World

LATE = consumption.RecordOutcome.LATE

# At most 15 at 10, above at 5.
TIERS = (("0", "16", "10"), ("16", None, "5"))


def is_correction(one: summaries.LiableSummary) -> bool:
    return one.origin_end_time.seconds < one.end_time.seconds


async def owed(world: World, account: str) -> dict[tuple[int, str], Decimal]:
    """The amounts billed for each month and resource in which usage happened."""
    found = Counter[tuple[int, str]]()
    for one in await world.liable(account):
        month = one.origin_start_time.ToDatetime().month
        found[month, one.usage_resource.partition("/")[2]] += money(one.amount)
    return {key: amount for key, amount in found.items() if amount}


async def left(world: World, account: str, resource: str) -> list[tuple[str, Decimal]]:
    """The grants that are not empty, with their starts."""
    wallet = await world.wallet(account, resource)
    found = [
        (one.start_time.ToDatetime().strftime("%m-%d"), figure(one.balance))
        for one in await world.grants(wallet)
        if figure(one.balance)
    ]
    return sorted(found)


@pytest.mark.capability("M109.late")
async def test_one_unit_late_picks_the_tier_of_all(sandbox):
    world = await sandbox("2024-01-31")
    await world.product("plan", Metered(resource="calls", tiers=TIERS))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.use(asset, "calls", "2024-01-10", 15)
    await world.advance("2024-02-10")
    assert await owed(world, account) == {(1, "calls"): 150}

    outcome = await world.use(asset, "calls", "2024-01-12", 1)
    await world.advance("2024-03-10")

    assert outcome.code == LATE
    first, second = await world.liable(account)
    assert (money(first.amount), money(second.amount)) == (150, -70)
    assert (is_correction(second), figure(second.used_quantity)) == (True, 1)
    assert await owed(world, account) == {(1, "calls"): 80}


async def test_what_was_included_pays_for_late_usage_of_its_month(sandbox):
    world = await sandbox("2024-01-31")
    await world.product("plan", Metered(resource="calls", grant="10", refresh="MONTH", rate="2"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.advance("2024-02-10")

    await world.use(asset, "calls", "2024-01-12", 12)
    await world.advance("2024-03-10")

    assert await owed(world, account) == {(1, "calls"): 4}
    assert await left(world, account, "calls") == [("03-01", 10)]


async def test_scenario_a_a_capped_rollover_is_what_it_would_have_been(sandbox):
    world = await sandbox("2024-01-31")
    plan = Metered(
        resource="calls", grant="100", refresh="MONTH", max_rollovers=0, cap_percent="50", rate="1"
    )
    await world.product("plan", plan)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.use(asset, "calls", "2024-01-10", 30)
    await world.advance("2024-02-28")
    await world.use(asset, "calls", "2024-02-10", 120)
    await world.advance("2024-03-10")
    assert figure((await world.wallet(account, "calls")).balance) == 130

    await world.use(asset, "calls", "2024-01-20", 40)
    waiting = await world.wallet(account, "calls")
    await world.advance("2024-03-11")

    wallet = await world.wallet(account, "calls")
    assert figure(waiting.balance) == figure(wallet.balance) == 110
    assert await left(world, account, "calls") == [("03-01", 10), ("03-01", 100)]
    entries = await world.entries(wallet)
    assert all(figure(one.grant_balance) >= 0 <= figure(one.closing_balance) for one in entries)
    corrected = [one for one in entries if one.kind == one.CORRECTION]
    assert [figure(one.amount) < 0 for one in corrected] == sorted(
        figure(one.amount) < 0 for one in corrected
    )


async def test_scenario_b_tokens_are_given_back(sandbox):
    world = await sandbox("2024-01-31")
    text = described("plan", {"calls": "10"}, Credits(price="0.2", grant="100", refresh=True))
    await set_up(world, text)
    tiers = [("0", "16", "OVERRIDE", "10"), ("16", None, "OVERRIDE", "5")]
    await put(world, "tiers/calls", priced("calls", None, *tiers, currency="unitsOfMeasure/credit"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.use(asset, "calls", "2024-01-10", 15)
    await world.advance("2024-02-10")
    assert await owed(world, account) == {(1, "credits"): 10}

    await world.use(asset, "calls", "2024-01-12", 1)
    await world.advance("2024-03-10")

    assert await owed(world, account) == {}
    january = [
        one for one in await world.ratable(account) if one.origin_start_time.ToDatetime().month == 1
    ]
    tokens = [one for one in january if one.usage_resource.endswith("credits")]
    calls = [one for one in january if one.usage_resource.endswith("calls")]
    assert [figure(one.amount) for one in calls] == [150, -70]
    assert [figure(one.used_quantity) for one in tokens] == [150, -70]
    assert [figure(one.drawn_quantity) for one in tokens] == [100, -20]
    assert [figure(one.amount) for one in tokens] == [10, -10]


async def test_scenario_c_two_anchors_share_a_commitment(sandbox):
    world = await sandbox("2024-01-31")
    await set_up(world, described("a", {"minutes": "1"}, Credits(price="12")))
    await set_up(world, described("b", {"minutes": "1"}, Credits(price="10")))
    await set_up(world, commitment("commit", "credits", "1000", discount="20", policy="BOUNDED"))
    account = await world.account("ann")
    lines = [
        line("a", "2024-01-01", end="2024-07-01", binding="ACCOUNT"),
        line("b", "2024-01-01", end="2025-01-01", binding="ACCOUNT"),
    ]
    first, second = await world.sell(account, *lines)
    await world.sell(account, linked("commit", "2024-01-01", first))
    await world.use(second, "minutes", "2024-01-10", 800)
    await world.use(first, "minutes", "2024-01-20", 800)
    await world.advance("2024-02-10")
    assert await owed(world, account) == {(1, "credits"): 4_200}

    await world.use(first, "minutes", "2024-01-05", 100)
    await world.advance("2024-03-10")

    assert await owed(world, account) == {(1, "credits"): 5_400}
    corrections = [one for one in await world.liable(account) if is_correction(one)]
    assert [(one.asset, money(one.amount)) for one in corrections] == [(first.name, 1_200)]


METHODS = [
    ("SUM", "DAY"),
    ("PEAK", "DAY"),
    ("COUNT", "DAY"),
    ("AVERAGE", "RATING_PERIOD"),
    ("MINIMUM", "RATING_PERIOD"),
    ("LATEST", "DAY"),
    ("UNIQUE_COUNT", "RATING_PERIOD"),
    ("TIME_WEIGHTED", "RATING_PERIOD"),
]
RECORDS = [
    ("2024-01-03T05:00", "40", "u1"),
    ("2024-01-03T09:00", "5", "u2"),
    ("2024-01-20T00:00", "25", "u1"),
    ("2024-02-02T12:00", "30", "u3"),
    ("2024-02-25T12:00", "7", "u3"),
]


@pytest.mark.capability("M109.late")
@pytest.mark.parametrize("policy", ["NEXT_PERIOD", "REOPEN"])
@pytest.mark.parametrize(("method", "window"), METHODS)
async def test_late_usage_counts_as_it_would_have_in_time(sandbox, method, window, policy):
    world = await sandbox("2024-01-01")
    label = "user" if method == "UNIQUE_COUNT" else ""
    plan = Metered(
        resource="calls",
        method=method,
        window=window,
        unique_label=label,
        late=policy,
        scale=6,
        grant="2",
        refresh="MONTH",
        max_rollovers=1,
        tiers=(("0", "10", "2"), ("10", None, "1")),
    )
    await world.product("plan", plan)
    ann, bob = [await world.account(name) for name in ("ann", "bob")]
    [[late], [in_time]] = [await world.sell(one, line("plan", "2024-01-01")) for one in (ann, bob)]
    await world.advance("2024-01-31")

    def records(asset, *which):
        return [
            usage(asset, "calls", at, quantity, f"{n}", user=user)
            for n, (at, quantity, user) in enumerate(RECORDS)
            if n in which
        ]

    await world.record(records(in_time, 0, 1, 2))
    await world.record(records(late, 1))
    await world.advance("2024-02-28")
    await world.record(records(in_time, 3, 4))
    await world.advance("2024-03-10")
    assert set(codes(await world.record(records(late, 4, 0)))) == {LATE}
    waiting = await world.wallet(ann, "calls")
    await world.advance("2024-03-20")
    assert set(codes(await world.record(records(late, 3, 2)))) == {LATE}
    await world.advance("2024-05-10")

    assert figure(waiting.balance) >= 0
    assert await owed(world, ann) == await owed(world, bob)
    assert await left(world, ann, "calls") == await left(world, bob, "calls")
    if policy == "REOPEN":
        assert not any(is_correction(one) for one in await world.liable(ann))


async def test_what_is_invoiced_is_corrected_in_the_next_bill(sandbox):
    world = await sandbox("2024-01-31")
    await world.product("plan", Metered(resource="calls", rate="1", late="REOPEN"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.use(asset, "calls", "2024-01-10", 5)
    await world.advance("2024-02-10")
    await world.use(asset, "calls", "2024-01-11", 1)
    await world.advance("2024-02-11")
    [replaced] = await world.liable(account)
    await mark(world, replaced.name)

    await world.use(asset, "calls", "2024-01-12", 2)
    await world.advance("2024-03-10")

    before, correction = await world.liable(account)
    assert (money(before.amount), before.state) == (6, before.INVOICED)
    assert (money(correction.amount), is_correction(correction)) == (2, True)


async def test_usage_before_the_first_usage_of_a_wallet(sandbox):
    """Nothing was recorded in January and February when March became final."""
    world = await sandbox("2024-01-01")
    await world.product(
        "plan", Metered(resource="calls", grant="10", refresh="MONTH", max_rollovers=1, rate="1")
    )
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.advance("2024-03-20")
    await world.use(asset, "calls", "2024-03-10", 25)
    await world.advance("2024-04-10")
    assert await owed(world, account) == {(3, "calls"): 5}

    await world.use(asset, "calls", "2024-02-10", 15)
    await world.use(asset, "calls", "2024-01-10", 12)
    await world.advance("2024-05-10")

    assert await owed(world, account) == {(1, "calls"): 2, (2, "calls"): 5, (3, "calls"): 15}
