"""The model's counting: the usage of each asset on each day on which it is drawn."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from fractions import Fraction
from math import ceil, floor
from typing import NamedTuple

from tests.oracle.plans import DAY, GROWING, Plan, Record, Wallet, month_of, month_start

ZERO = Fraction(0)
DAY_SECONDS = 86_400


class Usage(NamedTuple):
    """A quantity of an asset with the same dimensions, on the day on which it is drawn."""

    wallet: str
    asset: int
    dimensions: str
    day: date
    month: int
    quantity: Fraction


def usage(plan: Plan, wallet: Wallet, records: list[Record]) -> Iterator[Usage]:
    """Yield the usage of a wallet; `records` are in the order of time.

    Figures that only grow are drawn day by day, others at the end of service in their month. A flat
    amount that is due without usage is due for a usage of nothing.
    """
    series: dict[tuple[int, str], list[Record]] = defaultdict(list)
    for record in records:
        if record.wallet == wallet.name:
            series[record.asset, record.dimensions].append(record)
    for month in range(plan.months):
        for asset, terms in wallet.prices.items():
            start, end = _served(plan, asset, month)
            if start < end and any(one.is_due for one in terms):
                yield Usage(wallet.name, asset, "", start, month, ZERO)
        for (asset, dimensions), own in series.items():
            used = [record for record in own if month_of(record.time.date()) == month]
            at = (wallet.name, asset, dimensions)
            if wallet.method in GROWING:
                for record, added in zip(used, _added(wallet, used), strict=True):
                    yield Usage(*at, record.time.date(), month, added)
                continue
            served = _served(plan, asset, month)
            if served[0] < served[1]:
                figure = sum(_figures(wallet, own, month, served), ZERO)
                yield Usage(*at, served[1] - DAY, month, figure)


def to_12_places(number: Fraction) -> Fraction:
    """Return a number with 12 decimals; no case of ours has half a last digit."""
    return Fraction(round(number * 10**12), 10**12)


def up(number: Fraction) -> Fraction:
    """Return a number with 12 decimals, not less than before."""
    return Fraction(ceil(number * 10**12), 10**12)


def down(number: Fraction) -> Fraction:
    """Return a number with 12 decimals, not more than before."""
    return Fraction(floor(number * 10**12), 10**12)


def _served(plan: Plan, asset: int, month: int) -> tuple[date, date]:
    start, end = plan.assets[asset]
    return max(start, month_start(month)), min(end or date.max, month_start(month + 1))


def _added(wallet: Wallet, used: list[Record]) -> Iterator[Fraction]:
    """Yield what each record adds to the figure of its window."""
    highest: dict[object, Fraction] = defaultdict(Fraction)
    for record in used:
        window = None if wallet.is_whole_period else record.time.date()
        if wallet.method == "SUM":
            yield record.quantity
        elif wallet.method == "COUNT":
            yield Fraction(1)
        else:
            # A value is there once, as a highest quantity of one.
            is_peak = wallet.method == "PEAK"
            key, quantity = (window, record.quantity) if is_peak else ((window, record.value), 1)
            before, highest[key] = highest[key], max(highest[key], Fraction(quantity))
            yield highest[key] - before


def _figures(
    wallet: Wallet, own: list[Record], month: int, served: tuple[date, date]
) -> Iterator[Fraction]:
    """Yield the figure of each window of a month, for a method whose figures can fall."""
    day = month_start(month)
    while day < month_start(month + 1):
        after = month_start(month + 1) if wallet.is_whole_period else day + DAY
        found = [record.quantity for record in own if day <= record.time.date() < after]
        if wallet.method == "TIME_WEIGHTED":
            start = max(day, served[0])
            if start < after:
                held = _held(own, start, min(after, served[1]))
                yield to_12_places(held / ((after - start).days * DAY_SECONDS))
        elif found and wallet.method == "LATEST":
            yield found[-1]
        elif found and wallet.method == "MINIMUM":
            yield min(found)
        elif found:
            yield to_12_places(sum(found, ZERO) / len(found))
        day = after


def _held(own: list[Record], start: date, end: date) -> Fraction:
    """Return the readings times the seconds for which they are held, from one day to another."""
    first, last = (datetime.combine(day, time(), UTC) for day in (start, max(start, end)))
    until = [*(record.time for record in own[1:]), last]
    return sum(
        (
            record.quantity
            * max(0, int((min(after, last) - max(record.time, first)).total_seconds()))
            for record, after in zip(own, until, strict=False)
        ),
        ZERO,
    )
