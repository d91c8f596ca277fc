"""Lines add up to the total of a resource and a billing period, which is rounded once."""

from collections import Counter
from decimal import Decimal

import pytest
from usage_management.v1 import consumption_service_pb2 as consumption
from usage_management.v1 import summary_service_pb2 as summaries

from tests.stories.bill_words import mark
from tests.stories.words import ACCEPTED, Metered, codes, figure, line, money, usage

FAILED = summaries.LiableSummary.FAILED
LATE = consumption.RecordOutcome.LATE


async def sold(sandbox, rate: str, *, currency: str = "USD", **more: str):
    """An account with a plan whose calls are told apart by region."""
    world = await sandbox("2024-01-31", currency=currency)
    calls = Metered(resource="calls", rate=rate, dimensions=("region",), **more)
    await world.product("plan", calls)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    return world, account, asset


def shares(lines) -> list[tuple[str, str, Decimal, Decimal]]:
    """The region, the month of the usage, the exact amount and the amount of each line."""
    return sorted(
        (
            one.dimensions.get("region", ""),
            f"{one.origin_start_time.ToDatetime():%b}-{one.origin_end_time.ToDatetime():%b}",
            figure(one.exact_amount),
            money(one.amount),
        )
        for one in lines
    )


@pytest.mark.capability("M99.lines")
@pytest.mark.parametrize(
    ("currency", "rate", "labels", "with_more", "total"),
    [
        # Rounded alone, these came to 0.00 and 10.00.
        ("USD", "0.004", 1000, 400, "4.00"),
        ("USD", "0.006", 1000, 600, "6.00"),
        ("JPY", "0.4", 10, 4, "4"),
        ("JPY", "0.6", 10, 6, "6"),
        ("KWD", "0.0004", 10, 4, "0.004"),
        ("KWD", "0.0006", 10, 6, "0.006"),
    ],
)
async def test_many_small_lines_owe_their_rounded_total(
    sandbox, currency, rate, labels, with_more, total
):
    world, account, asset = await sold(sandbox, rate, currency=currency)
    regions = [f"r{number:04}" for number in range(labels)]
    for first in range(0, labels, 500):
        records = [
            usage(asset, "calls", "2024-01-10", 1, region=region)
            for region in regions[first : first + 500]
        ]
        assert set(codes(await world.record(records))) == {ACCEPTED}

    await world.advance("2024-02-10")

    found = await world.liable(account)
    assert sum(money(one.amount) for one in found) == Decimal(total)
    assert sum(figure(one.exact_amount) for one in found) == Decimal(total)
    # Of equal remainders the first ones are rounded up.
    unit = Decimal(total) / with_more
    assert shares(found) == [
        (region, "Jan-Feb", Decimal(rate), unit if index < with_more else Decimal(0))
        for index, region in enumerate(regions)
    ]


@pytest.mark.capability("M99.lines")
async def test_late_usage_adds_what_is_missing_of_the_rounded_total_of_its_month(sandbox):
    """January comes to 0.012, 0.016 and 0.020, February to 0.004 and 0.008."""
    world, account, asset = await sold(sandbox, "0.004")
    january = [usage(asset, "calls", "2024-01-10", 1, region=region) for region in "abc"]
    assert set(codes(await world.record(january))) == {ACCEPTED}
    await world.advance("2024-02-10")
    first = await world.liable(account)
    assert shares(first) == [
        ("a", "Jan-Feb", Decimal("0.004"), Decimal("0.01")),
        ("b", "Jan-Feb", Decimal("0.004"), 0),
        ("c", "Jan-Feb", Decimal("0.004"), 0),
    ]

    late = [usage(asset, "calls", "2024-01-11", 1, region="a")]
    own = [usage(asset, "calls", "2024-02-05", 1, region="a")]
    assert codes(await world.record(late + own)) == [LATE, ACCEPTED]
    await world.advance("2024-03-10")
    second = (await world.liable(account))[3:]
    assert shares(second) == [
        ("a", "Feb-Mar", Decimal("0.004"), 0),
        ("a", "Jan-Feb", Decimal("0.004"), Decimal("0.01")),
    ]

    late = [usage(asset, "calls", f"2024-0{month}-12", 1, region="a") for month in (1, 2)]
    assert codes(await world.record(late)) == [LATE, LATE]
    await world.advance("2024-04-10")
    third = (await world.liable(account))[5:]
    assert shares(third) == [
        ("a", "Feb-Mar", Decimal("0.004"), Decimal("0.01")),
        ("a", "Jan-Feb", Decimal("0.004"), 0),
    ]
    owed = Counter[str]()
    for _, month, _, amount in shares([*first, *second, *third]):
        owed[month] += amount
    assert owed == {"Jan-Feb": Decimal("0.02"), "Feb-Mar": Decimal("0.01")}
    assert len({one.name for one in (*first, *second, *third)}) == 7


