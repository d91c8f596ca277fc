"""The four scenarios of a changed past, as the domain books them."""

from decimal import Decimal

import pytest

from tests.oracle import scenarios
from tests.oracle.compare import assert_same
from tests.oracle.ledger import Ledger
from tests.oracle.naive import account
from tests.oracle.scenarios import Scenario


def closed(scenario: Scenario) -> Ledger:
    """Return a ledger that was closed with what is in time."""
    ledger = Ledger(scenario.plan)
    for record in scenario.in_time:
        ledger.record(record)
    for month in range(scenario.plan.months):
        ledger.close(month)
    return ledger


def change(ledger: Ledger, scenario: Scenario) -> dict[str, list[tuple[int, int, Decimal]]]:
    """Let the past change; return the booked differences: asset, month of origin, and amount."""
    before = {name: len(purse.lines) for name, purse in ledger.purses.items()}
    if scenario.changed in scenario.in_time:
        ledger.void(scenario.changed.id)
    else:
        ledger.record(scenario.changed)
    ledger.take_in()
    ledger.bill()
    ledger.check()
    due = account(scenario.plan, scenarios.changed(scenario.in_time, scenario.changed))
    assert_same(ledger.account(), due)
    return {
        name: [
            (line.key.asset_number, line.key.origin_start.month, line.amount)
            for line in purse.lines[before[name] :]
        ]
        for name, purse in ledger.purses.items()
    }


def expired(ledger: Ledger, wallet: str = "usage") -> int:
    moved = ledger.account().moved.items()
    return int(
        sum(-amount for (key, kind), amount in moved if (key[0], kind) == (wallet, "expired"))
    )


def balance(ledger: Ledger, wallet: str = "usage") -> Decimal:
    return ledger.purses[wallet].head.balance


def test_scenario_a_march_opens_with_110_instead_of_130():
    scenario = scenarios.a()
    ledger = closed(scenario)
    assert (balance(ledger), expired(ledger)) == (130, 20)

    change(ledger, scenario)

    assert (balance(ledger), expired(ledger)) == (110, 0)


def test_scenario_b_is_booked_as_70_tokens_and_10_dollars_less():
    scenario = scenarios.b()
    ledger = closed(scenario)
    assert expired(ledger, "credits") == 0

    lines = change(ledger, scenario)

    assert lines == {"usage": [(1, 1, -70)], "credits": [(1, 1, -10)]}
    assert (expired(ledger, "credits"), balance(ledger, "credits")) == (20, 100)


def test_scenario_c_is_booked_as_1200_more_for_the_asset_that_used_more():
    scenario = scenarios.c()
    ledger = closed(scenario)

    assert change(ledger, scenario) == {"usage": [(1, 1, 1200)]}


@pytest.mark.parametrize(
    ("count", "gone", "lines", "left"),
    [
        (1, (10, 35), [(1, 1, 0)], 100),
        (None, (0, 0), [(1, 1, 0), (1, 3, -10)], 115),
    ],
)
def test_scenario_d_expires_more_or_is_booked_as_10_less_for_march(count, gone, lines, left):
    scenario = scenarios.d(count)
    ledger = closed(scenario)
    assert expired(ledger) == gone[0]

    assert change(ledger, scenario) == {"usage": lines}

    assert (expired(ledger), balance(ledger)) == (gone[1], left)
