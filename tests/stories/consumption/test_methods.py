"""Aggregation: the same records under every method and window, live and after the freeze."""

import asyncio
from decimal import Decimal

import pytest

from clients import UsageError
from tests.stories.words import Metered, figure, line, money, usage

RECORDS = [
    ("2024-01-01T01:00:00Z", "10"),
    ("2024-01-01T01:30:00Z", "25"),
    ("2024-01-01T07:00:00Z", "15"),
    ("2024-01-02T01:00:00Z", "4"),
    ("2024-01-09T01:00:00Z", "2"),
]
FIGURES = {
    ("sum", "SUM", "DAY"): "56",
    ("peak", "PEAK", "DAY"): "25",
    ("peak-hours", "PEAK", "HOUR"): "46",
    ("peak-weeks", "PEAK", "WEEK"): "27",
    ("count", "COUNT", "DAY"): "5",
    ("average", "AVERAGE", "WEEK"): "15.5",
    ("minimum", "MINIMUM", "WEEK"): "6",
    ("latest", "LATEST", "DAY"): "21",
}


def metered(name: str, method: str, window: str, late: str = "REJECT") -> Metered:
    return Metered(
        resource=name,
        rate="0.5",
        method=method,
        window=window,
        combine="HIGHEST" if name == "peak" else "TOTAL",
        late=late,
        scale=6,
    )


async def test_every_method_and_window_counts_the_same_records_in_its_own_way(sandbox):
    world = await sandbox("2024-01-31")
    await world.product("plan", *(metered(*key) for key in FIGURES))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    for name, _, _ in FIGURES:
        batch = [usage(asset, name, at, n, f"{name}-{at}") for at, n in RECORDS]
        await asyncio.gather(*(world.record([one]) for one in reversed(batch)))

    live = {name: await world.wallet(account, name) for name, _, _ in FIGURES}
    await world.advance("2024-02-05")
    lines = {one.usage_resource.rpartition("/")[2]: one for one in await world.liable(account)}

    for (name, _, _), expected in FIGURES.items():
        assert figure(live[name].used_quantity) == Decimal(expected), name
        assert figure(lines[name].used_quantity) == Decimal(expected), name
        assert money(lines[name].amount) == round(Decimal(expected) / 2, 2), name


@pytest.mark.capability("M33.accumulation")
@pytest.mark.parametrize("window", ["MONTH", "QUARTER", "YEAR"])
async def test_windows_that_are_too_long_are_refused_with_the_reason(sandbox, window):
    world = await sandbox("2024-01-31")
    with pytest.raises(UsageError, match=r"accumulat") as refused:
        await world.product("plan", metered("sum", "SUM", window))
    assert refused.value.reason == "PERIOD_ORDER"
