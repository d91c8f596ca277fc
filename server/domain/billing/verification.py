"""Verification: the expected content of a cache compared with the stored content."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import groupby

from server.domain.billing.corrections import Booked
from server.domain.billing.liable_lines import NOTHING, Billed, shares
from server.domain.consumption.cells import Cell
from server.domain.exact import ZERO, exact, plain
from server.domain.ids import AccountId, AssetId, CellId, WalletId
from server.domain.settlement.ledger import Movement
from server.domain.settlement.ratable_lines import RatableLine, UsageKey
from server.domain.settlement.standing import is_standing
from server.domain.settlement.walk import SettledIncrement
from server.domain.settlement.wallet_states import FinalCell


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


def differing_cells(
    account_id: AccountId, results: Iterable[SettledIncrement], kept: Mapping[CellId, FinalCell]
) -> list[Difference]:
    """Return the cells whose stored quantities differ from a new walk."""
    found: list[Difference] = []
    for result in results:
        name = f"accounts/{account_id}/usageSummaries/{result.increment.cell_id}"
        is_ = kept.get(result.increment.cell_id)
        found += different(
            "quantity", name, result.increment.quantity, is_.quantity if is_ else None
        )
        found += different("drawn quantity", name, result.drawn, is_.drawn if is_ else None)
    return found


def differing_standing(
    account_id: AccountId, stored: Iterable[Cell], due: Iterable[Cell], closed: datetime
) -> list[Difference]:
    """Return the cells without records with which final periods begin, where they differ."""
    now, known = (
        {
            cell.id: cell.measure.last
            for cell in cells
            if is_standing(cell) and cell.period.end <= closed
        }
        for cells in (due, stored)
    )
    found: list[Difference] = []
    for cell_id in now.keys() | known.keys():
        name = f"accounts/{account_id}/usageSummaries/{cell_id}"
        found += different("carried over", name, now.get(cell_id, ZERO), known.get(cell_id, ZERO))
    return found


def differing_movements(
    account_id: AccountId, wallet_id: WalletId, movements: Iterable[Movement]
) -> list[Difference]:
    """Return the grants whose entries differ from a new walk, which would post `movements`."""
    name = f"accounts/{account_id}/wallets/{wallet_id}"
    return [
        Difference(
            what=f"the sum of the entries of {movement.cause_kind} {movement.cause_id} on the grant"
            f" {movement.grant_id}",
            name=name,
            expected=f"{plain(movement.amount)} more",
            found="posted",
        )
        for movement in movements
    ]


@exact
def differing_lines(
    account_id: AccountId, changes: Iterable[RatableLine], booked: Mapping[UsageKey, Booked]
) -> list[Difference]:
    """Return the lines whose figures, with those of their corrections, differ from a new rating."""
    found: list[Difference] = []
    for change in changes:
        is_ = booked.get(change.key.usage)
        name = f"accounts/{account_id}/ratableSummaries/{change.id}"
        before = ZERO if is_ is None else is_.overage
        overage = None if is_ is None else is_.overage
        found += different("overage", name, before + change.overage, overage)
        amount = None if is_ is None else is_.amount
        due = None if change.amount is None else change.amount + (amount or ZERO)
        found += different("amount", name, due, amount)
    return found
