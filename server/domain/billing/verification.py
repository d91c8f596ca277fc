"""Verification: the expected content of a cache compared with the stored content."""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import groupby

from server.domain.billing.liable_lines import NOTHING, Billed, shares
from server.domain.exact import ZERO, exact, plain
from server.domain.ids import AssetId, WalletId
from server.domain.rating.procedures.packages import Packages
from server.domain.settlement.ratable_lines import RatableLine


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The first difference of one item: its kind, its name, the expected and the found value."""

    what: str
    name: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.name}: {self.what} is {self.found}, should be {self.expected}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """The number of checked items, and the differences."""

    accounts: int = 0
    wallets: int = 0
    entries: int = 0
    records: int = 0
    findings: tuple[Difference, ...] = ()

    def __add__(self, other: "Verified") -> "Verified":
        return Verified(
            accounts=self.accounts + other.accounts,
            wallets=self.wallets + other.wallets,
            entries=self.entries + other.entries,
            records=self.records + other.records,
            findings=self.findings + other.findings,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BilledLine:
    """A stored invoice-ready line, made in the billing period that ends at `end_time`.

    Its usage happened in the billing period that ends at `origin_end_time`.
    """

    name: str
    wallet_id: WalletId
    asset_id: AssetId
    origin_end_time: datetime
    end_time: datetime
    segment_start_time: datetime
    dimensions: str
    is_correction: bool
    exact_amount: Decimal
    amount: Decimal
    currency_code: str

    @property
    def origin(self) -> tuple[WalletId, AssetId, datetime]:
        """The key of all lines that are rounded together."""
        return self.wallet_id, self.asset_id, self.origin_end_time

    @property
    def order(self) -> tuple[object, ...]:
        """The key by which lines are billed, one billing period after the other."""
        in_period = (self.segment_start_time, self.dimensions, self.is_correction)
        return (*self.origin, self.end_time, *in_period)


@exact
def differing_shares(
    lines: Iterable[BilledLine], places_of: Callable[[str], int]
) -> list[Difference]:
    """Return the lines whose amount is not their share in the rounded total of their origin.

    `places_of` returns the decimals of a currency.
    """
    found: list[Difference] = []
    for _, of_origin in groupby(sorted(lines, key=lambda line: line.order), lambda one: one.origin):
        billed = NOTHING
        for _, bill in groupby(of_origin, lambda line: line.end_time):
            made = list(bill)
            exact_amounts = [line.exact_amount for line in made]
            due = shares(exact_amounts, billed, places=places_of(made[0].currency_code))
            for line, share in zip(made, due, strict=True):
                found += different("amount", line.name, share, line.amount)
            # What is due, so that one wrong amount is one difference.
            billed = Billed(
                billed.exact_amount + sum(exact_amounts, ZERO), billed.amount + sum(due, ZERO)
            )
    return found


def different(
    what: str, name: str, due: Decimal | None, is_: Decimal | None
) -> Iterator[Difference]:
    """Yield the difference of one figure, if there is one; None stands for a missing figure."""
    if due != is_:
        expected, found = ("none" if figure is None else plain(figure) for figure in (due, is_))
        yield Difference(what=what, name=name, expected=expected, found=found)


def differing_flat_amounts(
    name: str, line: RatableLine, is_: Collection[Decimal]
) -> Iterator[Difference]:
    """Yield the tiers whose flat amounts only one of both charges; late usage relies on them."""
    for lower in sorted(set(line.flat_tiers) ^ set(is_)):
        expected, found = (
            plain(lower) if lower in has else "none" for has in (line.flat_tiers, is_)
        )
        yield Difference(what="tier with a flat amount", name=name, expected=expected, found=found)


@exact
def differing_packages(name: str, line: RatableLine, is_: Packages) -> list[Difference]:
    """Return the differences of the units by package rate, from which late usage continues."""
    due: Packages = {}
    for package in line.packaged:
        due[package.rate] = due.get(package.rate, ZERO) + package.quantity
    found: list[Difference] = []
    for rate in due.keys() | is_.keys():
        what = f"quantity at {plain(rate.value)} {rate.unit} per {plain(rate.per)}"
        found += different(what, name, due.get(rate), is_.get(rate))
    return found
