"""Messages of summaries, and the filters of their lists."""

from typing import Any, Literal

from usage_management.v1 import summary_service_pb2 as pb

from server.api import names
from server.api.errors import failure_status
from server.api.mapping.filters import (
    created_from_reader,
    id_of_account,
    product_from_reader,
    resource_from_reader,
    window_from_reader,
)
from server.api.mapping.rating.terms import step_to_pb, unit_pb
from server.api.reader import RequestReader, revision_of
from server.api.values import (
    decimal_pb,
    enum_pb,
    etag,
    money_pb,
    optional_decimal_pb,
    optional_time_pb,
    time_pb,
)
from server.domain.consumption.dimensions import dimensions_of
from server.domain.ids import AccountId, AssetId, CorrectionId, LiableSummaryId, WalletId
from server.domain.money import MOST_AMOUNT
from server.domain.rating.compiled_rating import SHIPPED_KEY
from server.store.billing.correction_reads import StoredCorrection
from server.store.billing.summary_reads import (
    CellState,
    LiableFilter,
    LiableState,
    LiableSummary,
    RatableFilter,
    RatableState,
    RatableSummary,
    UsageFilter,
    UsageSummary,
)
from server.usecases.billing.invoicing import MarkInvoiced
from server.usecases.billing.summaries import Executions, SummaryTrace

# The fields of a line that a waterfall repeats: its input figures, its output figures, and others.
INPUTS = ("used_quantity", "drawn_quantity", "overage_quantity", "tier_quantity")
OUTPUTS: tuple[Literal["amount", "net_unit_rate"], ...] = ("amount", "net_unit_rate")
SAME = (
    "procedure_version",
    "execution_id",
    "execution_start_time",
    "execution_end_time",
)

ALL_ACCOUNTS = "accounts/-"


def list_usage_from_pb(request: pb.ListUsageSummariesRequest) -> tuple[AccountId, UsageFilter]:
    """Return the account and the filters of a list of cells. Raises InvalidArgument."""
    reader = RequestReader(request)
    (account_id,) = reader.name("parent", names.ACCOUNT)
    wallet_id = id_of_account(reader, "wallet", names.WALLET, account_id)
    asset_id = id_of_account(reader, "asset", names.ASSET, account_id)
    only = UsageFilter(
        wallet_id=None if wallet_id is None else WalletId(wallet_id),
        state=reader.optional_choice("state", CellState),
        asset_id=None if asset_id is None else AssetId(asset_id),
        product_id=product_from_reader(reader),
        resource_id=resource_from_reader(reader),
        days=window_from_reader(reader),
    )
    reader.done()
    return AccountId(account_id), only


def list_ratable_from_pb(
    request: pb.ListRatableSummariesRequest,
) -> tuple[AccountId, RatableFilter]:
    """Return the account and filters of a list of ratable lines. Raises InvalidArgument."""
    reader = RequestReader(request)
    (account_id,) = reader.name("parent", names.ACCOUNT)
    asset_id = id_of_account(reader, "asset", names.ASSET, account_id)
    correction_id = id_of_account(reader, "correction", names.CORRECTION, account_id)
    only = RatableFilter(
        correction_id=None if correction_id is None else CorrectionId(correction_id),
        state=reader.optional_choice("state", RatableState),
        asset_id=None if asset_id is None else AssetId(asset_id),
        product_id=product_from_reader(reader),
        resource_id=resource_from_reader(reader),
        periods=window_from_reader(reader),
        created=created_from_reader(reader),
    )
    reader.done()
    return AccountId(account_id), only


def list_liable_from_pb(
    request: pb.ListLiableSummariesRequest,
) -> tuple[AccountId | None, LiableFilter]:
    """Return the account and the filters of a list of invoice-ready lines.

    The account is None for all accounts. Raises InvalidArgument.
    """
    reader = RequestReader(request)
    is_all = request.parent == ALL_ACCOUNTS
    account_id = None if is_all else reader.name("parent", names.ACCOUNT)[0]
    asset = reader.optional_name("asset", names.ASSET)
    if asset is not None and account_id not in (None, asset[0]):
        reader.fault("asset", "NAME_FORMAT", f"must be one of accounts/{account_id}")
    only = LiableFilter(
        account_id=AccountId(asset[0]) if asset else None,
        state=reader.optional_choice("state", LiableState),
        asset_id=AssetId(asset[1]) if asset else None,
        product_id=product_from_reader(reader),
        resource_id=resource_from_reader(reader),
        periods=window_from_reader(reader),
        created=created_from_reader(reader),
    )
    reader.done()
    return None if account_id is None else AccountId(account_id), only


