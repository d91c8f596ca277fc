"""Reprice runs: the assets of many accounts move to the rates of the catalog of a day.

A dry run changes nothing and tells what each asset would cost. An account is repriced as a whole or
not at all. Source: R37.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from server.domain.audit import Audit
from server.domain.consumption.record_runs import RunLine, RunTotal
from server.domain.errors import FailedPrecondition
from server.domain.exact import ZERO, exact
from server.domain.ids import (
    AccountId,
    AssetId,
    PriceBookId,
    ProductId,
    RepriceRunId,
    ResourceId,
    UnitId,
)
from server.domain.rating.rates import RateTerms
from server.domain.selling.repricing import Repriced, RepriceOutcome


class RepriceRunState(StrEnum):
    """The states of a run."""

    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True, kw_only=True)
class RepriceChoice:
    """The assets of a run and their new rates; None or empty for any.

    `price_book_id` is that of the order of an asset, `new_price_book_id` that of the new rates.
    """

    account_ids: tuple[AccountId, ...] = ()
    product_id: ProductId | None = None
    price_book_id: PriceBookId | None = None
    new_price_book_id: PriceBookId | None = None
    day: date


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCounts:
    """The progress of a run; refused accounts are done, too, and their assets are not counted."""

    accounts: int = 0
    done: int = 0
    refused: int = 0
    without_money: int = 0
    assets: int = 0
    repriced: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RepriceRun:
    """A run in its current state. In a list, it is without `totals`.

    `repeats` is the dry run that it does for real. `is_listed` says that all its accounts were
    found; `after_account` is the last account that was looked at.
    """

    id: RepriceRunId
    choice: RepriceChoice
    reason: str
    is_dry: bool
    repeats: RepriceRunId | None
    state: RepriceRunState
    counts: RunCounts
    after_account: str
    is_listed: bool
    error: str
    audit: Audit
    finish_time: datetime | None
    totals: tuple[RunTotal, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAmount:
    """The cost of the usage of a resource of an asset, summed over the periods that change."""

    asset_id: AssetId
    resource_id: ResourceId
    is_final: bool
    unit: UnitId
    count: int
    before: Decimal
    after: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class RepriceItem:
    """The outcome for an asset, or with a `refusal` or `no_money` for an account as a whole.

    Both are of the form `REASON: sentence`. Without `resources`, the asset pays another amount
    because another asset has new rates.
    """

    account_id: AccountId
    position: int = 0
    asset_id: AssetId | None = None
    resources: tuple[Repriced, ...] = ()
    amounts: tuple[RunAmount, ...] = ()
    refusal: str = ""
    no_money: str = ""

    @property
    def is_repriced(self) -> bool:
        """True if a resource of the asset has new rates."""
        return any(one.outcome is RepriceOutcome.REPRICED for one in self.resources)


@exact
def amounts_of(lines: Iterable[RunLine]) -> list[RunAmount]:
    """Return the cost by asset, resource and unit, final periods apart from open ones."""
    sums: dict[tuple[AssetId, ResourceId, bool, UnitId], tuple[int, Decimal, Decimal]] = {}
    for line in lines:
        key = (line.asset_id, line.resource_id, line.is_final, line.unit)
        count, before, after = sums.get(key, (0, ZERO, ZERO))
        sums[key] = (count + 1, before + line.before, after + line.after)
    return [
        RunAmount(
            asset_id=key[0],
            resource_id=key[1],
            is_final=key[2],
            unit=key[3],
            count=count,
            before=before,
            after=after,
        )
        for key, (count, before, after) in sorted(sums.items())
    ]


@exact
def totals_of(amounts: Iterable[RunAmount]) -> list[RunTotal]:
    """Return the sums of the differences by unit, final periods apart from open ones."""
    sums: dict[tuple[UnitId, bool], tuple[int, Decimal]] = {}
    for one in amounts:
        key = (one.unit, one.is_final)
        count, amount = sums.get(key, (0, ZERO))
        sums[key] = (count + one.count, amount + one.after - one.before)
    return [
        RunTotal(unit=unit, is_final=is_final, count=count, amount=amount)
        for (unit, is_final), (count, amount) in sorted(sums.items())
    ]


def items_of(
    account_id: AccountId, found: Iterable[Repriced], amounts: Iterable[RunAmount] = ()
) -> list[RepriceItem]:
    """Return the items of the assets of an account, in the order of `found`; payers come last."""
    resources: dict[AssetId, list[Repriced]] = {}
    for one in found:
        resources.setdefault(one.asset_id, []).append(one)
    paid: dict[AssetId, list[RunAmount]] = {}
    for amount in amounts:
        paid.setdefault(amount.asset_id, []).append(amount)
    return [
        RepriceItem(
            account_id=account_id,
            position=position,
            asset_id=asset_id,
            resources=tuple(resources.get(asset_id, ())),
            amounts=tuple(paid.get(asset_id, ())),
        )
        for position, asset_id in enumerate(dict.fromkeys((*resources, *paid)), 1)
    ]


def check_repeats(
    account_id: AccountId, told: Iterable[RepriceItem], found: Iterable[Repriced]
) -> None:
    """Raise REPRICE_RUN_DIFFERS unless an account would get what a dry run told."""
    before = {_key(one): _outcome(one) for item in told for one in item.resources}
    now = {_key(one): _outcome(one) for one in found}
    for key in sorted(before.keys() | now.keys()):
        if before.get(key) != now.get(key):
            name = f"accounts/{account_id}/assets/{key[0]}"
            text = (
                f"{name} would get other rates of {key[1]} than the dry run told;"
                " create another dry run"
            )
            raise FailedPrecondition("REPRICE_RUN_DIFFERS", text, {"asset": name})


def check_repeated(run: RepriceRun) -> None:
    """Raise REPRICE_RUN_STATE unless a run is a dry run that is done."""
    if run.is_dry and run.state is RepriceRunState.DONE:
        return
    name = f"repriceRuns/{run.id}"
    state = run.state if run.is_dry else "no dry run"
    text = f"{name} is {state}; only a dry run that is done can be repeated"
    raise FailedPrecondition("REPRICE_RUN_STATE", text, {"name": name, "state": run.state})


def _key(one: Repriced) -> tuple[AssetId, ResourceId]:
    return one.asset_id, one.resource_id


def _outcome(one: Repriced) -> tuple[RepriceOutcome, RateTerms]:
    return one.outcome, one.after
