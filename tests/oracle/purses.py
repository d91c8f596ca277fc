"""A purse: one wallet as a store keeps it, in memory, and what a close or a correction adds."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain

from server.domain.billing.closing import (
    Bill,
    WalletCalendar,
    billed_keys,
    invoice_ready,
)
from server.domain.billing.corrections import Booked, Correction, in_next_period, in_place
from server.domain.billing.liable_lines import NOTHING, Billed, BilledKey, LiableLine
from server.domain.calendar import Period
from server.domain.consumption.cells import Cell
from server.domain.exact import EXACT, ZERO
from server.domain.ids import CellId, CorrectionId, EntitlementId, GrantId, derive
from server.domain.selling.grants import Entitlement, Grant, due_issues
from server.domain.settlement.ledger import (
    CauseKind,
    GrantHead,
    Head,
    LedgerEntry,
    Movement,
    post,
)
from server.domain.settlement.ratable_lines import RatableLine, UsageKey
from server.domain.settlement.rewinding import (
    BOUNDARY_LEGS,
    Moved,
    MovementKey,
    Span,
    counts_since,
    in_posting_order,
)
from server.domain.settlement.standing import is_standing
from server.domain.settlement.walk import Settlement, opening
from server.domain.settlement.wallet_states import WalletState
from tests.oracle import plans, states
from tests.oracle.plans import month_of

PLACES = 2


@dataclass
class Purse:
    """One wallet: its grants, ledger, cells and lines, and how many of its months are final.

    `state` has what is sold. `tokens` are the cells of tokens that the usage of each other wallet
    costs, and `standing` those with which months begin. What changes is booked in the next billing
    period, unless the wallet `reopens` billing periods that are not `invoiced`.
    """

    wallet: plans.Wallet
    calendar: WalletCalendar
    state: WalletState
    head: Head
    grants: dict[GrantId, Grant] = field(default_factory=dict)
    heads: dict[GrantId, GrantHead] = field(default_factory=dict)
    entries: list[LedgerEntry] = field(default_factory=list)
    next_index: dict[EntitlementId, int] = field(default_factory=dict)
    standing: dict[int, tuple[Cell, ...]] = field(default_factory=dict)
    tokens: dict[str, dict[CellId, Cell]] = field(default_factory=dict)
    seen: dict[CellId, Cell] = field(default_factory=dict)
    lines: list[RatableLine] = field(default_factory=list)
    bills: dict[Period, list[LiableLine]] = field(default_factory=dict)
    invoiced: set[Period] = field(default_factory=set)
    reopens: bool = False
    corrections: int = 0
    final: int = 0

    @property
    def entitlements(self) -> tuple[Entitlement, ...]:
        """The entitlements, with the first of their issues that is not posted."""
        return tuple(
            replace(one, next_index=self.next_index.get(one.id)) for one in self.state.entitlements
        )

    @property
    def closed(self) -> datetime:
        """The end of the last final month."""
        return states.period(self.final - 1).end

    def load(self, known: Iterable[Cell], since: int) -> WalletState:
        """Return the wallet with the cells of its months from `since` on.

        `known` are the cells of all records; those whose records are gone are empty.
        """
        now = {cell.id: cell for cell in known}
        self.seen |= now
        gone = [emptied(cell) for key, cell in self.seen.items() if key not in now]
        begun = (cell for cells in self.standing.values() for cell in cells)
        first = states.period(since)
        tokens = (cell for own in self.tokens.values() for cell in own.values())
        cells = (*begun, *now.values(), *gone, *tokens)
        return replace(
            self.state,
            grants=tuple(self.grants.values()),
            entitlements=self.entitlements,
            cells=tuple(cell for cell in cells if cell.period.start >= first.start),
            period=states.period(self.final),
        )

    def issue(self, through: datetime) -> None:
        """Post the issues that are due, as the job that refreshes grants does."""
        due = due_issues(self.entitlements, states.ZONE, through=through)
        self.post([opening(issue) for issue in due], due)

    def post(self, movements: Iterable[Movement], opened: Iterable[Grant]) -> None:
        """Chain movements onto the ledger, and give all grants their new balances."""
        posting = post(self.head, self.heads.values(), movements)
        self.head = posting.head
        self.entries += posting.entries
        for grant in opened:
            assert grant.id not in self.grants, grant
            self.grants[grant.id] = grant
            if grant.rollovers == 0:
                after = max(self.next_index.get(grant.entitlement_id, 0), grant.index + 1)
                self.next_index[grant.entitlement_id] = after
        for head in posting.grant_heads:
            self.heads[head.grant_id] = head
            self.grants[head.grant_id] = self.grants[head.grant_id].holding(head.balance)

    def close(
        self, settlement: Settlement, lines: Iterable[RatableLine], following: tuple[Cell, ...]
    ) -> None:
        """Make the next month final."""
        self.post(settlement.movements, settlement.opened)
        self.lines += lines
        self.final += 1
        self.standing[self.final] = following

    def correct(self, slices: Sequence[Correction]) -> None:
        """Book a correction: post its movements, and book the lines that changed."""
        self.corrections += 1
        movements = chain.from_iterable(fixed.movements for fixed in slices)
        opened = chain.from_iterable(fixed.opened for fixed in slices)
        self.post(in_posting_order(movements, self.corrections), opened)
        correction_id = CorrectionId(derive(self.state.terms.id, "correction", self.corrections))
        lines = [line for fixed in slices for line in fixed.lines]
        whole = {line.key.usage: line for line in lines}
        again: set[Period] = set()
        for change in chain.from_iterable(fixed.changes for fixed in slices):
            start = max(change.key.origin_start, self.calendar.service_start)
            line = replace(change, billed_from=change.billed_from or start)
            billing = self.calendar.origin_of(line.billed_from)
            if self.reopens and billing not in self.invoiced:
                replacing = in_place(line, whole)
                self.lines = [one for one in self.lines if one.id != replacing.id]
                self.lines.append(replacing)
                again.add(billing)
            else:
                handling = states.period(self.final)
                self.lines.append(in_next_period(line, handling, correction_id))
        # Cells are linked to the first line of their usage.
        assert {line.id for line in lines} <= {line.id for line in self.lines}
        for billing in again & self.bills.keys():
            self.bill(billing)

    def begin(self, cells: Iterable[Cell], after: int, through: int) -> bool:
        """Keep the cells with which the months after one begin, through another one.

        Return whether any of them changed.
        """
        before = dict(self.standing)
        for month in range(after + 1, through + 1):
            start = states.period(month).start
            due = {one.id: one for one in cells if is_standing(one) and one.period.start == start}
            # A series that holds nothing any more keeps its cell, as it does in the store.
            held = (_nothing_held(one) for one in self.standing[month] if one.id not in due)
            self.standing[month] = (*due.values(), *held)
        return self.standing != before

    def booked(self, span: Span) -> dict[UsageKey, Booked]:
        """Return the sums of the lines of the usage of some months."""
        found: dict[UsageKey, Booked] = {}
        for line in self.lines:
            key = line.key.usage
            if not span.since <= key.origin_start < (span.until or self.closed):
                continue
            assert line.amount is not None, line
            before = found.get(key)
            found[key] = Booked(
                id=before.id if before else line.id,
                asset_number=line.key.asset_number,
                used=EXACT.add(before.used if before else ZERO, line.used),
                drawn=EXACT.add(before.drawn if before else ZERO, line.drawn),
                overage=EXACT.add(before.overage if before else ZERO, line.overage),
                amount=EXACT.add((before.amount if before else None) or ZERO, line.amount),
                unit=states.unit(self.wallet),
                version=line.version,
                failure="",
                billed_from=max(key.origin_start, self.calendar.service_start),
            )
        return found

    def effects(self, span: Span) -> Mapping[MovementKey, Moved]:
        """Return the sums of all movements that count in some months."""
        found: dict[MovementKey, Moved] = {}
        for entry in self.entries:
            is_boundary = entry.cause_kind is CauseKind.BOUNDARY
            leg = entry.leg % BOUNDARY_LEGS if is_boundary else 0
            cause = (entry.effective_time, entry.cause_kind, entry.cause_id)
            effect = MovementKey(*cause, leg, entry.grant_id)
            paid = ZERO
            if entry.cause_kind is CauseKind.CELL:
                paid = -entry.amount if entry.covered is None else entry.covered
            before = found.get(effect, Moved())
            amount = EXACT.add(before.amount, entry.amount)
            found[effect] = Moved(amount=amount, paid=EXACT.add(before.paid, paid))
        return {
            effect: moved
            for effect, moved in found.items()
            if (moved.amount or moved.paid)
            and counts_since(effect, span.since)
            and not (span.until and counts_since(effect, span.until))
        }

    def bill(self, period: Period) -> None:
        """Make the lines of a billing period, or make them again."""
        bill = Bill(
            wallet_id=self.state.terms.id,
            calendar=self.calendar,
            period=period,
            currency_code=states.DOLLARS,
            places=PLACES,
        )
        assert period not in self.invoiced, period
        self.bills.pop(period, None)
        lines = bill.owed(one for one in self.lines if period.contains(one.key.period_start))
        billed = self.billed
        before = {key: billed[key] for key in billed_keys(bill, lines)}
        self.bills[period] = [one.line for one in invoice_ready(bill, lines, before)]

    @property
    def billed(self) -> dict[BilledKey, Billed]:
        """The sums of all bills, by the asset and the billing period of its usage."""
        found: dict[BilledKey, Billed] = defaultdict(lambda: NOTHING)
        for lines in self.bills.values():
            for line in lines:
                exact, amount = found[line.key.billed_key]
                found[line.key.billed_key] = Billed(
                    EXACT.add(exact, line.exact_amount), EXACT.add(amount, line.amount)
                )
        return found

    def month_billed(self, key: BilledKey) -> tuple[str, int, int]:
        """Return the model's key of a billing period."""
        asset_id, end = key
        [number] = [one for one in self.wallet.prices if states.asset_id(one) == asset_id]
        months = self.calendar.billing.months
        return self.wallet.name, number, month_of(end.date()) // months - 1


def emptied(cell: Cell) -> Cell:
    """Return a cell whose records are all gone."""
    measure = replace(cell.measure, sum=ZERO, count=0, max=ZERO, min=ZERO, last=ZERO, held=ZERO)
    return replace(cell, measure=measure, is_empty=True)


def _nothing_held(cell: Cell) -> Cell:
    return replace(cell, measure=replace(cell.measure, max=ZERO, min=ZERO, last=ZERO))
