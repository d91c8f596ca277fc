"""Messages of void runs and amend runs."""

from decimal import Decimal
from typing import Any

from usage_management.v1 import consumption_service_pb2 as pb
from usage_management.v1.access_service_pb2 import Run

from server.api import names
from server.api.errors import job_status
from server.api.mapping.filters import id_of_account, resource_from_reader
from server.api.mapping.rating.terms import unit_pb
from server.api.reader import RequestReader
from server.api.values import (
    audit_pb,
    decimal_pb,
    enum_pb,
    optional_decimal_pb,
    optional_time_pb,
    rating_period_pb,
    time_pb,
)
from server.domain.consumption.changes import RecordChange
from server.domain.consumption.record_runs import (
    RecordFilter,
    RecordRun,
    RunLine,
    RunMoney,
    RunPeriod,
    RunTotal,
    RunUsage,
)
from server.domain.exact import ZERO
from server.domain.ids import AccountId, AssetId, RecordRunId, ResourceId, UnitId
from server.domain.limits import MOST_QUANTITY
from server.domain.modeling.units import Ratio
from server.env import new_id
from server.store.consumption.record_runs import NewRecordRun

ONE = Decimal(1)


def create_void_run_from_pb(request: pb.CreateVoidRunRequest) -> NewRecordRun:
    """Return the run to store. Raises InvalidArgument."""
    reader = RequestReader(request)
    (account_id,) = reader.name("parent", names.ACCOUNT)
    run = reader.sub("void_run")
    new = NewRecordRun(
        id=RecordRunId(new_id()),
        account_id=AccountId(account_id),
        only=_filter(run.sub("filter"), account_id),
        reason=run.text("reason"),
        is_dry=request.void_run.dry_run,
    )
    reader.done()
    return new


def create_amend_run_from_pb(
    request: pb.CreateAmendRunRequest, most_quantity: Decimal = MOST_QUANTITY
) -> NewRecordRun:
    """Return the run to store. Raises InvalidArgument."""
    reader = RequestReader(request)
    (account_id,) = reader.name("parent", names.ACCOUNT)
    run = reader.sub("amend_run")
    change = _change(run.sub("change"), account_id, most_quantity)
    if change.is_nothing:
        run.fault("change", "FIELD_REQUIRED", "must change something")
    new = NewRecordRun(
        id=RecordRunId(new_id()),
        account_id=AccountId(account_id),
        only=_filter(run.sub("filter"), account_id),
        change=change,
        reason=run.text("reason"),
        is_dry=request.amend_run.dry_run,
    )
    reader.done()
    return new


def void_run_to_pb(run: RecordRun) -> pb.VoidRun:
    """Return a void run with its progress."""
    return pb.VoidRun(name=names.VOID_RUN.of(run.account_id, run.id), **_run_to_pb(run))


def amend_run_to_pb(run: RecordRun) -> pb.AmendRun:
    """Return an amend run with its progress."""
    assert run.change is not None, run
    return pb.AmendRun(
        name=names.AMEND_RUN.of(run.account_id, run.id),
        change=_change_to_pb(run.account_id, run.change),
        unchanged_count=run.unchanged_count,
        refused_count=run.refused_count,
        refused_records=[
            pb.RunRefusal(
                usage_record=names.RECORD.of(run.account_id, one.record_id),
                status=job_status(one.error),
            )
            for one in run.refused
        ],
        **_run_to_pb(run),
    )


def _filter(reader: RequestReader, account_id: str) -> RecordFilter:
    asset_id = id_of_account(reader, "asset", names.ASSET, account_id)
    start, end = reader.time("start_time"), reader.time("end_time")
    if end <= start:
        reader.fault("end_time", "INTERVAL_INVALID", "must be after start_time")
    labels = _labels(reader, "labels")
    return RecordFilter(
        start=start,
        end=end,
        asset_id=None if asset_id is None else AssetId(asset_id),
        resource_id=resource_from_reader(reader),
        labels=labels,
    )


def _change(reader: RequestReader, account_id: str, most_quantity: Decimal) -> RecordChange:
    asset_id = id_of_account(reader, "asset", names.ASSET, account_id)
    unit = reader.optional_name("unit_of_measure", names.UNIT)
    resource: ResourceId | None = resource_from_reader(reader)
    quantity = reader.optional_decimal("quantity")
    if quantity is not None and quantity < ZERO:
        reader.fault("quantity", "QUANTITY_NEGATIVE", "must be zero or more")
    set_labels = _labels(reader, "set_labels")
    removed = tuple(reader.message.remove_labels)
    if set_labels.keys() & set(removed):
        reader.fault("remove_labels", "LABELS_INVALID", "must not name labels that are set")
    return RecordChange(
        quantity=quantity,
        factor=_factor(reader),
        unit_id=None if unit is None else UnitId(unit[0]),
        resource_id=resource,
        asset_id=None if asset_id is None else AssetId(asset_id),
        set_labels=set_labels,
        remove_labels=removed,
        most_quantity=most_quantity,
    )


