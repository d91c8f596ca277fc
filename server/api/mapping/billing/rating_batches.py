"""Messages of rating batches."""

from usage_management.v1 import preview_service_pb2 as pb

from server.api import names
from server.api.errors import failure_status, status_of
from server.api.mapping.consumption.recording import used_asset_name
from server.api.mapping.rating.terms import step_to_pb, unit_pb
from server.api.mapping.wallets.preview import line_usage
from server.api.reader import RequestReader, placed_at, refuse
from server.api.values import (
    audit_pb,
    decimal_pb,
    enum_pb,
    optional_decimal_pb,
    optional_time_pb,
    time_pb,
)
from server.domain.billing.rating_batches import LineResult, RatingBatch
from server.domain.consumption.recording import OWN_UNIT, Usage
from server.domain.errors import Violation
from server.usecases.intake.preview import AT_PRESENT
from server.usecases.intake.rating_batches import CreateRatingBatch


def create_rating_batch_from_pb(request: pb.CreateRatingBatchRequest) -> CreateRatingBatch:
    """Return the command; the path of a fault names the line. Raises InvalidArgument."""
    reader = RequestReader(request)
    (account_id,) = reader.name("parent", names.ACCOUNT)
    reader.done()
    lines = []
    faults: list[Violation] = []
    for index, line in enumerate(request.rating_batch.lines):
        with placed_at(f"rating_batch.lines[{index}]", faults):
            lines.append(line_usage(account_id, index, line))
    refuse(faults)
    return CreateRatingBatch(
        account_id=account_id,
        lines=tuple(lines),
        skips_waterfall=request.rating_batch.skips_waterfall,
    )


def rating_batch_to_pb(batch: RatingBatch) -> pb.RatingBatch:
    """Return a batch with its state and results."""
    return pb.RatingBatch(
        name=names.RATING_BATCH.of(batch.account_id, batch.id),
        lines=[_line(item) for item in batch.lines],
        skips_waterfall=batch.skips_waterfall,
        state=enum_pb(pb.RatingBatch.State, batch.state),
        results=[_result(item) for item in batch.results],
        error=failure_status(batch.error_code, batch.error_text),
        **audit_pb(batch.audit),
        rate_time=optional_time_pb(batch.rate_time),
    )


def _line(line: Usage) -> pb.RatingLine:
    return pb.RatingLine(
        asset=used_asset_name(line),
        usage_resource=names.RESOURCE.of(line.resource_id),
        quantity=decimal_pb(line.quantity),
        unit_of_measure="" if line.unit_id == OWN_UNIT else names.UNIT.of(line.unit_id),
        usage_time=None if line.time == AT_PRESENT else time_pb(line.time),
        labels=line.labels or {},
    )


def _result(result: LineResult) -> pb.RatedLine:
    return pb.RatedLine(
        status=None if result.error is None else status_of(result.error),
        used_quantity=optional_decimal_pb(result.used),
        overage_quantity=optional_decimal_pb(result.overage),
        amount=optional_decimal_pb(result.amount),
        **(unit_pb(result.unit) if result.unit else {}),
        waterfall=map(step_to_pb, result.steps),
    )
