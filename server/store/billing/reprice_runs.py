"""Reprice runs: insert, find their accounts, save what becomes of each, read."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from server.domain.billing.reprice_runs import (
    RepriceChoice,
    RepriceItem,
    RepriceRun,
    RepriceRunState,
    RunAmount,
    RunCounts,
    totals_of,
)
from server.domain.consumption.record_runs import RunTotal
from server.domain.errors import NotFound
from server.domain.ids import (
    AccountId,
    AssetId,
    PriceBookId,
    ProductId,
    RepriceRunId,
    ResourceId,
    UnitId,
)
from server.domain.selling.repricing import Repriced
from server.store.audit import audit_of
from server.store.connection import Transaction
from server.store.documents import DocumentCodec
from server.store.keys import NO_KEY, TimeKey
from server.store.sql import load

SQL = load("billing/reprice_runs.sql")

RESOURCES: DocumentCodec[tuple[Repriced, ...]] = DocumentCodec(tuple[Repriced, ...])
"""The documents of `reprice_run_items.resources`."""

ItemKey = tuple[str, int]
"""The account and the position of the last item seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRepriceRun:
    """A run to insert."""

    id: RepriceRunId
    choice: RepriceChoice
    reason: str
    is_dry: bool
    repeats: RepriceRunId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemFilter:
    """The filters of a list of items; `is_refused` is for refused accounts only."""

    run_id: RepriceRunId
    account_id: AccountId | None = None
    is_refused: bool = False


@dataclass(frozen=True, slots=True)
class AccountSlice:
    """The next accounts that match, the last one looked at, and if it was the last of all."""

    account_ids: Sequence[AccountId]
    last: str
    is_last: bool


async def add(tx: Transaction, new: NewRepriceRun) -> None:
    """Insert a run."""
    choice = new.choice
    await tx.execute(
        SQL["add_run"],
        tx.tenant_id,
        new.id,
        new.is_dry,
        new.repeats,
        list(choice.account_ids) or None,
        choice.product_id,
        choice.price_book_id,
        choice.new_price_book_id,
        choice.day,
        new.reason,
    )


async def lock(tx: Transaction, run_id: RepriceRunId) -> bool:
    """Lock a run in progress until the transaction ends; return False if it is not in progress."""
    return await tx.fetchrow(SQL["lock_run"], tx.tenant_id, run_id) is not None


async def find(tx: Transaction, run_id: RepriceRunId) -> RepriceRun:
    """Return a run as in a list. Raises REPRICE_RUN_NOT_FOUND."""
    row = await tx.fetchrow(SQL["get_run"], tx.tenant_id, run_id)
    if row is None:
        raise NotFound.of("RepriceRun", f"repriceRuns/{run_id}")
    return _run(row)


async def get(tx: Transaction, run_id: RepriceRunId) -> RepriceRun:
    """Return a run with the sums of its money. Raises REPRICE_RUN_NOT_FOUND."""
    run = await find(tx, run_id)
    rows = await tx.fetch(SQL["totals"], tx.tenant_id, run_id) if run.is_dry else ()
    return replace(run, totals=tuple(map(_total, rows)))


async def list_runs(tx: Transaction, *, after: TimeKey | None, limit: int) -> list[RepriceRun]:
    """Return runs, newest first, without the sums of their money."""
    rows = await tx.fetch(SQL["list_runs"], tx.tenant_id, *(after or NO_KEY), limit)
    return [_run(row) for row in rows]


async def next_accounts(tx: Transaction, run: RepriceRun, limit: int) -> AccountSlice:
    """Return the accounts of a run among the next `limit` ones."""
    choice = run.choice
    rows = await tx.fetch(
        SQL["next_accounts"],
        tx.tenant_id,
        run.after_account,
        limit,
        list(choice.account_ids) or None,
        choice.product_id,
        choice.price_book_id,
        choice.day,
    )
    found = [AccountId(row["account_id"]) for row in rows if row["is_match"]]
    last = rows[-1]["account_id"] if rows else run.after_account
    return AccountSlice(found, last, len(rows) < limit)


async def add_accounts(tx: Transaction, run_id: RepriceRunId, found: AccountSlice) -> None:
    """Add the accounts of a slice to a locked run, which ends if it has none to do."""
    if found.account_ids:
        await tx.execute(SQL["add_accounts"], tx.tenant_id, run_id, list(found.account_ids))
    args = (len(found.account_ids), found.last, found.is_last)
    await tx.execute(SQL["note_accounts"], tx.tenant_id, run_id, *args)


async def lock_account(tx: Transaction, account_id: AccountId, run_id: RepriceRunId) -> bool:
    """Lock an account of a run; return False if it is done, or the run has ended."""
    return await tx.fetchrow(SQL["lock_account"], tx.tenant_id, account_id, run_id) is not None


