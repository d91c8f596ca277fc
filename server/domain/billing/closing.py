"""Closing: the results that make a rating period final, and the next period.

The usage of the period is drawn on the grants by the walk that computes the live balance, with
every boundary through its end, and the overage is rated. At the end of a billing period the owed
amounts become liable lines.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from server.domain.billing.liable_lines import (
    Billed,
    BilledKey,
    LiableKey,
    LiableLine,
    liable_lines,
)
from server.domain.calendar import (
    Cadence,
    Period,
    RatingPeriod,
    freeze_time,
    period_after,
    period_containing,
    rating_period,
)
from server.domain.consumption.cells import Cell
from server.domain.errors import Aborted
from server.domain.ids import ExecutionId, LiableSummaryId, RatableSummaryId, WalletId, derive
from server.domain.modeling.policies import RatingFrequency
from server.domain.selling.grants import Grant
from server.domain.settlement.ratable_lines import RatableLine
from server.domain.settlement.standing import standing
from server.domain.settlement.walk import Settlement
from server.domain.settlement.wallet_states import WalletState, rated, walked


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletCalendar:
    """The rating and billing calendar of a wallet."""

    zone: str
    anchor: date
    service_start: datetime
    billing: Cadence
    frequency: RatingFrequency

    def billing_of(self, period: Period) -> Period:
        """Return the billing period that contains the start of a rating period, cut to the service.

        Like rating periods, it is whole here; only `served` cuts the first one.
        """
        return period_containing(self.zone, self.anchor, self.billing, self.served(period).start)

    def origin_of(self, billed_from: datetime) -> Period:
        """Return the billing period of usage that was billed first from that time on."""
        return period_containing(self.zone, self.anchor, self.billing, billed_from)

    def served(self, period: Period) -> Period:
        """Return the part of a period in service: the first one begins where the service does."""
        return period.since(self.service_start)

    def following(self, period: Period) -> RatingPeriod:
        """Return the rating period after one."""
        cadence = self.frequency.period.cadence
        return self.with_freeze(period_after(self.zone, self.anchor, cadence, period))

    def containing(self, instant: datetime) -> Period:
        """Return the rating period that contains an instant."""
        return rating_period(self.zone, self.anchor, self.frequency.period, instant)

    def with_freeze(self, period: Period) -> RatingPeriod:
        """Return a rating period with its freeze time."""
        freeze = freeze_time(self.zone, period.end, self.frequency.delay)
        return RatingPeriod(period.start, period.end, freeze)


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """The outcome of closing a rating period.

    `billing` is the billing period that ends with it, or None. `following` is the next rating
    period to open, or None if nothing can happen in the wallet any more; `standing` are the
    cells that it begins with.
    """

    settlement: Settlement
    lines: tuple[RatableLine, ...]
    execution_id: ExecutionId
    billing: Period | None
    following: RatingPeriod | None
    standing: tuple[Cell, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceReady:
    """A liable line and its id."""

    id: LiableSummaryId
    line: LiableLine


def missing_periods(
    calendar: WalletCalendar,
    known: Iterable[Period],
    *,
    since: datetime,
    until: tuple[datetime, datetime | None],
) -> list[RatingPeriod]:
    """Return the rating periods from a time on, to now or the end of service, that do not exist.

    `until` is now and the end of service. Past ones accept usage for their rating delay from now.
    """
    now, end = until
    starts = {period.start for period in known}
    found: list[RatingPeriod] = []
    zone, frequency = calendar.zone, calendar.frequency
    period = rating_period(zone, calendar.anchor, frequency.period, since)
    while period.start <= now and (end is None or period.start < end):
        if period.start not in starts:
            freeze = freeze_time(zone, max(period.end, now), frequency.delay)
            found.append(RatingPeriod(period.start, period.end, freeze))
        period = period_after(zone, calendar.anchor, frequency.period.cadence, period)
    return found


def closing(
    state: WalletState,
    calendar: WalletCalendar,
    ends: Iterable[datetime | None],
    period: Period,
) -> Closing:
    """Return the outcome of closing a period.

    `ends` are the ends of the assets that draw on the wallet, None for an unbounded one.
    """
    own = [cell for cell in state.cells if cell.period.start == period.start]
    settlement = walked(state, own, through=period.end)
    billing = calendar.billing_of(period)
    is_billed = period.end >= billing.end
    # A wallet stays open to the end of its billing period, which may have more rating periods.
    goes_on = not is_billed or continues_after(ends, settlement.grants, period.end)
    following = calendar.following(period) if goes_on else None
    return Closing(
        settlement=settlement,
        lines=rated(state, settlement.results),
        execution_id=execution_id(state.terms.id, period),
        billing=billing if is_billed else None,
        following=following,
        standing=_standing(state, own, following),
    )


def _standing(
    state: WalletState, own: Sequence[Cell], following: RatingPeriod | None
) -> tuple[Cell, ...]:
    if following is None:
        return ()
    return standing(state, own, Period(following.start, following.end))


def continues_after(
    ends: Iterable[datetime | None], grants: Iterable[Grant], end: datetime
) -> bool:
    """Return whether an asset or a grant with a balance continues after `end`."""
    has_asset = any(asset_end is None or asset_end > end for asset_end in ends)
    return has_asset or any(
        grant.balance and (grant.expire is None or grant.expire > end) for grant in grants
    )


def execution_id(wallet_id: WalletId, period: Period) -> ExecutionId:
    """Return the id that all lines rated by one close share."""
    return ExecutionId(derive(wallet_id, "execution", period.start.isoformat()))


def out_of_turn(earlier: datetime) -> Aborted:
    """Return the refusal to close a period before an earlier one.

    Periods of a wallet become final in order of time, because grants carry over from one to the
    next. Periods of tokens become final after those of the usage rated in them.
    """
    message = f"the period from {earlier.isoformat()} has to be closed first"
    return Aborted("PREVIOUS_PERIOD_OPEN", message, {"start_time": earlier.isoformat()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """A billing period of a wallet that ends, and the currency of its lines with its places."""

    wallet_id: WalletId
    calendar: WalletCalendar
    period: Period
    currency_code: str
    places: int

    def origins(self, lines: Iterable[RatableLine]) -> dict[RatableSummaryId, Period]:
        """Return the billing periods in which the usage of `lines` happened, by line."""
        return {line.id: self._origin(line) for line in lines}

    def _origin(self, line: RatableLine) -> Period:
        if not line.key.is_correction:
            return self.period
        return self.calendar.origin_of(line.billed_from or line.key.origin_start)

    def owed(self, lines: Iterable[RatableLine]) -> list[RatableLine]:
        """Return the lines that are billed. Amounts in tokens are owed through their wallet."""
        return [line for line in lines if not _is_in_tokens(line, self.currency_code)]


def billed_keys(bill: Bill, lines: Sequence[RatableLine]) -> set[BilledKey]:
    """Return the assets and billing periods in which the usage of lines happened."""
    origins = bill.origins(lines)
    return {LiableKey.of(line, origins).billed_key for line in lines}


def corrected(bill: Bill, lines: Sequence[RatableLine]) -> set[BilledKey]:
    """Return those of earlier billing periods, in which something may have been billed."""
    return {key for key in billed_keys(bill, lines) if key[1] != bill.period.end}


def invoice_ready(
    bill: Bill, lines: Sequence[RatableLine], billed: Mapping[BilledKey, Billed]
) -> list[InvoiceReady]:
    """Return a liable line for each asset, terms segment, and own usage or correction.

    `billed` is what was billed before for what is `corrected`. A line with usage that could not be
    rated has the amount of the rest.
    """
    return [
        InvoiceReady(id=_liable_id(bill, line.key), line=line)
        for line in liable_lines(lines, bill.origins(lines), billed, places=bill.places)
    ]


def _is_in_tokens(line: RatableLine, currency_code: str) -> bool:
    """Return whether a line's amount is owed in the token's wallet; a failed line is shown here."""
    is_money = line.terms is None or line.terms.unit == currency_code
    return line.failure is None and not is_money


def _liable_id(bill: Bill, key: LiableKey) -> LiableSummaryId:
    times = (bill.period.start, key.origin.start, key.segment_start)
    parts = (key.asset_id, *(time.isoformat() for time in times), key.is_correction)
    apart = (key.dimensions,) if key.dimensions else ()
    return LiableSummaryId(derive(bill.wallet_id, "liable", *parts, *apart))
