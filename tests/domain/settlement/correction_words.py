"""A wallet that is lived through: periods are closed, and final ones are corrected.

It keeps what the database keeps: cells, entries, grants with their balances, and ratable lines.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

from server.domain.billing.closing import WalletCalendar, closing
from server.domain.billing.corrections import (
    Booked,
    Correction,
    FinalBooks,
    correction,
)
from server.domain.calendar import Delay, Period, PolicyPeriod
from server.domain.consumption.cells import Cell
from server.domain.consumption.gauges import Services
from server.domain.exact import ZERO
from server.domain.ids import CellId, GrantId, RatableSummaryId
from server.domain.modeling.policies import AggregationMethod, AggregationPolicy, RatingFrequency
from server.domain.rating.rates import RateSegment
from server.domain.selling.grants import Entitlement, Grant, issued_through
from server.domain.settlement.ledger import (
    CauseKind,
    GrantHead,
    Head,
    LedgerEntry,
    Movement,
    check_chain,
    post,
)
from server.domain.settlement.ratable_lines import RatableLine, Rates, UsageKey
from server.domain.settlement.rewinding import (
    BOUNDARY_LEGS,
    Moved,
    MovementKey,
    in_posting_order,
    rewound,
)
from server.domain.settlement.standing import is_standing, with_standing
from server.domain.settlement.walk import Commitments, WalletTerms
from server.domain.settlement.wallet_states import WalletState, rated, walked
from tests import strategies
from tests.domain.procedure_words import tier
from tests.strategies import ASSET, MONTHLY, USD, WALLET, cell, terms

SUM = AggregationPolicy.usual(AggregationMethod.SUM)
JANUARY, FEBRUARY, MARCH, APRIL = PERIODS = strategies.months("UTC", 4)
# 10 each up to 15 units, and 5 each above.
VOLUME = (tier(0, 16, "OVERRIDE", 10), tier(16, None, "OVERRIDE", 5))


def day(month, number):
    return datetime(2024, month, number, tzinfo=UTC)


def at(price="1", **more):
    """The terms of the asset from the beginning on."""
    return {ASSET: (RateSegment(start=day(1, 1), terms=terms(price, **more)),)}


def used(name, quantity, month, number=10):
    return cell(name, quantity, day(month, number), period=PERIODS[month - 1])


def effects_of(entries: Iterable[Movement | LedgerEntry]) -> dict[MovementKey, Moved]:
    """The sums of entries by cause and grant, as the database adds them up."""
    found: dict[MovementKey, Moved] = {}
    for one in entries:
        leg = one.leg % BOUNDARY_LEGS if one.cause_kind is CauseKind.BOUNDARY else 0
        effect = MovementKey(one.effective_time, one.cause_kind, one.cause_id, leg, one.grant_id)
        known = found.get(effect, Moved())
        is_usage = one.cause_kind is CauseKind.CELL
        paid = (-one.amount if one.covered is None else one.covered) if is_usage else ZERO
        found[effect] = Moved(amount=known.amount + one.amount, paid=known.paid + paid)
    return {effect: sums for effect, sums in found.items() if sums.amount or sums.paid}


def voided(cell: Cell) -> Cell:
    """The cell without its records, which were all voided."""
    none = replace(cell.measure, sum=ZERO, count=0, max=ZERO, min=ZERO, last=ZERO)
    return replace(cell, measure=none, is_empty=True)


@dataclass(kw_only=True)
class Books:
    """A wallet with everything that was posted and booked."""

    periods: tuple[Period, ...]
    held: tuple[Entitlement, ...] = ()
    rates: Rates = field(default_factory=dict)
    commitments: Commitments = field(default_factory=dict)
    services: Services = field(default_factory=dict)
    policy: AggregationPolicy = SUM
    zone: str = "UTC"
    anchor: date = date(2024, 1, 1)
    cells: dict[CellId, Cell] = field(default_factory=dict)
    months_final: int = 0
    corrected: int = 0
    head: Head = field(default_factory=lambda: Head(wallet_id=WALLET))
    heads: dict[GrantId, GrantHead] = field(default_factory=dict)
    entries: tuple[LedgerEntry, ...] = ()
    grants: dict[GrantId, Grant] = field(default_factory=dict)
    lines: list[RatableLine] = field(default_factory=list)

    @property
    def terms(self) -> WalletTerms:
        return WalletTerms(
            id=WALLET,
            zone=self.zone,
            aggregation=self.policy,
            anchor=self.anchor,
            rating=PolicyPeriod.MONTH,
        )

    @property
    def closed(self) -> datetime:
        """The end of the last final period."""
        return self.periods[self.months_final - 1].end

    def use(self, *cells: Cell) -> None:
        """Keep cells, each in the place of the one with its id."""
        self.cells |= {cell.id: cell for cell in cells}

    def close(self, count: int = 1) -> None:
        """Close the next periods."""
        for _ in range(count):
            period = self.periods[self.months_final]
            calendar = WalletCalendar(
                zone=self.zone,
                anchor=self.anchor,
                service_start=self.periods[0].start,
                billing=MONTHLY,
                frequency=RatingFrequency(period=PolicyPeriod.MONTH, delay=Delay(3)),
            )
            found = closing(self.state(period.start), calendar, (None,), period)
            self.use(*found.standing)
            self._post(found.settlement.movements, found.settlement.opened)
            self.lines += found.lines
            self.months_final += 1

    def state(self, since: datetime) -> WalletState:
        """The wallet with its balances now, and the usage since a time."""
        last = self.periods[self.months_final - 1].end if self.months_final else None
        period = next(one for one in self.periods if last is None or one.start >= last)
        issued = [
            one if last is None else issued_through(replace(one, next_index=10**6), self.zone, last)
            for one in self.held
        ]
        return WalletState(
            terms=self.terms,
            # An empty grant that ended before is not read.
            grants=tuple(
                one
                for one in self.grants.values()
                if one.balance or one.expire is None or one.expire > since
            ),
            entitlements=tuple(issued),
            cells=tuple(one for one in self.cells.values() if one.period.start >= since),
            period=period,
            rates=self.rates,
            commitments=self.commitments,
            services=self.services,
        )

    def books(self, since: datetime) -> FinalBooks:
        """The final periods since a time, as they are corrected."""
        effects = {
            effect: sums
            for effect, sums in effects_of(self.entries).items()
            if effect.effective_time >= since
        }
        return FinalBooks(
            state=with_standing(rewound(self.state(since), since, effects)),
            since=since,
            closed=self.closed,
            effects=effects,
            booked={key: sums for key, sums in self.booked.items() if key.origin_start >= since},
        )

    def correct(self, since: datetime) -> Correction:
        """Take in what changed since a time, and book the difference."""
        books = self.books(since)
        found = correction(books)
        self._save_standing(books.state, since)
        self.corrected += 1
        self._post(in_posting_order(found.movements, self.corrected), found.opened)
        self.lines += [
            replace(line, id=RatableSummaryId(UUID(int=self.corrected))) if line.corrects else line
            for line in found.changes
        ]
        return found

    @property
    def booked(self) -> Mapping[UsageKey, Booked]:
        """The sums of each line and of its corrections."""
        found: dict[UsageKey, list[RatableLine]] = {}
        for line in self.lines:
            found.setdefault(line.key.usage, []).append(line)
        return {key: _booked(of_usage) for key, of_usage in found.items()}

    @property
    def owed(self) -> Decimal:
        """All amounts that were booked."""
        return sum((line.amount for line in self.lines if line.amount is not None), ZERO)

    def left(self, instant: datetime) -> list[int]:
        """The balances of the grants that are open at a time, without the empty ones."""
        return sorted(
            int(one.balance) for one in self.grants.values() if one.is_open(instant) and one.balance
        )

    def check(self) -> None:
        """Compare everything with a wallet in which all was known in time."""
        state = self.state(self.periods[0].start)
        final = [one for one in self.cells.values() if one.period.end <= self.closed]
        unissued = replace(state, grants=(), entitlements=self.held)
        anew = walked(unissued, final, through=self.closed)

        due = {one.id: one.balance for one in anew.grants if one.balance}
        assert {one.id: one.balance for one in self.grants.values() if one.balance} == due
        assert effects_of(self.entries) == effects_of(anew.movements)
        lines = {line.key.usage: _figures(line) for line in rated(state, anew.results)}
        is_ = {
            key: (one.used, one.drawn, one.overage, one.amount) for key, one in self.booked.items()
        }
        assert {key: one for key, one in is_.items() if any(one) or key in lines} == lines
        assert check_chain(self.entries) is None
        causes = [
            (one.cause_kind, one.cause_id, one.cause_revision, one.leg) for one in self.entries
        ]
        assert len(set(causes)) == len(causes)
        assert all(one.wallet_after >= 0 and one.grant_after >= 0 for one in self.entries)

    def _save_standing(self, state: WalletState, since: datetime) -> None:
        """Keep the cells with which periods begin after `since`, up to the first open one."""
        ended = [
            key for key, one in self.cells.items() if is_standing(one) and one.period.start > since
        ]
        for key in ended:
            del self.cells[key]
        self.use(*(one for one in state.cells if is_standing(one) and one.period.start > since))

    def _post(self, movements: Iterable[Movement], opened: Iterable[Grant]) -> None:
        posting = post(self.head, self.heads.values(), movements)
        self.head, self.entries = posting.head, self.entries + posting.entries
        self.heads |= {head.grant_id: head for head in posting.grant_heads}
        self.grants |= {one.id: one for one in opened}
        self.grants = {
            key: one.holding(self.heads[key].balance) for key, one in self.grants.items()
        }


def _figures(line: RatableLine) -> tuple[Decimal, Decimal, Decimal, Decimal | None]:
    return line.used, line.drawn, line.overage, line.amount


def _booked(lines: list[RatableLine]) -> Booked:
    amounts = [line.amount for line in lines if line.amount is not None]
    first = lines[0]
    return Booked(
        id=first.id,
        asset_number=first.key.asset_number,
        used=sum((line.used for line in lines), ZERO),
        drawn=sum((line.drawn for line in lines), ZERO),
        overage=sum((line.overage for line in lines), ZERO),
        amount=sum(amounts, ZERO) if amounts else None,
        unit=first.terms.unit if first.terms else USD,
        version=first.version,
        failure=first.failure or "",
        billed_from=first.key.origin_start,
    )


def closed(*cells, months=1, **more) -> Books:
    """A wallet with this usage, whose first periods are closed."""
    books = Books(**{"periods": PERIODS, "rates": at()} | more)
    books.use(*cells)
    books.close(months)
    return books


def figures(lines):
    return [(one.used, one.drawn, one.overage, one.amount) for one in lines]