@pytest.mark.capability("M99.lines")
async def test_a_replaced_month_is_rounded_again_and_then_corrected(sandbox):
    """0.004, with more usage 0.008, and in March 0.016."""
    world, account, asset = await sold(sandbox, "0.004", late="REOPEN")
    await world.record([usage(asset, "calls", "2024-01-10", 1, region="a")])
    await world.advance("2024-02-05")
    assert shares(await world.liable(account)) == [("a", "Jan-Feb", Decimal("0.004"), 0)]

    await world.record([usage(asset, "calls", "2024-01-11", 1, region="b")])
    await world.advance("2024-02-15")
    reopened = await world.liable(account)
    assert shares(reopened) == [
        ("a", "Jan-Feb", Decimal("0.004"), Decimal("0.01")),
        ("b", "Jan-Feb", Decimal("0.004"), 0),
    ]

    await mark(world, *(one.name for one in reopened))
    await world.advance("2024-03-10")
    await world.record([usage(asset, "calls", "2024-01-12", 2, region="b")])
    await world.advance("2024-04-10")

    [*before, correction] = await world.liable(account)
    assert shares(before) == shares(reopened)
    assert shares([correction]) == [("b", "Jan-Feb", Decimal("0.008"), Decimal("0.01"))]
    assert correction.start_time.ToDatetime().month == 3


@pytest.mark.capability("M99.lines")
async def test_corrections_within_a_month_are_rounded_with_it(sandbox):
    """Rated daily, six late calls at 0.001 and four in time come to 0.01 together."""
    world, account, asset = await sold(sandbox, "0.001", rating="DAY")
    await world.advance("2024-02-10")
    await world.record([usage(asset, "calls", "2024-02-10", 4)])
    await world.advance("2024-02-20")
    [outcome] = await world.record([usage(asset, "calls", "2024-02-10", 6)])
    assert outcome.code == LATE

    await world.advance("2024-03-10")

    assert shares(await world.liable(account)) == [
        ("", "Feb-Mar", Decimal("0.004"), 0),
        ("", "Feb-Mar", Decimal("0.006"), Decimal("0.01")),
    ]


@pytest.mark.capability("M99.lines")
async def test_a_line_that_failed_adds_nothing_to_the_total(sandbox):
    """Two calls at 100.004 come to 200.01; the third line would exceed the range of money."""
    world, account, asset = await sold(sandbox, "100.004")
    quantities = {"a": 1, "b": 1, "c": 10**18}
    records = [
        usage(asset, "calls", "2024-01-10", quantity, region=region)
        for region, quantity in quantities.items()
    ]
    assert set(codes(await world.record(records))) == {ACCEPTED}

    await world.advance("2024-02-10")

    found = await world.liable(account)
    assert shares(found) == [
        ("a", "Jan-Feb", Decimal("100.004"), Decimal("100.01")),
        ("b", "Jan-Feb", Decimal("100.004"), Decimal("100.00")),
        ("c", "Jan-Feb", 0, 0),
    ]
    assert [one.dimensions["region"] for one in found if one.state == FAILED] == ["c"]
