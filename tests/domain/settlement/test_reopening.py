"""Closing a period that was reopened: its movements were reversed and are made again."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from server.domain.consumption.aggregation import increments
from server.domain.modeling.policies import AggregationMethod, AggregationPolicy, RolloverPolicy
from server.domain.settlement.ledger import CauseKind, Head, post, reversals
from server.domain.settlement.walk import WalletTerms, revised, settle
from tests import strategies
from tests.strategies import WALLET, cell, entitlement, grant

TERMS = WalletTerms(
    id=WALLET, zone="UTC", aggregation=AggregationPolicy.usual(AggregationMethod.SUM)
)
JANUARY, FEBRUARY, MARCH = strategies.months("UTC", 3)


def day(month, number):
    return datetime(2024, month, number, tzinfo=UTC)


def walk(cells, held=(), grants=(), *, through=JANUARY.end):
    found = increments(cells, TERMS.aggregation, zone="UTC")
    return settle(TERMS, grants, held, found, through=through)


def reopened(settlement):
    """Return the grants after all but the issues of a close was reversed, and the posting."""
    posting = post(Head(wallet_id=WALLET), (), settlement.movements)
    kept = [entry for entry in posting.entries if entry.cause_kind is not CauseKind.ISSUE]
    undone = post(posting.head, posting.grant_heads, reversals(kept[::-1]))
    balances = {head.grant_id: head.balance for head in posting.grant_heads}
    balances |= {head.grant_id: head.balance for head in undone.grant_heads}
    return [one.holding(balances[one.id]) for one in settlement.grants], undone


@pytest.mark.parametrize(("used", "rolled", "most"), [(10, 90, 90), (60, 40, 40), (95, 5, 40)])
def test_a_remainder_that_rolls_again_fills_the_grant_that_it_opened_before(used, rolled, most):
    """60 used rolled 40; with another quantity the same grant holds what is left then."""
    held = entitlement(rollover=RolloverPolicy(max_count=1), end=date(2025, 1, 1))
    first = walk([cell("jan", 60, day(1, 10), period=JANUARY)], [held])
    grants, undone = reopened(first)

    again = revised(
        walk(
            [cell("jan", used, day(1, 10), period=JANUARY)],
            [replace(held, next_index=2)],
            grants,
        ),
        1,
    )

    [successor] = [one for one in again.grants if one.rollovers]
    assert (successor.balance, successor.quantity, successor.start) == (rolled, most, day(2, 1))
    assert again.opened == ()
    assert {move.cause_revision for move in again.movements} == {2}
    assert post(undone.head, undone.grant_heads, again.movements).head.balance == 100 + rolled


def test_every_reopening_has_a_revision_of_its_own_and_issues_keep_theirs():
    held = entitlement(end=date(2025, 1, 1))
    settlement = walk([cell("jan", 60, day(1, 10), period=JANUARY)], [held])

    def revisions(count):
        moves = revised(settlement, count).movements
        return {(move.cause_kind is CauseKind.ISSUE, move.cause_revision) for move in moves}

    assert [revisions(count) for count in range(4)] == [
        {(True, 0), (False, 0)},
        {(True, 0), (False, 2)},
        {(True, 0), (False, 4)},
        {(True, 0), (False, 6)},
    ]


def test_late_usage_that_is_drawn_after_the_balance_is_asked_for_has_the_issues_until_then():
    """On 5 February late usage of January is drawn on the 29th, when a pack of the 10th is open."""
    pack = entitlement(quantity=50, start=date(2024, 2, 10), refresh=None)
    late = cell("late", 30, day(1, 5), period=FEBRUARY, origin=JANUARY)

    settlement = walk([late], [pack], through=day(2, 5))

    [result] = settlement.results
    assert (result.drawn, result.overage) == (30, 0)
    assert [one.balance for one in settlement.grants] == [20]


def test_grants_are_listed_by_their_start():
    grants = [grant(name, 1, day(1, name)) for name in range(1, 9)]

    assert walk([], grants=grants[::-1]).grants == tuple(grants)