def _factor(reader: RequestReader) -> Ratio | None:
    factor = reader.optional_decimal("quantity_factor")
    divisor = reader.decimal("quantity_divisor", default=ONE)
    for name, value in (("quantity_factor", factor), ("quantity_divisor", divisor)):
        if value is not None and value <= ZERO:
            reader.fault(name, "FACTOR_RANGE", "must be greater than zero")
    if factor is None:
        if reader.has("quantity_divisor"):
            reader.fault("quantity_factor", "FIELD_REQUIRED", "is required with a divisor")
        return None
    return Ratio(factor, divisor)


def _labels(reader: RequestReader, name: str) -> dict[str, str]:
    labels = reader.labels(name)
    if not all(labels.values()):
        reader.fault(name, "LABELS_INVALID", "must have values; an empty label is a missing one")
    return labels


def _run_to_pb(run: RecordRun) -> dict[str, Any]:
    """Return the fields that runs of both kinds have."""
    account_id = run.account_id
    return {
        "filter": _filter_to_pb(account_id, run.only),
        "reason": run.reason,
        "dry_run": run.is_dry,
        "state": enum_pb(Run.State, run.state),
        "record_count": run.record_count,
        "usage": [_usage_to_pb(account_id, one) for one in run.usage],
        "periods": [_period_to_pb(account_id, one) for one in run.periods],
        "money": None if run.money is None else _money_to_pb(account_id, run.money),
        "no_money": job_status(run.no_money),
        "error": job_status(run.error),
        "finish_time": optional_time_pb(run.finish_time),
        **audit_pb(run.audit),
    }


def _filter_to_pb(account_id: AccountId, only: RecordFilter) -> pb.UsageRecordFilter:
    return pb.UsageRecordFilter(
        start_time=time_pb(only.start),
        end_time=time_pb(only.end),
        asset="" if only.asset_id is None else names.ASSET.of(account_id, only.asset_id),
        usage_resource="" if only.resource_id is None else names.RESOURCE.of(only.resource_id),
        labels=only.labels,
    )


def _change_to_pb(account_id: AccountId, change: RecordChange) -> pb.UsageRecordChange:
    unit, resource, asset = change.unit_id, change.resource_id, change.asset_id
    factor, divisor = change.factor or (None, None)
    return pb.UsageRecordChange(
        quantity=optional_decimal_pb(change.quantity),
        quantity_factor=optional_decimal_pb(factor),
        quantity_divisor=None if divisor in (None, ONE) else optional_decimal_pb(divisor),
        unit_of_measure="" if unit is None else names.UNIT.of(unit),
        usage_resource="" if resource is None else names.RESOURCE.of(resource),
        asset="" if asset is None else names.ASSET.of(account_id, asset),
        set_labels=change.set_labels,
        remove_labels=change.remove_labels,
    )


def _usage_to_pb(account_id: AccountId, one: RunUsage) -> pb.RunUsage:
    return pb.RunUsage(
        asset=names.ASSET.of(account_id, one.asset_id),
        usage_resource=names.RESOURCE.of(one.resource_id),
        record_count=one.count,
        quantity=decimal_pb(one.quantity),
        new_quantity=decimal_pb(one.new_quantity),
    )


def _period_to_pb(account_id: AccountId, one: RunPeriod) -> pb.RunPeriod:
    return pb.RunPeriod(
        wallet=names.WALLET.of(account_id, one.wallet_id),
        period=rating_period_pb(one.period),
        was_final=one.is_final,
        record_count=one.count,
    )


def _money_to_pb(account_id: AccountId, money: RunMoney) -> pb.RunMoney:
    return pb.RunMoney(
        totals=[total_to_pb(one) for one in money.totals],
        lines=[_line_to_pb(account_id, one) for one in money.lines],
        balances=[
            pb.RunBalance(
                wallet=names.WALLET.of(account_id, one.wallet_id),
                usage_resource=names.RESOURCE.of(one.resource_id),
                balance_before=decimal_pb(one.before),
                balance_after=decimal_pb(one.after),
            )
            for one in money.balances
        ],
    )


def total_to_pb(one: RunTotal) -> pb.RunTotal:
    """Return the sum of the differences of lines in one unit."""
    return pb.RunTotal(
        **run_unit_pb(one.unit),
        was_final=one.is_final,
        line_count=one.count,
        amount_difference=decimal_pb(one.amount),
    )


def _line_to_pb(account_id: AccountId, one: RunLine) -> pb.RunLine:
    return pb.RunLine(
        wallet=names.WALLET.of(account_id, one.wallet_id),
        asset=names.ASSET.of(account_id, one.asset_id),
        usage_resource=names.RESOURCE.of(one.resource_id),
        origin_start_time=time_pb(one.origin.start),
        origin_end_time=time_pb(one.origin.end),
        was_final=one.is_final,
        **run_unit_pb(one.unit),
        used_difference=decimal_pb(one.used),
        overage_difference=decimal_pb(one.overage),
        amount_before=decimal_pb(one.before),
        amount_after=decimal_pb(one.after),
        unrated_reason=one.failure,
    )


def run_unit_pb(unit: UnitId) -> dict[str, Any]:
    """Return the currency or the token; nothing for usage without terms."""
    return unit_pb(unit) if unit else {}
