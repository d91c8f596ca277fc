"""Messages of replays."""

from collections.abc import Sequence

from usage_management.v1 import preview_service_pb2 as pb

from server.api import names
from server.api.errors import status_of
from server.api.mapping.rating.terms import step_to_pb, terms_to_pb, unit_pb
from server.api.reader import FIRST, LAST, RequestReader
from server.api.values import decimal_pb, optional_decimal_pb, time_pb
from server.domain.billing.replay import Total, totals
from server.domain.calendar import Period
from server.domain.consumption.dimensions import dimensions_of
from server.domain.exact import EXACT
from server.usecases.billing.replay import Replayed
from server.usecases.billing.replay_inputs import ReplayRates


def replay_rates_from_pb(request: pb.ReplayRatesRequest) -> ReplayRates:
    """Return the command to replay rates. Raises InvalidArgument."""
    reader = RequestReader(request)
    (account_id,) = reader.name("parent", names.ACCOUNT)
    (price_book_id,) = reader.name("price_book", names.PRICE_BOOK)
    asset = reader.optional_name("asset", names.ASSET)
    if asset is not None and asset[0] != account_id:
        reader.fault("asset", "NAME_FORMAT", "must be an asset of the parent")
    start = reader.optional_time("start_time") or FIRST
    end = reader.optional_time("end_time") or LAST
    if end <= start:
        reader.fault("end_time", "INTERVAL_INVALID", "must be after the start")
        end = LAST
    day = reader.optional_date("rate_date")
    reader.done()
    return ReplayRates(
        account_id=account_id,
        price_book_id=price_book_id,
        day=day,
        asset_id=asset[1] if asset else None,
        within=Period(start, end),
        with_drafts=request.include_drafts,
    )


def replay_to_pb(account_id: str, lines: Sequence[Replayed]) -> pb.ReplayRatesResponse:
    """Return the replayed lines and their totals."""
    sums = totals(one.pair for one in lines)
    return pb.ReplayRatesResponse(
        summaries=[_summary(account_id, one) for one in lines],
        totals=[_total(one) for one in sums],
        left_out_count=len(lines) - sum(one.count for one in sums),
    )


def _total(total: Total) -> pb.ReplayTotal:
    return pb.ReplayTotal(
        **unit_pb(total.unit),
        rated_amount=decimal_pb(total.rated),
        replayed_amount=decimal_pb(total.replayed),
        difference=decimal_pb(EXACT.subtract(total.replayed, total.rated)),
        summary_count=total.count,
    )


def _summary(account_id: str, replayed: Replayed) -> pb.ReplayedSummary:
    line, pair = replayed.line, replayed.pair
    made = pb.ReplayedSummary(
        ratable_summary="" if replayed.is_new else names.RATABLE_SUMMARY.of(account_id, line.id),
        asset=names.ASSET.of(account_id, line.asset_id),
        usage_resource=names.RESOURCE.of(line.resource_id),
        start_time=time_pb(line.start),
        origin_start_time=time_pb(line.origin_start),
        dimensions=dimensions_of(line.dimensions),
        overage_quantity=decimal_pb(line.overage),
        replayed_overage_quantity=optional_decimal_pb(replayed.overage),
        rated_amount=optional_decimal_pb(pair.rated),
        replayed_amount=optional_decimal_pb(pair.replayed),
        difference=optional_decimal_pb(pair.difference),
        **unit_pb(line.unit),
        status=status_of(replayed.error) if replayed.error else None,
    )
    if replayed.terms is not None:
        made.terms.CopyFrom(terms_to_pb(replayed.terms))
    made.waterfall.extend(map(step_to_pb, replayed.steps))
    return made
