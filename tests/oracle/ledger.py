"""A ledger: an account that keeps what a store would keep, in memory.

`close` makes a month final and `take_in` takes in what changed in final months, both by the
domain's own functions. What is known of the usage is always everything that has arrived.
"""

from decimal import Decimal
from fractions import Fraction
from itertools import chain

from server.domain.billing.closing import closing
from server.domain.billing.corrections import Correction, FinalBooks, cells_to_save, correction
from server.domain.exact import EXACT, ZERO
from server.domain.ids import GrantId
from server.domain.selling.grants import Grant
from server.domain.settlement.ledger import Head, LedgerEntry, check_chain
from server.domain.settlement.rewinding import (
    PeriodSize,
    Span,
    continued,
    keeps_balances,
    less,
    rewound,
    spans,
)
from server.domain.settlement.standing import standing, with_standing
from server.domain.settlement.tokens import tokens_of
from server.domain.settlement.wallet_states import WalletState
from tests.oracle import plans, states
from tests.oracle.lives import Account, GrantKey
from tests.oracle.plans import Plan, Record, month_of
from tests.oracle.purses import Purse, emptied


class Ledger:
    """All wallets of an account, and the records that it has at the moment.

    `pending` has the earliest final month of each wallet in which something changed, and
    `last_used` the last one in which usage did, or None if something else did. A correction takes
    `months_at_once`.
    """

    def __init__(self, plan: Plan, *, reopens: bool = False, months_at_once: int = 100) -> None:
        self.plan = plan
        self.months_at_once = months_at_once
        self.records: dict[str, Record] = {}
        self.known: set[str] = set()
        self.purses = {wallet.name: _purse(plan, wallet) for wallet in plan.wallets}
        self.pending: dict[str, int] = {}
        self.last_used: dict[str, int | None] = {}
        for purse in self.purses.values():
            purse.reopens = reopens

    def record(self, record: Record) -> None:
        """Accept a record. A repeat of one that is known, or was, changes nothing."""
        if record.id not in self.known:
            self.known.add(record.id)
            self.records[record.id] = record
            self._mark(record)

    def void(self, record_id: str) -> None:
        """Take a record back."""
        self._mark(self.records.pop(record_id))

    def amend(self, record: Record) -> None:
        """Let a record be another one."""
        self._mark(self.records[record.id])
        self.records[record.id] = record
        self._mark(record)

    def sell(self, name: str, held: plans.Entitlement) -> None:
        """Sell an entitlement of a wallet, from today on or from an earlier day."""
        purse = self.purses[name]
        self._plan(purse.wallet._replace(entitlements=(*purse.wallet.entitlements, held)))
        purse.issue(states.instant(plans.month_start(purse.final)))
        self._mark_month(name, month_of(held.start))

    def price(self, name: str, asset: int, terms: tuple[plans.Terms, ...]) -> None:
        """Replace the terms of an asset, from the first day on."""
        wallet = self.purses[name].wallet
        self._plan(wallet._replace(prices=wallet.prices | {asset: terms}))
        self._mark_month(name, 0)

    def close(self, month: int) -> None:
        """Make a month final in all wallets."""
        self.close_usage(month)
        self.close_tokens(month)

    def close_usage(self, month: int) -> None:
        """Make a month final in the wallets of usage that is rated in tokens."""
        self._close(month, is_in_tokens=True)

    def close_tokens(self, month: int) -> None:
        """Make a month final in the wallets that are rated in money."""
        self._close(month, is_in_tokens=False)

    def _close(self, month: int, *, is_in_tokens: bool) -> None:
        for name, purse in self.purses.items():
            if bool(purse.wallet.token) is not is_in_tokens:
                continue
            assert purse.final == month, (name, month)
            purse.issue(states.instant(plans.month_start(month + 1)))
            state = self._load(purse, month)
            ends = [self.plan.assets[number].end for number in purse.wallet.prices]
            instants = [None if end is None else states.instant(end) for end in ends]
            found = closing(state, purse.calendar, instants, states.period(month))
            purse.close(found.settlement, found.lines, found.standing)
            if purse.wallet.token:
                span = Span(states.period(month).start)
                self._pass_on(purse, state.cells, found.settlement.results, found.lines, span)
            if found.billing is not None:
                purse.bill(found.billing)

    def take_in(self) -> None:
        """Correct everything that is pending; usage comes before the tokens that it costs."""
        for name, purse in self.purses.items():
            since, last_used = self.pending.pop(name, None), self.last_used.pop(name, None)
            if since is not None and since < purse.final:
                self._correct(purse, since, last_used)
        assert not self.pending, self.pending

    def invoice(self) -> None:
        """Invoice all bills that are ready."""
        for purse in self.purses.values():
            purse.invoiced |= purse.bills.keys()

    def bill(self) -> None:
        """Bill what no bill has yet, in the first open billing period."""
        for purse in self.purses.values():
            purse.bill(purse.calendar.billing_of(states.period(purse.final)))

    def account(self) -> Account:
        """Return what is left and owed, for a comparison with the model."""
        found = Account()
        for purse in self.purses.values():
            names = {
                states.entitlement_id(purse.wallet.name, held.name): held
                for held in purse.wallet.entitlements
            }
            for grant in purse.grants.values():
                if grant.balance:
                    key = _grant_key(purse, names[grant.entitlement_id], grant)
                    assert key not in found.balances, grant
                    found.balances[key] = Fraction(grant.balance)
            for entry in purse.entries:
                grant = purse.grants[entry.grant_id]
                key = _grant_key(purse, names[grant.entitlement_id], grant)
                found.moved[key, _kind(entry)] += Fraction(entry.amount)
                if _kind(entry) == "drawn":
                    paid = -entry.amount if entry.covered is None else entry.covered
                    found.paid[key] += Fraction(paid)
            for line in purse.lines:
                assert line.amount is not None, line
                month = month_of(line.key.origin_start.date())
                found.exact[purse.wallet.name, line.key.asset_number, month] += Fraction(
                    line.amount
                )
            for billed_key, billed in purse.billed.items():
                found.rounded[purse.month_billed(billed_key)] = Fraction(billed.amount)
        return found

    def check(self) -> None:
        """Assert that every ledger is unbroken and never below zero, and agrees with its grants."""
        for purse in self.purses.values():
            assert check_chain(purse.entries) is None
            assert all(entry.grant_after >= 0 for entry in purse.entries)
            assert all(entry.wallet_after >= 0 for entry in purse.entries)
            causes = [
                (one.cause_kind, one.cause_id, one.leg, one.cause_revision) for one in purse.entries
            ]
            assert len(set(causes)) == len(causes), "a cause moves each of its legs once"
            for grant in purse.grants.values():
                head = purse.heads.get(grant.id)
                assert grant.balance == (head.balance if head else 0), grant
            assert len({line.id for line in purse.lines}) == len(purse.lines)

    def _mark(self, record: Record) -> None:
        month = month_of(record.time.date())
        if month < self.purses[record.wallet].final:
            last = self.last_used.get(record.wallet, month)
            self._mark_month(record.wallet, month)
            self.last_used[record.wallet] = None if last is None else max(month, last)

    def _mark_month(self, name: str, month: int) -> None:
        if month < self.purses[name].final:
            self.pending[name] = min(month, self.pending.get(name, month))
            self.last_used[name] = None

    def _plan(self, wallet: plans.Wallet) -> None:
        """Let a wallet be sold otherwise."""
        others = tuple(wallet if one.name == wallet.name else one for one in self.plan.wallets)
        self.plan = self.plan._replace(wallets=others)
        purse = self.purses[wallet.name]
        purse.wallet, purse.state = wallet, _purse(self.plan, wallet).state

    def _load(self, purse: Purse, since: int) -> WalletState:
        return purse.load(states.cells(purse.wallet, self.records.values()), since)

    def _correct(self, purse: Purse, month: int, last_used: int | None) -> None:
        final = range(month, purse.final)
        sizes = [PeriodSize(states.period(number).start, cells=1) for number in final]
        last = None if last_used is None else states.period(last_used).start
        slices: list[Correction] = []
        for span in spans(sizes[0].start, sizes, limit=self.months_at_once, last_used=last):
            state = self._before(purse, span, slices)
            books = FinalBooks(
                state=state,
                since=span.since,
                closed=span.until or purse.closed,
                effects=purse.effects(span),
                booked=purse.booked(span),
            )
            fixed = correction(books)
            through = month_of(span.until.date()) if span.until else purse.final
            standing_changed = purse.begin(state.cells, month_of(span.since.date()), through)
            if purse.wallet.token:
                self._pass_on(purse, fixed.cells, fixed.results, fixed.lines, span)
            slices.append(fixed)
            movements = chain.from_iterable(fixed.movements for fixed in slices)
            if not standing_changed and span.ends_after(last) and keeps_balances(movements):
                break
        purse.correct(slices)

    def _before(self, purse: Purse, span: Span, slices: list[Correction]) -> WalletState:
        """Return a wallet before some months, the months before which are corrected already."""
        state = with_standing(self._load(purse, month_of(span.since.date())), span.until)
        state = rewound(state, span.since, purse.effects(span))
        if slices:
            return continued(state, slices[-1].settlement, span.since)
        after = purse.effects(Span(span.until)) if span.until else {}
        moved: dict[GrantId, Decimal] = {}
        for effect, sums in after.items():
            moved[effect.grant_id] = EXACT.add(moved.get(effect.grant_id, ZERO), sums.amount)
        return less(state, moved)

    def _pass_on(self, purse: Purse, cells, results, lines, span: Span) -> None:
        """Replace the tokens that the usage of some months costs."""
        assert purse.wallet.token is not None
        into = self.purses[purse.wallet.token]
        payers = {states.asset_id(number): number for number in purse.wallet.prices}
        due = tokens_of(states.token_wallet(into.wallet.name), payers, cells, results, lines)
        own = into.tokens.setdefault(purse.wallet.name, {})
        # Tokens have the months of the usage that costs them.
        known = [
            cell
            for cell in own.values()
            if cell.period.start >= span.since
            and (span.until is None or cell.period.start < span.until)
        ]
        changed, gone = cells_to_save(known, [cell for _, cell in due])
        gone = tuple(cell for cell in gone if not cell.is_empty)
        own |= {cell.id: cell for cell in changed}
        own |= {cell.id: emptied(cell) for cell in gone}
        for cell in (*changed, *gone):
            self._mark_month(into.wallet.name, month_of(cell.period.start.date()))


