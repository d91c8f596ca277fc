"""The order in which usage arrives changes neither what is owed nor what is left."""

from hypothesis import given, settings

from tests.oracle import cases
from tests.oracle.compare import assert_moved_alike, assert_same
from tests.oracle.ledger import Ledger
from tests.oracle.naive import account


def arrive(ledger: Ledger, act: cases.Act) -> None:
    match act.kind:
        case "record":
            ledger.record(act.record)
        case "amend":
            ledger.amend(act.record)
        case _:
            ledger.void(act.record.id)


@settings(max_examples=300)
@given(cases.histories())
def test_any_history_comes_to_what_its_remaining_records_come_to(history):
    ledger = Ledger(history.plan)
    for month, batch in enumerate(history.batches):
        for place, act in enumerate(batch):
            arrive(ledger, act)
            if (month, place) in history.taken:
                ledger.take_in()
        if month < history.plan.months:
            ledger.close(month)
    ledger.take_in()
    ledger.bill()

    found, due = ledger.account(), account(history.plan, history.remaining)

    ledger.check()
    assert_same(history.plan, found, due)
    assert_moved_alike(history.plan, found, due)
