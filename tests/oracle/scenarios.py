"""The four scenarios of a changed past: what is sold, what is in time, and what changes then."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from fractions import Fraction
from typing import NamedTuple

from tests.oracle.plans import (
    FIRST,
    Entitlement,
    Plan,
    Record,
    Rollover,
    Service,
    Terms,
    Tier,
    Wallet,
)


class Scenario(NamedTuple):
    """A plan, the records that are in time, and one that comes late, or is voided if it was."""

    plan: Plan
    in_time: tuple[Record, ...]
    changed: Record


def changed(in_time: Iterable[Record], one: Record) -> list[Record]:
    """Return the records after one was added, or taken away if it was there."""
    kept = [record for record in in_time if record != one]
    return kept if one in in_time else [*kept, one]


def day(month: int, number: int, hour: int = 0) -> datetime:
    """Return a time of 2024."""
    return datetime(2024, month, number, hour, tzinfo=UTC)


def used(
    time: datetime, quantity: int, asset: int = 1, wallet: str = "usage", **more: str
) -> Record:
    """Return a record of usage."""
    name = f"{wallet} {asset} {time} {quantity} {more}"
    return Record(name, wallet, asset, time, Fraction(quantity), **more)


def at(*steps: tuple[int, object], **more: bool) -> tuple[Terms, ...]:
    """Return terms from the first day on, with a tier from each lower bound on."""
    tiers = tuple(Tier(lower, Fraction(str(rate))) for lower, rate in steps)
    return (Terms(FIRST, tiers, **more),)


def monthly(quantity: int, rollover: Rollover | None = None) -> Entitlement:
    """Return a quantity that is issued on the first of each month."""
    return Entitlement("monthly", quantity, FIRST, rollover=rollover)


def one_wallet(months: int, prices: tuple[Terms, ...], *held: Entitlement) -> Plan:
    """Return a plan with one wallet of one asset."""
    return Plan(months, {1: Service()}, (Wallet("usage", held, {1: prices}),))


def a() -> Scenario:
    """A cap of half the grant lets 50 of 70 roll over; then 40 of the 70 are used late."""
    plan = one_wallet(2, at((0, 1)), monthly(100, Rollover(percent=50)))
    return Scenario(plan, (used(day(1, 10), 30), used(day(2, 10), 120)), used(day(1, 20), 40))


def b() -> Scenario:
    """Up to 15 units cost 10 tokens each, more of them 5 each; the 16th comes late."""
    usage = Wallet("usage", (), {1: at((0, 10), (16, 5))}, token="credits")
    tokens = Wallet("credits", (monthly(100),), {1: at((0, "0.20"))})
    plan = Plan(1, {1: Service()}, (usage, tokens))
    return Scenario(plan, (used(day(1, 10), 15),), used(day(1, 20), 1))


def c() -> Scenario:
    """A commitment of 1,000 at 20 % off serves two assets, of which the first uses 100 more."""
    commitment = Entitlement("commitment", 1000, FIRST, is_monthly=False, discount=((0, 20),))
    shared = Wallet("usage", (commitment,), {1: at((0, 12)), 2: at((0, 10))})
    assets = {1: Service(end=date(2024, 7, 1)), 2: Service(end=date(2025, 1, 1))}
    in_time = (used(day(1, 10), 800, 2), used(day(1, 20), 800, 1))
    return Scenario(Plan(1, assets, (shared,)), in_time, used(day(1, 5), 100, 1))


def d(count: int | None) -> Scenario:
    """60, 30 and 220 are used of 100 a month, which roll over; then 25 of the 60 are voided."""
    plan = one_wallet(3, at((0, 1)), monthly(100, Rollover(count)))
    voided = used(day(1, 20), 25)
    kept = (used(day(1, 10), 35), used(day(2, 10), 30), used(day(3, 10), 220))
    return Scenario(plan, (*kept, voided), voided)