def usage_to_pb(account_id: str, cell: UsageSummary) -> pb.UsageSummary:
    """Return a cell."""
    source_id = cell.source_summary_id
    return pb.UsageSummary(
        name=names.USAGE_SUMMARY.of(account_id, cell.usage_summary_id),
        asset=names.ASSET.of(account_id, cell.asset_id),
        usage_resource=names.RESOURCE.of(cell.usage_resource_id),
        wallet=names.WALLET.of(account_id, cell.wallet_id),
        start_time=time_pb(cell.start_time),
        end_time=time_pb(cell.end_time),
        period_start_time=time_pb(cell.period_start_time),
        correction_pending=cell.is_pending,
        state=enum_pb(pb.UsageSummary.State, CellState(cell.period_state).name),
        record_count=cell.record_count,
        sum_quantity=decimal_pb(cell.sum_quantity),
        peak_quantity=decimal_pb(cell.max_quantity),
        quantity=optional_decimal_pb(cell.quantity),
        drawn_quantity=optional_decimal_pb(cell.drawn_quantity),
        overage_quantity=optional_decimal_pb(cell.overage_quantity),
        source_usage_summary=names.USAGE_SUMMARY.of(account_id, source_id) if source_id else "",
        dimensions=dimensions_of(cell.dimensions),
    )


def ratable_to_pb(account_id: str, line: RatableSummary) -> pb.RatableSummary:
    """Return a ratable line with its waterfall."""
    liable_id = line.liable_summary_id
    return pb.RatableSummary(
        name=names.RATABLE_SUMMARY.of(account_id, line.ratable_summary_id),
        asset=names.ASSET.of(account_id, line.asset_id),
        usage_resource=names.RESOURCE.of(line.usage_resource_id),
        wallet=names.WALLET.of(account_id, line.wallet_id),
        start_time=time_pb(line.start_time),
        end_time=time_pb(line.end_time),
        origin_start_time=time_pb(line.origin_start_time),
        state=enum_pb(pb.RatableSummary.State, line.state),
        used_quantity=decimal_pb(line.used_quantity),
        drawn_quantity=decimal_pb(line.drawn_quantity),
        overage_quantity=decimal_pb(line.overage_quantity),
        tier_quantity=decimal_pb(line.tier_quantity),
        net_unit_rate=optional_decimal_pb(line.net_unit_rate),
        amount=optional_decimal_pb(line.amount),
        **unit_pb(line.currency_code),
        waterfall=map(step_to_pb, line.waterfall),
        error=failure_status(line.error_reason, line.error_message),
        liable_summary=names.LIABLE_SUMMARY.of(account_id, liable_id) if liable_id else "",
        dimensions=dimensions_of(line.dimensions),
        procedure_version=_version(line),
        execution_id=str(line.execution_id),
        execution_start_time=time_pb(line.execution_time),
        execution_end_time=time_pb(line.create_time),
        create_time=time_pb(line.create_time),
        correction=names.CORRECTION.of(account_id, line.correction_id)
        if line.correction_id
        else "",
        corrects=names.RATABLE_SUMMARY.of(account_id, line.corrects_id) if line.corrects_id else "",
    )


def correction_to_pb(account_id: str, correction: StoredCorrection) -> pb.Correction:
    """Return a correction without its lines and entries."""
    return pb.Correction(
        name=names.CORRECTION.of(account_id, correction.correction_id),
        causes=[enum_pb(pb.Correction.Cause, cause) for cause in correction.causes],
        start_time=time_pb(correction.start_time),
        wallets=[names.WALLET.of(account_id, wallet_id) for wallet_id in correction.wallet_ids],
        create_time=time_pb(correction.create_time),
    )


def waterfall_to_pb(name: str, account_id: str, executions: Executions) -> pb.RateWaterfall:
    """Return the waterfalls of a line's current and superseded ratable lines."""
    return pb.RateWaterfall(
        name=name,
        lines=[_line_waterfall(ratable_to_pb(account_id, line)) for line in executions.standing],
        superseded=[
            _line_waterfall(ratable_to_pb(account_id, line)) for line in executions.superseded
        ],
    )


def _line_waterfall(line: pb.RatableSummary) -> pb.LineWaterfall:
    inputs = {name: getattr(line, name).value for name in INPUTS} | dict(line.dimensions)
    outputs: dict[str, str] = {
        name: getattr(line, name).value for name in OUTPUTS if line.HasField(name)
    }
    return pb.LineWaterfall(
        ratable_summary=line.name,
        success=line.state == pb.RatableSummary.RATED,
        error=line.error if line.HasField("error") else None,
        inputs=inputs,
        outputs=outputs,
        steps=line.waterfall,
        **_same(line),
    )


