"""The order in which usage arrives changes neither what is owed nor what is left."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.oracle import cases
from tests.oracle.compare import assert_moved_alike, assert_same, assert_same_so_far
from tests.oracle.ledger import Ledger
from tests.oracle.naive import account
from tests.oracle.plans import Plan, month_of


def arrive(ledger: Ledger, act: cases.Act) -> None:
    match act:
        case cases.TAKE_IN:
            ledger.take_in()
            compare_final(ledger)
        case cases.INVOICE:
            ledger.invoice()
        case cases.Act(kind="record"):
            ledger.record(act.record)
        case cases.Act(kind="amend"):
            ledger.amend(act.record)
        case cases.Act(kind="void"):
            ledger.void(act.record.id)
        case cases.Act(kind="sell"):
            ledger.sell(act.wallet, act.sold)
        case cases.Act(kind="price"):
            ledger.price(act.wallet, act.asset, act.terms)


def live(ledger: Ledger, history: cases.History) -> None:
    """Let a history happen."""
    batches = [list(batch) for batch in history.batches]
    for month, early in enumerate(history.early):
        for act in batches[month]:
            arrive(ledger, act)
        ledger.close_usage(month)
        for act in batches[month + 1][:early]:
            arrive(ledger, act)
        batches[month + 1][:early] = []
        ledger.close_tokens(month)
    for act in batches[-1]:
        arrive(ledger, act)
    ledger.take_in()
    ledger.bill()


def compare_final(ledger: Ledger) -> None:
    """Compare the months that are final, when nothing is pending and all wallets have the same."""
    ledger.check()
    [final, *others] = {purse.final for purse in ledger.purses.values()}
    if others or not final:
        return
    plan = ledger.plan._replace(months=final)
    due = account(
        plan, [one for one in ledger.records.values() if month_of(one.time.date()) < final]
    )
    found = ledger.account()
    assert_same_so_far(found, due)
    assert_moved_alike(plan, found, due)


@pytest.mark.parametrize("kind", cases.KINDS)
@settings(max_examples=cases.EXAMPLES)
@given(data=st.data())
def test_any_history_comes_to_what_its_remaining_records_come_to(kind, data):
    history = data.draw(cases.histories(kind))
    at_once = data.draw(st.sampled_from([1, 2, 100]))
    ledger = Ledger(history.sold_first, reopens=history.reopens, months_at_once=at_once)

    live(ledger, history)

    found, due = ledger.account(), account(history.plan, history.records)
    ledger.check()
    assert_same(found, due)
    assert_moved_alike(history.plan, found, due)


class Arrivals(RuleBasedStateMachine):
    """Records of a plan arrive, change and go, months become final, in any order."""

    @initialize(plan=cases.plans(), reopens=st.booleans(), at_once=st.sampled_from([1, 2, 100]))
    def begin(self, plan: Plan, reopens: bool, at_once: int) -> None:
        self.plan = plan
        self.ledger = Ledger(plan, reopens=reopens, months_at_once=at_once)
        self.final = 0

    @rule(data=st.data())
    def record(self, data: st.DataObject) -> None:
        self.ledger.record(data.draw(cases.records(self.plan, str(len(self.ledger.known)))))

    @precondition(lambda self: self.ledger.records)
    @rule(data=st.data())
    def amend(self, data: st.DataObject) -> None:
        old = self.ledger.records[data.draw(st.sampled_from(sorted(self.ledger.records)))]
        new = data.draw(cases.records(self.plan, old.id, old.asset))
        self.ledger.amend(new._replace(wallet=old.wallet))

    @precondition(lambda self: self.ledger.records)
    @rule(data=st.data())
    def void(self, data: st.DataObject) -> None:
        self.ledger.void(data.draw(st.sampled_from(sorted(self.ledger.records))))

    @precondition(lambda self: self.final < self.plan.months)
    @rule(takes_in=st.booleans())
    def close(self, takes_in: bool) -> None:
        if takes_in:
            self.ledger.take_in()
        self.ledger.close(self.final)
        self.final += 1

    @rule()
    def invoice(self) -> None:
        self.ledger.invoice()

    @rule()
    def take_in(self) -> None:
        self.ledger.take_in()
        compare_final(self.ledger)

    @rule()
    def take_in_again(self) -> None:
        """Nothing is left to correct after a correction."""
        self.ledger.take_in()
        before = self._sizes()
        self.ledger.pending = dict.fromkeys(self.ledger.purses, 0)
        self.ledger.take_in()
        assert self._sizes() == before

    def _sizes(self) -> list[tuple[int, int]]:
        purses = self.ledger.purses.values()
        return [(len(purse.entries), len(purse.lines)) for purse in purses]

    @invariant()
    def the_ledgers_are_whole(self) -> None:
        if hasattr(self, "ledger"):
            self.ledger.check()

    def teardown(self) -> None:
        if not hasattr(self, "ledger"):
            return
        for month in range(self.final, self.plan.months):
            self.ledger.close(month)
        self.ledger.take_in()
        self.ledger.bill()
        assert_same(self.ledger.account(), account(self.plan, self.ledger.records.values()))


TestArrivals = Arrivals.TestCase
TestArrivals.settings = settings(max_examples=cases.EXAMPLES // 2, stateful_step_count=20)