def _purse(plan: Plan, wallet: plans.Wallet) -> Purse:
    state = WalletState(
        terms=states.terms(wallet),
        grants=(),
        entitlements=tuple(states.entitlement(wallet, held) for held in wallet.entitlements),
        cells=(),
        period=states.period(0),
        rates=states.rates(plan, wallet),
        commitments=states.commitments(wallet),
        services=states.services(plan, wallet),
    )
    return Purse(
        wallet=wallet,
        calendar=states.calendar(plan, wallet),
        state=state,
        head=Head(wallet_id=state.terms.id),
        standing={0: standing(state, (), states.period(0))},
    )


def _grant_key(purse: Purse, held: plans.Entitlement, grant: Grant) -> GrantKey:
    is_counted = held.rollover is not None and held.rollover.count is not None
    rollovers = grant.rollovers if is_counted else min(grant.rollovers, 1)
    return (purse.wallet.name, held.name, grant.start.date(), rollovers)


def _kind(entry: LedgerEntry) -> str:
    """Return the model's word for the movement of an entry, and of one that corrects it."""
    by_cause = {"ISSUE": ("issued",), "CELL": ("drawn",)}
    by_leg = by_cause.get(entry.cause_kind, ("rolled out", "rolled in", "expired"))
    return by_leg[entry.leg % len(by_leg)]
