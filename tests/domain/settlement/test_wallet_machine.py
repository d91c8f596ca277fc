"""One wallet, lived through day by day, against a model a child could keep.

The model holds a list of [the day it ends, rolled how often, left] and moves one day at a time
over all that was used so far. It knows nothing of anchors, increments, walks or corrections.
"""

from datetime import date, timedelta
from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from server.domain.calendar import local_midnight
from server.domain.exact import ZERO
from server.domain.modeling.policies import RolloverPolicy
from server.domain.rating.rates import RateSegment
from server.domain.settlement.wallet_states import walked
from tests import strategies
from tests.domain.settlement.correction_words import Books, voided
from tests.strategies import ASSET, cell, entitlement, terms

ZONE = "Europe/Berlin"
PERIODS = strategies.months(ZONE, 12)
MONTH = 100


class WalletMachine(RuleBasedStateMachine):
    """Use, let days pass, arrive late, void, finalise months; compare after every step."""

    @initialize(limit=st.none() | st.integers(0, 2))
    def begin(self, limit):
        self.limit = limit
        policy = RolloverPolicy(max_count=limit)
        held = entitlement(quantity=MONTH, rollover=policy, end=date(2025, 1, 1))
        segment = RateSegment(start=PERIODS[0].start, terms=terms("1"))
        self.books = Books(periods=PERIODS, held=(held,), rates={ASSET: (segment,)}, zone=ZONE)
        self.today = date(2024, 1, 1)
        self.used: list[tuple[date, int]] = []

    @rule(quantity=st.integers(1, 90))
    def use(self, quantity):
        self._record(quantity, self.today)

    @rule(days=st.integers(1, 45))
    def pass_days(self, days):
        self.today = min(self.today + timedelta(days=days), date(2024, 12, 30))

    @precondition(lambda self: self.books.months_final >= 1)
    @rule(quantity=st.integers(1, 90), data=st.data())
    def arrive_late(self, quantity, data):
        month = data.draw(st.integers(1, self.books.months_final))
        self._record(quantity, date(2024, month, data.draw(st.integers(1, 28))))

    @precondition(lambda self: any(quantity for _, quantity in self.used))
    @rule(data=st.data())
    def void(self, data):
        left = [n for n, (_, quantity) in enumerate(self.used) if quantity]
        number = data.draw(st.sampled_from(left))
        day, quantity = self.used[number]
        self.used[number] = (day, 0)
        self._keep(voided(self._cell(number, quantity, day)))

    @precondition(lambda self: self.today.month - 1 > self.books.months_final)
    @rule()
    def finalise(self):
        self.books.close()

    @invariant()
    def the_balance_is_the_models(self):
        now = local_midnight(ZONE, self.today)
        state = self.books.state(self._first_open)
        live = walked(state, state.cells, through=now)
        model, overage = self._modeled()

        held = [g for g in live.grants if g.is_open(now) and g.balance]
        found = self.books.owed + sum((r.overage for r in live.results), ZERO)
        assert sum(g.balance for g in held) == sum(left for _, _, left in model)
        if self.limit is not None:
            balances = sorted(int(g.balance) for g in held)
            assert balances == sorted(left for _, _, left in model if left)
        assert found == overage

    @invariant()
    def the_ledger_agrees_with_the_grants(self):
        balances = (grant.balance for grant in self.books.grants.values())
        assert self.books.head.balance == sum(balances, Decimal(0))

    def teardown(self):
        if hasattr(self, "books") and self.books.months_final:
            self.books.check()

    @property
    def _first_open(self):
        return PERIODS[self.books.months_final].start

    @staticmethod
    def _cell(number, quantity, day):
        start, period = local_midnight(ZONE, day), PERIODS[day.month - 1]
        return cell(number, quantity, start, period=period)

    def _record(self, quantity, day):
        self.used.append((day, quantity))
        self._keep(self._cell(len(self.used) - 1, quantity, day))

    def _keep(self, one):
        self.books.use(one)
        if one.period.start < self._first_open:
            self.books.correct(one.period.start)

    def _modeled(self):
        """Return the grants of today, and all that nothing paid for."""
        day, overage = date(2024, 1, 1), 0
        model = [[self._month_end(day), 0, MONTH]]
        while True:
            quantity = sum(quantity for on, quantity in self.used if on == day)
            for item in sorted(model, key=lambda item: (item[0], -item[1])):
                spent = min(item[2], quantity)
                item[2] -= spent
                quantity -= spent
            overage += quantity
            if day == self.today:
                return model, overage
            day += timedelta(days=1)
            if day.day == 1:
                model = self._rolled(day, model)

    def _rolled(self, day, model):
        end = self._month_end(day)
        kept = [
            [end, rolls + 1, left]
            for _, rolls, left in model
            if left and (self.limit is None or rolls < self.limit)
        ]
        return [*kept, [end, 0, MONTH]]

    @staticmethod
    def _month_end(day):
        return (day.replace(day=28) + timedelta(days=4)).replace(day=1)


TestWallet = WalletMachine.TestCase
TestWallet.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
