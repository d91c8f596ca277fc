"""Rate plans: the rate of an asset's resource on a day, and the procedure version that rates it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from server.domain.calendar import PolicyPeriod, local_date, local_midnight, rating_period
from server.domain.errors import UsageError
from server.domain.ids import AssetId, ResourceId, WalletId
from server.domain.rating.compiled_rating import CompiledRating, RatingVersions, not_in_force
from server.domain.rating.discovery import Source
from server.domain.rating.line_rating import RatingFailed
from server.domain.rating.rates import RateSegment
from server.domain.selling.sales import AssetResource


@dataclass(frozen=True, slots=True, kw_only=True)
class Metering:
    """The zone, anchor and length of a wallet's rating periods, and the start of the first."""

    zone: str
    anchor: date
    service_start: datetime
    length: PolicyPeriod


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanLine:
    """The rate and the version that will rate usage of a day, or the error.

    `period` is the first day of the rating period that contains the day.
    """

    resource_id: ResourceId
    wallet_id: WalletId
    is_fixed: bool
    period: date
    segment: RateSegment | None = None
    rater: CompiledRating | None = None
    error: UsageError | None = None

    @property
    def source(self) -> tuple[Source, AssetId | None]:
        """The kind of source of the terms, and the other asset that brought them, if any."""
        if self.segment is None or self.segment.terms is None:
            return Source.ASSET, None
        of_target = self.segment.terms.agreed_on is not None
        return Source.TARGET if of_target else Source.ASSET, self.segment.sold_with


def planned(
    held: AssetResource,
    segments: Iterable[RateSegment],
    metering: Metering,
    versions: RatingVersions,
    day: date,
) -> PlanLine:
    """Return the rate of a resource as `day` begins; `segments` do not overlap."""
    midnight = local_midnight(metering.zone, day)
    period = rating_period(metering.zone, metering.anchor, metering.length, midnight)
    first = local_date(metering.zone, period.since(metering.service_start).start)
    segment = next((segment for segment in segments if segment.contains(midnight)), None)
    rater = versions.on(first)
    error = None
    if segment is None or segment.terms is None:
        text = f"{held.resource_id} has no rate of its own on {day}"
        error = RatingFailed("RATE_NOT_FOUND", text, {"usage_resource": held.resource_id})
    elif rater is None:
        error = not_in_force(first)
    return PlanLine(
        resource_id=held.resource_id,
        wallet_id=held.wallet_id,
        is_fixed=held.is_fixed,
        period=first,
        segment=segment,
        rater=rater,
        error=error,
    )
