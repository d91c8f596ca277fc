"""A year of usage that comes late, is voided or amended adds up as if all had come in time."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from random import Random

import pytest
from usage_management.v1 import asset_service_pb2 as assets
from usage_management.v1 import summary_service_pb2 as summaries

from clients.pages import pages
from tests.stories.consumption.amend_words import AMENDED, VOIDED, amend, void
from tests.stories.correction_words import corrections, pending
from tests.stories.words import Metered, figure, line, usage
from tests.stories.world import World

CALLS = Metered(
    resource="calls", grant="100", refresh="MONTH", validity="MONTH", max_rollovers=2,
    cap_percent="60", rate="0.0131", scale=2, dimensions=("region",),
    tiers=(("0", "40", "0.0131"), ("40", None, "0.0077")),
)  # fmt: skip
PEAK = Metered(
    resource="storage", grant="20", refresh="MONTH", method="PEAK", window="RATING_PERIOD",
    rate="1.015", scale=1,
)  # fmt: skip
READERS = Metered(
    resource="readers", rate="0.335", method="UNIQUE_COUNT", unique_label="user",
    window="RATING_PERIOD",
)  # fmt: skip
PRODUCTS = (CALLS, PEAK, READERS)
MONTHS = range(1, 13)
EACH_MONTH = 5
"""The changes in a month, from March to January: 55 in all."""


@dataclass(frozen=True)
class Use:
    """A record as it is in the end, or as it was by mistake."""

    id: str
    month: int
    day: int
    resource: str
    quantity: str
    label: str

    def of(self, asset: assets.Asset):
        labels = {"calls": "region", "readers": "user"}
        told = {labels[self.resource]: self.label} if self.resource in labels else {}
        at = f"2024-{self.month:02}-{self.day:02}T09:30"
        return usage(asset, self.resource, at, self.quantity, self.id, **told)


@dataclass
class Year:
    """The usage that is true in the end, told in time, and told or taken back later."""

    true: list[Use] = field(default_factory=list)
    in_time: list[Use] = field(default_factory=list)
    later: dict[int, list[tuple[str, Use]]] = field(default_factory=lambda: defaultdict(list))


def year(seed: int) -> Year:
    """A year of usage, in which each change comes two months late or later."""
    random, made = Random(seed), Year()

    def some(id_: str, month: int, *, like: Use | None = None) -> Use:
        # Most changes are of calls, because many of the others make no difference.
        chosen = random.choice(PRODUCTS if id_[0] == "m" else (*[CALLS] * 6, PEAK, READERS))
        resource = like.resource if like else chosen.resource
        most = {"calls": 9000, "storage": 400, "readers": 100}[resource]
        quantity = Decimal(random.randint(1, most)) / (1 if resource == "readers" else 100)
        if resource == "storage":
            quantity = Decimal(random.randint(1, most)) / 10
        day = random.randint(1, 27)
        # One region a day: which region of a day draws first is not the same in two accounts.
        label = ("east", "west", "north")[day % 3 if resource == "calls" else random.randint(0, 2)]
        return Use(id_, month, day, resource, str(quantity), label)

    for month in MONTHS:
        first = [some(f"m{month}-{n}", month) for n in range(6)]
        made.true += first
        made.in_time += first
    for n in range(11 * EACH_MONTH):
        told = 3 + n // EACH_MONTH
        one = some(f"c{n}", random.randint(1, told - 2))
        kind = random.choice(("late", "late", "void", "amend"))
        if kind == "late":
            made.true.append(one)
        elif kind == "void":
            made.in_time.append(one)
        else:
            made.in_time.append(some(one.id, one.month, like=one))
            made.true.append(one)
        made.later[told].append((kind, one))
    for told in made.later.values():
        random.shuffle(told)
    return made


async def change(world: World, account: str, asset: assets.Asset, kind: str, one: Use) -> None:
    if kind == "late":
        [outcome] = await world.record([one.of(asset)])
        assert outcome.code == outcome.LATE
    elif kind == "void":
        [voided] = await void(world, account, one.id)
        assert voided.code == VOIDED
    else:
        [amended] = await amend(world, one.of(asset))
        assert amended.code == AMENDED
    async with asyncio.timeout(20):
        while await pending(world, account):  # noqa: ASYNC110 - a worker does it in its own time
            await asyncio.sleep(0.02)


async def adds_up(world: World, account: str) -> None:
    """The ledger adds up to the balances, and the lines to the rounded totals."""
    for wallet in await world.wallets(account):
        entries, grants = await world.entries(wallet), await world.grants(wallet)
        assert sum(figure(one.amount) for one in entries) == figure(wallet.posted_balance)
        by_grant: dict[str, Decimal] = defaultdict(Decimal)
        for one in entries:
            by_grant[one.grant] += figure(one.amount)
        posted = {one.name: figure(one.posted_balance) for one in grants if one.name in by_grant}
        assert posted == {name: by_grant[name] for name in posted}
        assert sum(posted.values()) == figure(wallet.posted_balance)
    exact: dict[object, Decimal] = defaultdict(Decimal)
    rounded: dict[object, Decimal] = defaultdict(Decimal)
    rated: dict[str, Decimal] = defaultdict(Decimal)
    for one in await world.ratable(account):
        rated[one.liable_summary] += figure(one.amount)
    for bill in await world.liable(account):
        key = bill.usage_resource, bill.origin_start_time.seconds
        assert figure(bill.exact_amount) == rated[bill.name]
        exact[key] += figure(bill.exact_amount)
        rounded[key] += bill.amount.units + Decimal(bill.amount.nanos) / 10**9
    for key, total in exact.items():
        assert abs(rounded[key] - total) <= Decimal("0.005"), key
        assert rounded[key] == rounded[key].quantize(Decimal("0.01"))


async def figures(world: World, account: str) -> dict[str, object]:
    """Everything that may not depend on the order in which usage arrives."""
    left: dict[str, Counter[object]] = {}
    for wallet in await world.wallets(account):
        resource = wallet.usage_resource
        left[resource] = Counter()
        for one in await world.grants(wallet):
            times = one.start_time.seconds, one.expire_time.seconds
            if figure(one.balance):
                left[resource][one.kind, times, figure(one.balance)] += 1
        left[resource]["balance", figure(wallet.balance), figure(wallet.posted_balance)] += 1
    request = summaries.ListUsageSummariesRequest(parent=account, page_size=1000)
    days = pages(world.client.summaries.ListUsageSummaries, request)
    cells: Counter[object] = Counter()
    async for one in days:
        if one.record_count:
            measured = [one.sum_quantity, one.quantity, one.drawn_quantity, one.overage_quantity]
            about = one.usage_resource, one.start_time.seconds, *sorted(one.dimensions.items())
            cells[about, *map(figure, measured)] += 1
    owed: dict[object, list[Decimal]] = defaultdict(lambda: [Decimal(0)] * 4)
    for bill in await world.liable(account):
        amount = bill.amount.units + Decimal(bill.amount.nanos) / 10**9
        sums = figure(bill.used_quantity), figure(bill.overage_quantity)
        added = (*sums, figure(bill.exact_amount), amount)
        key = bill.usage_resource, bill.origin_start_time.seconds
        owed[key] = [one + more for one, more in zip(owed[key], added, strict=True)]
    return {"left": left, "cells": cells, "owed": {k: v for k, v in owed.items() if any(v)}}


def in_month(uses: Iterable[Use], month: int) -> list[Use]:
    return [one for one in uses if one.month == month]


@pytest.mark.capability("M109.late", "M109.void", "M109.amend", "M160.corrections")
@pytest.mark.parametrize("late", ["NEXT_PERIOD", "REOPEN"])
async def test_a_year_of_forty_corrections_adds_up_as_if_all_had_come_in_time(sandbox, late):
    told = year(seed=20240101)
    world = await sandbox("2024-01-01")
    await world.product("plan", *(replace(one, late=late) for one in PRODUCTS))
    ann, bob = [await world.account(one) for one in ("ann", "bob")]
    [her], [his] = [
        await world.sell(one, line("plan", "2024-01-01", end="2025-01-01")) for one in (ann, bob)
    ]
    made = 0

    for month in range(1, 14):
        # The month before was frozen on the fourth.
        await world.advance(f"2024-{month:02}-28" if month < 13 else "2025-01-28")
        if month in MONTHS:
            await world.record([one.of(his) for one in in_month(told.true, month)])
            await world.record([one.of(her) for one in in_month(told.in_time, month)])
        for kind, one in told.later[month]:
            await change(world, ann, her, kind, one)
            made += 1
        await adds_up(world, ann)
        await adds_up(world, bob)
    await world.advance("2025-03-10")

    await adds_up(world, ann)
    assert made == 55
    # A change that makes no difference books nothing, such as a reading below the peak.
    assert len(await corrections(world, ann)) >= 40
    assert await corrections(world, bob) == []
    assert await figures(world, ann) == await figures(world, bob)
