"""Usage of the demo's buyers in a month: busy on weekdays by day, quiet at night.

All of it follows from the account's id, so that it is the same in every telling. Pure: the plan's
figures are exact, and nothing here is sent anywhere.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import accumulate, pairwise
from zoneinfo import ZoneInfo

ZONE = "America/New_York"
PLAN, PLATFORM = "telecom-plan", "ai-platform"
TEXTS, DATA, CALLS = "texts", "data", "calls"
PROMPT, GENERATED, COMPUTE, STORAGE = "prompt-tokens", "generated-tokens", "compute", "storage"
# The month is recorded at this hour of its last day; nothing is used after it.
LAST_HOUR = 22
# How busy each hour of the day is, from midnight on.
HOURS = (1, 1, 0, 0, 0, 1, 3, 8, 20, 34, 38, 36, 24, 30, 36, 35, 30, 22, 14, 9, 6, 4, 2, 1)
WEEKEND_SHARE = 4
MEGABYTE = Decimal("0.001")
HUNDREDTH = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Allowance:
    """Return a buyer's usage of the telecom plan in a month, to the last unit."""

    texts: int
    megabytes: int
    call_hundredths: int
    calls: int


@dataclass(frozen=True, slots=True)
class Use:
    """A quantity of a resource at a moment; `key` is unique for the buyer and the month."""

    product: str
    resource: str
    key: str
    at: datetime
    quantity: Decimal


def plan_usage(account_id: str, month: date, allowance: Allowance) -> Iterator[Use]:
    """A month of texts, data and calls that adds up to the allowance."""
    chance = random.Random(f"{account_id} {PLAN}")
    hours = list(hours_of(month))
    for resource, total, unit in (
        (TEXTS, allowance.texts, Decimal(1)),
        (DATA, allowance.megabytes, MEGABYTE),
    ):
        parts = spread(total, [_busy(hour) * chance.randrange(50, 150) for hour in hours])
        for number, (hour, part) in enumerate(zip(hours, parts, strict=True)):
            at = _within(hour, chance)
            if part:
                yield Use(PLAN, resource, f"{resource}-{number}", at, part * unit)
    moments = chance.choices(hours, [_busy(hour) for hour in hours], k=allowance.calls)
    lengths = spread(allowance.call_hundredths, [chance.randrange(5, 200) for _ in moments])
    for number, (hour, length) in enumerate(zip(moments, lengths, strict=True)):
        at = _within(hour, chance)
        if length:
            yield Use(PLAN, CALLS, f"{CALLS}-{number}", at, length * HUNDREDTH)


def platform_usage(account_id: str, month: date) -> Iterator[Use]:
    """A month of an AI platform: requests, jobs on a GPU, and a store that grows and is tidied."""
    chance = random.Random(f"{account_id} {PLATFORM}")
    stored = Decimal(18)
    number = 0
    for hour in hours_of(month):
        for _ in range(chance.randrange(_busy(hour) // 2 + 1)):
            number += 1
            at = _within(hour, chance)
            prompt = 2_000 + round(chance.lognormvariate(9.2, 0.7))
            generated = 40 + round(chance.lognormvariate(5.4, 0.8))
            yield Use(PLATFORM, PROMPT, f"prompt-{number}", at, Decimal(prompt))
            yield Use(PLATFORM, GENERATED, f"generated-{number}", at, Decimal(generated))
        if chance.randrange(60) < _busy(hour) // 4:
            seconds = Decimal(chance.randrange(200_000, 2_400_000)) / 1000
            yield Use(PLATFORM, COMPUTE, f"job-{hour:%d-%H}", _within(hour, chance), seconds)
        if hour.hour in (6, 18):
            stored += Decimal(chance.randrange(200, 1_400)) / 1000
            yield Use(PLATFORM, STORAGE, f"stored-{hour:%d-%H}", hour, stored)
            if hour.day == 20 and hour.hour == 18:
                stored -= 25


def hours_of(month: date) -> Iterator[datetime]:
    """Every hour by the wall clock, from the first of the month to its last evening."""
    behind = (month + timedelta(days=31)).replace(day=1)
    day = month
    while day < behind:
        last = LAST_HOUR if day + timedelta(days=1) == behind else 24
        for hour in range(last):
            yield datetime.combine(day, time(hour), ZoneInfo(ZONE))
        day += timedelta(days=1)


def spread(total: int, weights: Sequence[int]) -> list[int]:
    """Cut a whole number into parts about as large as their weights; they add up to it."""
    whole = sum(weights)
    edges = [total * edge // whole for edge in accumulate(weights)]
    return [high - low for low, high in pairwise([0, *edges])]


def _busy(hour: datetime) -> int:
    usual = HOURS[hour.hour]
    return usual if hour.weekday() < 5 else usual // WEEKEND_SHARE


def _within(hour: datetime, chance: random.Random) -> datetime:
    return hour.replace(minute=chance.randrange(60), second=chance.randrange(60))
