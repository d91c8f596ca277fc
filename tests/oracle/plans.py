"""Plans and records: everything that is sold and used in a case of the oracle, as plain values.

All days are days of UTC, and months are counted from January 2024. Nothing here knows the server.
"""

from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import NamedTuple

DAY = timedelta(days=1)
FIRST = date(2024, 1, 1)
GROWING = ("SUM", "COUNT", "PEAK", "UNIQUE_COUNT")
"""Figures that more records can never make smaller."""


class Tier(NamedTuple):
    """A price from `lower` on: for `per` units of the terms, or for each package that is begun."""

    lower: int
    rate: Fraction
    flat: Fraction = Fraction(0)
    package: int | None = None


class Terms(NamedTuple):
    """The price of overage from a day on. The tier from zero may be due without usage."""

    start: date
    tiers: tuple[Tier, ...]
    is_graduated: bool = False
    per: int = 1
    is_free: bool = False
    is_due: bool = False


class Rollover(NamedTuple):
    """A remainder rolls over `count` times, or always, within a percentage or a quantity."""

    count: int | None = None
    percent: int | None = None
    quantity: int | None = None


class Entitlement(NamedTuple):
    """A quantity that is issued once, or each month from its start until its end.

    A commitment has a `discount`: percentages by the usage of the wallet in the period, from a
    lower bound on. Its grants pay first.
    """

    name: str
    quantity: int
    start: date
    end: date | None = None
    is_monthly: bool = True
    rollover: Rollover | None = None
    discount: tuple[tuple[int, int], ...] = ()


class Service(NamedTuple):
    """The days on which an asset is sold; the end is exclusive."""

    start: date = FIRST
    end: date | None = None


class Wallet(NamedTuple):
    """A resource that assets share, or use alone. Its overage costs money, or tokens of `token`."""

    name: str
    entitlements: tuple[Entitlement, ...]
    prices: dict[int, tuple[Terms, ...]]
    method: str = "SUM"
    is_whole_period: bool = False
    order: str = "EXPIRING_FIRST"
    token: str | None = None


class Record(NamedTuple):
    """A record of usage. UNIQUE_COUNT counts its value, every other method its quantity."""

    id: str
    wallet: str
    asset: int
    time: datetime
    quantity: Fraction
    dimensions: str = ""
    value: str = ""


class Plan(NamedTuple):
    """All that is sold to an account, for some months. Wallets of tokens come last."""

    months: int
    assets: dict[int, Service]
    wallets: tuple[Wallet, ...]
    billing: int = 1

    def wallet(self, name: str) -> Wallet:
        """Return the wallet with this name."""
        return next(wallet for wallet in self.wallets if wallet.name == name)


def months_after(first: date, count: int) -> date:
    """Return the day some months after another, which every month has."""
    months = first.month - 1 + count
    return first.replace(year=first.year + months // 12, month=months % 12 + 1)


def month_start(index: int) -> date:
    """Return the first day of a month."""
    return months_after(FIRST, index)


def month_of(day: date) -> int:
    """Return the number of the month that contains a day."""
    return (day.year - FIRST.year) * 12 + day.month - FIRST.month
