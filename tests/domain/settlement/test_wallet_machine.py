"""One wallet, lived through day by day, against a model a child could keep.

The model holds a list of [first day, last day, rolled how often, left] and moves one day at a time.
It knows nothing of anchors, increments or walks.
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
from server.domain.consumption.aggregation import AggregationPolicy, increments
from server.domain.consumption.cells import Cell
from server.domain.modeling.policies import AggregationMethod, RolloverPolicy
from server.domain.settlement.ledger import Head, check_chain, post
from server.domain.settlement.walk import WalletTerms, settle
from tests import strategies
from tests.strategies import WALLET, cell, entitlement

ZONE = "Europe/Berlin"
TERMS = WalletTerms(
    id=WALLET, zone=ZONE, aggregation=AggregationPolicy.usual(AggregationMethod.SUM)
)
PERIODS = strategies.months(ZONE, 12)
MONTH = 100


class WalletMachine(RuleBasedStateMachine):
    """Use, let days pass, arrive late, finalise months; compare after every step."""

    @initialize(limit=st.none() | st.integers(0, 2))
    def begin(self, limit):
        self.limit = limit
        policy = RolloverPolicy(max_count=limit)
        self.held = entitlement(quantity=MONTH, rollover=policy, end=date(2025, 1, 1))
        self.today = date(2024, 1, 1)
        self.model = [[self._month_end(self.today), 0, MONTH]]
        self.overage = 0
        self.cells: list[Cell] = []
        self.final: list[Cell] = []
        self.grants, self.final_overage = (), Decimal(0)
        self.head, self.heads, self.entries = Head(wallet_id=WALLET), {}, ()
        self.months_final = 0

    @rule(quantity=st.integers(1, 90))
    def use(self, quantity):
        self._spend(quantity)
        self._record(quantity, self.today, self.today.month - 1)

    @rule(days=st.integers(1, 45))
    def pass_days(self, days):
        for _ in range(days):
            if self.today < date(2024, 12, 30):
                self._tomorrow()

    @precondition(lambda self: self.months_final >= 1)
    @rule(quantity=st.integers(1, 90), data=st.data())
    def arrive_late(self, quantity, data):
        # Handled in today's period, on its last day: only then is the model sure of the order.
        if (self.today + timedelta(days=1)).day != 1 or self.today.month - 1 < self.months_final:
            return
        month = data.draw(st.integers(0, self.months_final - 1))
        self._spend(quantity)
        self._record(quantity, date(2024, month + 1, 5), self.today.month - 1)
        self._tomorrow()

    @precondition(lambda self: self.today.month - 1 > self.months_final)
    @rule()
    def finalise(self):
        period = PERIODS[self.months_final]
        mine = [one for one in self.cells if one.period == period]
        found = increments(mine, TERMS.aggregation, zone=ZONE, settled=self.final)
        settlement = settle(TERMS, self.grants, [self.held], found, through=period.end)
        posting = post(self.head, self.heads.values(), settlement.movements)
        self.head, self.entries = posting.head, self.entries + posting.entries
        self.heads |= {head.grant_id: head for head in posting.grant_heads}
        self.grants = settlement.grants
        self.final_overage += sum((r.overage for r in settlement.results), Decimal(0))
        self.final += mine
        self.cells = [one for one in self.cells if one.period != period]
        self.months_final += 1

    @invariant()
    def the_balance_is_the_models(self):
        now = local_midnight(ZONE, self.today)
        found = increments(self.cells, TERMS.aggregation, zone=ZONE, settled=self.final)
        live = settle(TERMS, self.grants, [self.held], found, through=now)

        held = [g for g in live.grants if g.is_open(now) and g.balance]
        overage = self.final_overage + sum((r.overage for r in live.results), Decimal(0))
        assert sum(g.balance for g in held) == sum(left for _, _, left in self.model)
        if self.limit is not None:
            balances = sorted(int(g.balance) for g in held)
            assert balances == sorted(left for _, _, left in self.model if left)
        assert overage == self.overage

    @invariant()
    def the_ledger_agrees_with_the_grants(self):
        assert self.head.balance == sum((g.balance for g in self.grants), Decimal(0))

    def teardown(self):
        if hasattr(self, "entries"):
            assert check_chain(self.entries) is None

    def _record(self, quantity, day, handled_in):
        start = local_midnight(ZONE, day)
        origin, name = PERIODS[day.month - 1], len(self.cells) + len(self.final)
        self.cells.append(cell(name, quantity, start, period=PERIODS[handled_in], origin=origin))

    def _spend(self, quantity):
        for item in sorted(self.model, key=lambda item: (item[0], -item[1])):
            spent = min(item[2], quantity)
            item[2] -= spent
            quantity -= spent
        self.overage += quantity

    def _tomorrow(self):
        self.today += timedelta(days=1)
        if self.today.day != 1:
            return
        end = self._month_end(self.today)
        kept = [
            [end, rolls + 1, left]
            for _, rolls, left in self.model
            if left and (self.limit is None or rolls < self.limit)
        ]
        self.model = [*kept, [end, 0, MONTH]]

    @staticmethod
    def _month_end(day):
        return (day.replace(day=28) + timedelta(days=4)).replace(day=1)


TestWallet = WalletMachine.TestCase
TestWallet.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