async def end_account(
    tx: Transaction, account_id: AccountId, run_id: RepriceRunId, items: Sequence[RepriceItem]
) -> None:
    """Save the outcomes of a locked account, and count it."""
    key = (tx.tenant_id, account_id, run_id)
    await tx.execute(SQL["end_account"], *key)
    if items:
        columns = zip(*map(_item_row, items), strict=True)
        await tx.execute(SQL["add_items"], *key, *map(list, columns))
    amounts = [amount for item in items for amount in item.amounts]
    if amounts:
        columns = zip(*map(_amount_row, amounts), strict=True)
        await tx.execute(SQL["add_amounts"], *key, *map(list, columns))
        sums = [(one.unit, one.is_final, one.count, one.amount) for one in totals_of(amounts)]
        args = map(list, zip(*sums, strict=True))
        await tx.execute(SQL["add_totals"], tx.tenant_id, run_id, *args)
    await tx.execute(
        SQL["count_account"],
        tx.tenant_id,
        run_id,
        any(item.refusal for item in items).real,
        any(item.no_money for item in items).real,
        sum(bool(item.resources) for item in items),
        sum(item.is_repriced for item in items),
    )


async def fail(tx: Transaction, run_id: RepriceRunId, error: str) -> None:
    """End a run whose accounts could not be found."""
    await tx.execute(SQL["fail_run"], tx.tenant_id, run_id, error)


async def list_items(
    tx: Transaction, only: ItemFilter, *, after: ItemKey | None, limit: int
) -> list[RepriceItem]:
    """Return the items of a run, by account and position."""
    position = after or ("", -1)
    args = (*position, limit, only.account_id, only.is_refused)
    rows = await tx.fetch(SQL["list_items"], tx.tenant_id, only.run_id, *args)
    items = [_item(row) for row in rows]
    keys = [(item.account_id, item.asset_id) for item in items if item.asset_id is not None]
    columns = [account_id for account_id, _ in keys], [asset_id for _, asset_id in keys]
    amounts: dict[tuple[str, Any], list[RunAmount]] = {}
    for row in await tx.fetch(SQL["amounts_of_assets"], tx.tenant_id, only.run_id, *columns):
        amounts.setdefault((row["account_id"], row["asset_id"]), []).append(_amount(row))
    return [
        replace(item, amounts=tuple(amounts.get((item.account_id, item.asset_id), ())))
        for item in items
    ]


async def items_of_account(
    tx: Transaction, account_id: AccountId, run_id: RepriceRunId
) -> list[RepriceItem]:
    """Return the items of one account of a run, without their amounts."""
    rows = await tx.fetch(SQL["items_of_account"], tx.tenant_id, account_id, run_id)
    return [_item(row) for row in rows]


def _item_row(item: RepriceItem) -> tuple[Any, ...]:
    resources = None if item.asset_id is None else RESOURCES.encode(item.resources)
    return item.position, item.asset_id, resources, item.refusal, item.no_money


def _amount_row(amount: RunAmount) -> tuple[Any, ...]:
    return (
        amount.asset_id,
        amount.resource_id,
        amount.is_final,
        amount.unit,
        amount.count,
        amount.before,
        amount.after,
    )


def _run(row: Any) -> RepriceRun:
    product, book, new_book = row["product_id"], row["price_book_id"], row["new_price_book_id"]
    repeats = row["repeats_id"]
    return RepriceRun(
        id=RepriceRunId(row["reprice_run_id"]),
        choice=RepriceChoice(
            account_ids=tuple(map(AccountId, row["account_ids"] or ())),
            product_id=None if product is None else ProductId(product),
            price_book_id=None if book is None else PriceBookId(book),
            new_price_book_id=None if new_book is None else PriceBookId(new_book),
            day=row["start_date"],
        ),
        reason=row["reason"],
        is_dry=row["is_dry"],
        repeats=None if repeats is None else RepriceRunId(repeats),
        state=RepriceRunState(row["state"]),
        counts=RunCounts(
            accounts=row["account_count"],
            done=row["done_count"],
            refused=row["refused_count"],
            without_money=row["no_money_count"],
            assets=row["asset_count"],
            repriced=row["repriced_count"],
        ),
        after_account=row["after_account_id"],
        is_listed=row["is_listed"],
        error=row["error"],
        audit=audit_of(row),
        finish_time=row["finish_time"],
    )


def _total(row: Any) -> RunTotal:
    return RunTotal(
        unit=UnitId(row["currency_code"]),
        is_final=row["is_final"],
        count=row["line_count"],
        amount=row["amount"],
    )


def _item(row: Any) -> RepriceItem:
    asset_id = row["asset_id"]
    return RepriceItem(
        account_id=AccountId(row["account_id"]),
        position=row["position"],
        asset_id=None if asset_id is None else AssetId(asset_id),
        resources=() if asset_id is None else RESOURCES.decode(row["resources"]),
        refusal=row["refusal"],
        no_money=row["no_money"],
    )


def _amount(row: Any) -> RunAmount:
    return RunAmount(
        asset_id=AssetId(row["asset_id"]),
        resource_id=ResourceId(row["usage_resource_id"]),
        is_final=row["is_final"],
        unit=UnitId(row["currency_code"]),
        count=row["period_count"],
        before=row["amount_before"],
        after=row["amount_after"],
    )
