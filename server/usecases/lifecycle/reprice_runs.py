"""Reprice the assets of many accounts: a run, with a job for each account.

The first jobs of a run find its accounts, a bounded number at a time, and add a job for each. An
account is one transaction: if a worker dies, it is done again as a whole, and nothing is changed
twice. A refusal is an outcome of the account, so it does not stop the others.
"""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from server.domain.billing.reprice_runs import (
    RepriceChoice,
    RepriceItem,
    RepriceRun,
    amounts_of,
    check_repeated,
    check_repeats,
    items_of,
)
from server.domain.consumption.record_runs import RunMoney
from server.domain.errors import Aborted, UsageError
from server.domain.ids import AccountId, JobId, RepriceRunId, derive
from server.domain.limits import value_of
from server.domain.work import JobKind
from server.store import jobs
from server.store.access import tenants
from server.store.billing import reprice_runs as store
from server.store.billing.reprice_runs import ItemFilter, ItemKey, NewRepriceRun
from server.store.connection import Transaction
from server.store.jobs import NO_ACCOUNT, Job
from server.store.modeling import records
from server.store.modeling.catalog import PRODUCT
from server.store.rating.rates import PRICE_BOOK
from server.store.selling import accounts
from server.store.transaction import Savepoint
from server.usecases.billing import trials
from server.usecases.billing.trials import MOST_SECONDS, NotTried, TrialScope
from server.usecases.lifecycle.repricing import (
    RepriceAssets,
    RepricePlan,
    plan_repricing,
    take_effect,
)

SLICE = 500
"""The accounts that a job looks at to find those of a run."""

MOST_ASSETS = value_of("reprice_run.assets")

FAILED = "JOB_FAILED"


async def create(tx: Transaction, new: NewRepriceRun) -> RepriceRun:
    """Store a run, and add its first job.

    Raises ACCOUNT_NOT_FOUND, PRODUCT_NOT_FOUND, PRICE_BOOK_NOT_FOUND, REPRICE_RUN_NOT_FOUND,
    REPRICE_RUN_STATE.
    """
    if new.repeats is not None:
        repeated = await store.find(tx, new.repeats)
        check_repeated(repeated)
        new = replace(new, choice=repeated.choice)
    await _check_names(tx, new.choice)
    await store.add(tx, new)
    await _add_jobs(tx, new.id, "", [NO_ACCOUNT])
    return await store.get(tx, new.id)


async def reprice_next(tx: Transaction, job: Job) -> None:
    """Do a job of a run: find its next accounts, or reprice one of them."""
    run_id = RepriceRunId(UUID(job.payload["reprice_run_id"]))
    if job.account_id == NO_ACCOUNT:
        await _find_accounts(tx, run_id, job.payload["after_account_id"])
    else:
        await _reprice_account(tx, run_id, job.account_id)


async def fail(tx: Transaction, job: Job, error: str) -> None:
    """Refuse the account whose job was waived, or end the run whose accounts cannot be found."""
    run_id = RepriceRunId(UUID(job.payload["reprice_run_id"]))
    text = f"{FAILED}: its job was given up: {error}"[:1000]
    if job.account_id == NO_ACCOUNT:
        await store.fail(tx, run_id, text)
    elif await store.lock_account(tx, job.account_id, run_id):
        item = RepriceItem(account_id=job.account_id, refusal=text)
        await store.end_account(tx, job.account_id, run_id, [item])


async def list_items(
    tx: Transaction, only: ItemFilter, *, after: ItemKey | None, limit: int
) -> list[RepriceItem]:
    """Return the items of a run. Raises REPRICE_RUN_NOT_FOUND."""
    await store.find(tx, only.run_id)
    return await store.list_items(tx, only, after=after, limit=limit)


async def _check_names(tx: Transaction, choice: RepriceChoice) -> None:
    for account_id in choice.account_ids:
        await accounts.get(tx, account_id)
    if choice.product_id is not None:
        await records.get(tx, PRODUCT, choice.product_id)
    for price_book_id in (choice.price_book_id, choice.new_price_book_id):
        if price_book_id is not None:
            await records.get(tx, PRICE_BOOK, price_book_id)


async def _find_accounts(tx: Transaction, run_id: RepriceRunId, after: str) -> None:
    if not await store.lock(tx, run_id):
        return
    run = await store.find(tx, run_id)
    # The job may run twice; the second run finds its slice done.
    if run.is_listed or run.after_account != after:
        return
    found = await store.next_accounts(tx, run, SLICE)
    await store.add_accounts(tx, run_id, found)
    await _add_jobs(tx, run_id, "", found.account_ids)
    if not found.is_last:
        await _add_jobs(tx, run_id, found.last, [NO_ACCOUNT])


async def _reprice_account(tx: Transaction, run_id: RepriceRunId, account_id: AccountId) -> None:
    if not await store.lock_account(tx, account_id, run_id):
        return
    run = await store.find(tx, run_id)
    before = Savepoint(tx)
    await before.make()
    try:
        items = await _outcomes(tx, run, account_id)
    except Aborted:
        raise
    except UsageError as error:
        await before.roll_back()
        text = f"{error.reason}: {error.message}"[:1000]
        items = [RepriceItem(account_id=account_id, refusal=text)]
    await store.end_account(tx, account_id, run_id, items)


async def _outcomes(
    tx: Transaction, run: RepriceRun, account_id: AccountId
) -> Sequence[RepriceItem]:
    """Reprice an account, or try to, and return its items."""
    choice = run.choice
    command = RepriceAssets(
        account_id=account_id,
        product_id=choice.product_id,
        price_book_id=choice.new_price_book_id,
        sold_by=choice.price_book_id,
        day=choice.day,
        reason=run.reason,
        run_id=run.id,
        most_assets=MOST_ASSETS,
    )
    plan = await plan_repricing(tx, command)
    if run.repeats is not None:
        told = await store.items_of_account(tx, account_id, run.repeats)
        check_repeats(account_id, told, plan.found)
    if not run.is_dry:
        await take_effect(tx, command, plan)
        return items_of(account_id, plan.found)
    money = await _money(tx, command, plan)
    if isinstance(money, NotTried):
        whole = RepriceItem(account_id=account_id, no_money=money.reason)
        return [whole, *items_of(account_id, plan.found)]
    return items_of(account_id, plan.found, amounts_of(money.lines))


async def _money(tx: Transaction, command: RepriceAssets, plan: RepricePlan) -> RunMoney | NotTried:
    """Return what a plan would change in money; nothing is left of it."""

    async def attempt() -> RunMoney:
        groups = await trials.groups_of(tx, command.account_id, plan.wallets)
        scope = TrialScope(account_id=command.account_id, groups=groups, since=plan.start)
        _, money = await trials.measured(tx, scope, lambda: take_effect(tx, command, plan))
        return money

    hint = "choose a product, so that fewer assets are repriced at once"
    return await trials.tried(tx, attempt, hint, MOST_SECONDS)


async def _add_jobs(
    tx: Transaction, run_id: RepriceRunId, after: str, account_ids: Sequence[AccountId]
) -> None:
    now = await tenants.now(tx)
    kind = JobKind.REPRICE
    await jobs.add(
        tx,
        [
            Job(
                id=JobId(derive(run_id, "reprice", account_id, after)),
                kind=kind,
                rank=kind.rank,
                account_id=account_id,
                payload={"reprice_run_id": str(run_id), "after_account_id": after},
                fire_time=now,
            )
            for account_id in account_ids
        ],
    )
