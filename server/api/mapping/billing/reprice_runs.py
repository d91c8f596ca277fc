"""Messages of reprice runs."""

from datetime import date

from usage_management.v1 import reprice_service_pb2 as pb
from usage_management.v1.access_service_pb2 import Run

from server.api import names
from server.api.errors import job_status
from server.api.mapping.consumption.record_runs import run_unit_pb, total_to_pb
from server.api.mapping.filters import product_from_reader
from server.api.mapping.selling.assets import repriced_resource_to_pb
from server.api.reader import RequestReader
from server.api.values import (
    audit_pb,
    date_pb,
    decimal_pb,
    enum_pb,
    optional_time_pb,
)
from server.domain.billing.reprice_runs import RepriceChoice, RepriceItem, RepriceRun, RunAmount
from server.domain.ids import AccountId, PriceBookId, RepriceRunId
from server.env import new_id
from server.store.billing.reprice_runs import ItemFilter, NewRepriceRun

CHOICE = ("accounts", "product", "price_book", "new_price_book", "start_date")


def create_reprice_run_from_pb(request: pb.CreateRepriceRunRequest) -> NewRepriceRun:
    """Return the run to store. Raises InvalidArgument."""
    reader = RequestReader(request)
    run = reader.sub("reprice_run")
    repeated = run.optional_name("repeats", names.REPRICE_RUN)
    is_dry = request.reprice_run.dry_run
    choice = RepriceChoice(day=date.min) if repeated else _choice(run)
    if repeated:
        _check_repeating(run, is_dry=is_dry)
    new = NewRepriceRun(
        id=RepriceRunId(new_id()),
        choice=choice,
        reason=run.text("reason"),
        is_dry=is_dry,
        repeats=RepriceRunId(repeated[0]) if repeated else None,
    )
    reader.done()
    return new


def _check_repeating(run: RequestReader, *, is_dry: bool) -> None:
    """Add a fault for each field that the dry run decides."""
    given = {field.name for field, _ in run.message.ListFields()}
    for name in CHOICE:
        if name in given:
            run.fault(name, "REPRICE_RUN_CHOICE", "must be empty: the dry run has it")
    if is_dry:
        run.fault("dry_run", "REPRICE_RUN_CHOICE", "must be false: a dry run is repeated for real")


def _choice(run: RequestReader) -> RepriceChoice:
    accounts = dict.fromkeys(AccountId(key) for (key,) in run.names("accounts", names.ACCOUNT))
    sold_by = run.optional_name("price_book", names.PRICE_BOOK)
    new_book = run.optional_name("new_price_book", names.PRICE_BOOK)
    return RepriceChoice(
        account_ids=tuple(accounts),
        product_id=product_from_reader(run),
        price_book_id=PriceBookId(sold_by[0]) if sold_by else None,
        new_price_book_id=PriceBookId(new_book[0]) if new_book else None,
        day=run.date("start_date"),
    )


def reprice_run_to_pb(run: RepriceRun) -> pb.RepriceRun:
    """Return a run with its progress."""
    choice, counts = run.choice, run.counts
    product, sold_by, new_book = choice.product_id, choice.price_book_id, choice.new_price_book_id
    return pb.RepriceRun(
        name=names.REPRICE_RUN.of(run.id),
        accounts=map(names.ACCOUNT.of, choice.account_ids),
        product="" if product is None else names.PRODUCT.of(product),
        price_book="" if sold_by is None else names.PRICE_BOOK.of(sold_by),
        new_price_book="" if new_book is None else names.PRICE_BOOK.of(new_book),
        start_date=date_pb(choice.day),
        reason=run.reason,
        dry_run=run.is_dry,
        repeats="" if run.repeats is None else names.REPRICE_RUN.of(run.repeats),
        state=enum_pb(Run.State, run.state),
        account_count=counts.accounts,
        done_account_count=counts.done,
        failed_account_count=counts.refused,
        asset_count=counts.assets,
        repriced_asset_count=counts.repriced,
        totals=[total_to_pb(one) for one in run.totals],
        no_money_account_count=counts.without_money,
        error=job_status(run.error),
        finish_time=optional_time_pb(run.finish_time),
        **audit_pb(run.audit),
    )


def list_items_from_pb(request: pb.ListRepriceRunItemsRequest) -> ItemFilter:
    """Return the run and the filters of a list of its items. Raises InvalidArgument."""
    reader = RequestReader(request)
    (run_id,) = reader.name("parent", names.REPRICE_RUN)
    account = reader.optional_name("account", names.ACCOUNT)
    only = ItemFilter(
        run_id=RepriceRunId(run_id),
        account_id=AccountId(account[0]) if account else None,
        is_refused=request.refused,
    )
    reader.done()
    return only


def reprice_item_to_pb(item: RepriceItem) -> pb.RepriceRunItem:
    """Return the outcome for an asset or an account."""
    account_id, asset_id = item.account_id, item.asset_id
    return pb.RepriceRunItem(
        account=names.ACCOUNT.of(account_id),
        asset="" if asset_id is None else names.ASSET.of(account_id, asset_id),
        resources=[repriced_resource_to_pb(account_id, one) for one in item.resources],
        amounts=map(_amount_to_pb, item.amounts),
        refusal=job_status(item.refusal),
        no_money=job_status(item.no_money),
    )


def _amount_to_pb(one: RunAmount) -> pb.RepriceRunAmount:
    return pb.RepriceRunAmount(
        usage_resource=names.RESOURCE.of(one.resource_id),
        was_final=one.is_final,
        **run_unit_pb(one.unit),
        period_count=one.count,
        amount_before=decimal_pb(one.before),
        amount_after=decimal_pb(one.after),
    )