def _same(line: pb.RatableSummary) -> dict[str, Any]:
    fields = (*SAME, line.WhichOneof("denomination"))
    return {name: getattr(line, name) for name in fields if name}


def _version(line: RatableSummary) -> str:
    """Return the version that rated a line: the shipped one if the row names none."""
    if line.error_reason == "PROCEDURE_NOT_IN_FORCE":
        return ""
    if line.procedure_id is None or line.procedure_version_id is None:
        return names.PROCEDURE_VERSION.of(*SHIPPED_KEY)
    return names.PROCEDURE_VERSION.of(line.procedure_id, line.procedure_version_id)


def mark_invoiced_from_pb(request: pb.MarkInvoicedRequest) -> MarkInvoiced:
    """Return the lines to mark. Raises InvalidArgument."""
    reader = RequestReader(request)
    keys = reader.names("liable_summaries", names.LIABLE_SUMMARY)
    invoice = reader.text("invoice").strip()
    if not invoice:
        reader.fault("invoice", "FIELD_REQUIRED", "is required")
    if set(request.etags) - set(request.liable_summaries):
        reader.fault("etags", "NAME_FORMAT", "must have names of liable_summaries as keys")
    reader.done()
    lines = [(AccountId(account), LiableSummaryId(line)) for account, line in keys]
    expected = zip(lines, map(request.etags.get, request.liable_summaries), strict=True)
    return MarkInvoiced(
        lines=tuple(lines),
        invoice=invoice,
        revisions={key: revision_of(text) for key, text in expected if text},
    )


def liable_to_pb(line: LiableSummary) -> pb.LiableSummary:
    """Return an invoice-ready line."""
    account_id, definition = line.account_id, line.definition_product_id
    return pb.LiableSummary(
        name=names.LIABLE_SUMMARY.of(account_id, line.liable_summary_id),
        asset=names.ASSET.of(account_id, line.asset_id),
        product=names.PRODUCT.of(line.product_id),
        usage_definition_product=names.PRODUCT.of(definition) if definition else "",
        usage_resource=names.RESOURCE.of(line.usage_resource_id),
        wallet=names.WALLET.of(account_id, line.wallet_id),
        start_time=time_pb(line.start_time),
        end_time=time_pb(line.end_time),
        origin_start_time=time_pb(line.origin_start_time),
        origin_end_time=time_pb(line.origin_end_time),
        state=enum_pb(pb.LiableSummary.State, line.state),
        used_quantity=decimal_pb(line.used_quantity),
        overage_quantity=decimal_pb(line.overage_quantity),
        unit_of_measure=names.UNIT.of(line.unit_of_measure_id),
        # A line failed if its amount exceeds the range of Money; only its exact amount is shown.
        amount=money_pb(line.currency_code, line.amount)
        if abs(line.amount) < MOST_AMOUNT
        else None,
        exact_amount=decimal_pb(line.exact_amount),
        invoice=line.invoice or "",
        invoice_time=optional_time_pb(line.invoice_time),
        etag=etag(line.revision),
        create_time=time_pb(line.create_time),
        superseded=[
            pb.SupersededSummary(
                used_quantity=decimal_pb(earlier.used_quantity),
                overage_quantity=decimal_pb(earlier.overage_quantity),
                amount=money_pb(line.currency_code, earlier.amount)
                if abs(earlier.amount) < MOST_AMOUNT
                else None,
                create_time=time_pb(earlier.create_time),
                supersede_time=time_pb(earlier.supersede_time),
            )
            for earlier in line.superseded
        ],
        dimensions=dimensions_of(line.dimensions),
    )


def trace_to_pb(account_id: str, trace: SummaryTrace) -> pb.TraceLiableSummaryResponse:
    """Return an invoice-ready line with everything that it sums up."""
    wallet_id = trace.liable.wallet_id
    return pb.TraceLiableSummaryResponse(
        liable_summary=liable_to_pb(trace.liable),
        sources=[
            pb.RatableTrace(
                ratable_summary=ratable_to_pb(account_id, source.ratable),
                usage_summaries=[
                    pb.UsageSummaryTrace(
                        usage_summary=usage_to_pb(account_id, usage.cell),
                        drawn_from=[
                            pb.DrawnFrom(
                                grant=names.GRANT.of(account_id, wallet_id, drawn.grant_id),
                                quantity=decimal_pb(drawn.quantity),
                                amount=decimal_pb(drawn.amount),
                            )
                            for drawn in usage.drawn
                        ],
                    )
                    for usage in source.cells
                ],
                correction=correction_to_pb(account_id, source.correction)
                if source.correction
                else None,
            )
            for source in trace.sources
        ],
    )
