"""Entries chain, wallet by wallet and grant by grant, and a change shows."""

from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.domain.consumption.aggregation import increments
from server.domain.modeling.policies import AggregationMethod, AggregationPolicy, RolloverPolicy
from server.domain.settlement.ledger import (
    CauseKind,
    EntryKind,
    Head,
    LedgerEntry,
    Movement,
    canonical_text,
    check_chain,
    entry_hash,
    post,
)
from server.domain.settlement.walk import WalletTerms, settle
from tests import strategies
from tests.strategies import WALLET, entitlement, grant

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)
A, B = grant("A", 0, NOON), grant("B", 0, NOON)


def movement(held, amount, leg=0):
    return Movement(
        kind=EntryKind.AMENDMENT,
        grant_id=held.id,
        amount=Decimal(amount),
        effective_time=NOON,
        cause_kind=CauseKind.ISSUE,
        cause_id=UUID(int=1),
        leg=leg,
    )


POSTING = post(
    Head(wallet_id=WALLET),
    (),
    [movement(A, 10), movement(B, 5, 1), movement(A, "-3.50", 2)],
)


def test_an_entry_carries_both_chains():
    last = POSTING.entries[-1]

    assert [entry.seq for entry in POSTING.entries] == [1, 2, 3]
    assert POSTING.entries[0].prev_hash == bytes(32)
    assert (last.wallet_before, last.wallet_after) == (15, Decimal("11.5"))
    assert (last.grant_seq, last.grant_before, last.grant_after) == (
        2,
        10,
        Decimal("6.5"),
    )
    assert POSTING.head == Head(wallet_id=WALLET, seq=3, balance=Decimal("11.5"), hash=last.hash)
    assert {head.grant_id: head.balance for head in POSTING.grant_heads} == {
        A.id: Decimal("6.5"),
        B.id: 5,
    }


def test_posting_goes_on_where_it_stopped():
    movements = [movement(A, 10), movement(B, 5, 1), movement(A, -3, 2)]
    whole = post(Head(wallet_id=WALLET), (), movements)

    first = post(Head(wallet_id=WALLET), (), movements[:2])
    second = post(first.head, first.grant_heads, movements[2:])

    assert first.entries + second.entries == whole.entries
    assert second.head == whole.head


def test_no_grant_is_overdrawn():
    with pytest.raises(AssertionError):
        post(Head(wallet_id=WALLET), (), [movement(A, 10), movement(B, -1, 1)])


def test_the_hash_covers_every_field_in_one_spelling():
    entry = POSTING.entries[0]

    assert "amount=10\n" in canonical_text(replace(entry, amount=Decimal("10.000")))
    assert "effective_time=2024-01-01T12:00:00.000000+00:00\n" in canonical_text(entry)
    whole = replace(entry, covered=Decimal(11))
    assert canonical_text(whole).count("\n") == len(fields(LedgerEntry)) - 2
    assert canonical_text(whole).replace("covered=11\n", "") == canonical_text(entry)
    assert entry_hash(replace(entry, leg=7)) != entry.hash


def test_a_whole_chain_has_no_fault():
    assert check_chain(POSTING.entries) is None
    assert check_chain(()) is None


TAMPERED = {
    "seq": 9,
    "prev_hash": bytes(31) + b"x",
    "grant_seq": 4,
    "amount": Decimal(4),
    "wallet_before": Decimal(1),
    "wallet_after": Decimal(1),
    "grant_before": Decimal(1),
    "grant_after": Decimal(1),
    "kind": EntryKind.GRANT,
    "effective_time": NOON + timedelta(seconds=1),
    "cause_kind": CauseKind.CELL,
    "cause_id": UUID(int=2),
    "cause_revision": 1,
    "leg": 5,
    "hash": bytes(32),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_a_changed_field_is_found_at_its_entry(name):
    entries = list(POSTING.entries)
    entries[1] = replace(entries[1], **{name: TAMPERED[name]})

    fault = check_chain(entries)

    assert fault is not None
    assert fault.seq == 2


def test_a_missing_entry_is_found_by_the_next():
    fault = check_chain([POSTING.entries[0], POSTING.entries[2]])

    assert fault is not None
    assert (fault.seq, fault.field, fault.expected, fault.found) == (2, "seq", "2", "3")


def test_an_entry_rewritten_with_its_hash_breaks_the_one_after_it():
    entries = list(POSTING.entries)
    forged = replace(entries[1], cause_id=UUID(int=3))
    entries[1] = replace(forged, hash=entry_hash(forged))

    fault = check_chain(entries)

    assert fault is not None
    assert (fault.seq, fault.field) == (3, "prev_hash")


def test_an_entry_shows_the_usage_that_was_paid_for():
    paid = replace(movement(A, -8), covered=Decimal(10))

    [_, entry] = post(Head(wallet_id=WALLET), (), [movement(A, 10), replace(paid, leg=1)]).entries

    assert (entry.amount, entry.covered) == (-8, 10)
    assert check_chain([entry], head=Head(wallet_id=WALLET)) is not None


def test_a_chain_that_goes_below_zero_is_a_fault_though_its_hashes_are_right():
    first = POSTING.entries[0]
    wrong = replace(first, amount=Decimal(-1), wallet_after=Decimal(-1), grant_after=Decimal(-1))
    forged = replace(wrong, hash=entry_hash(wrong))

    fault = check_chain([forged])

    assert fault is not None
    assert (fault.seq, fault.field, fault.found) == (1, "grant_after", "-1")


def test_a_chain_is_checked_from_the_heads_before_it():
    head, heads = POSTING.head, {one.grant_id: one for one in POSTING.grant_heads}
    later = post(head, heads.values(), [movement(A, 1, 3), movement(B, -5, 4)])

    assert check_chain(later.entries, head=head, grant_heads=heads) is None
    alone = check_chain(later.entries)
    assert alone is not None
    assert (alone.seq, alone.field) == (1, "seq")
    # The grant's chain goes on in its own count: A has its third entry, the wallet its fourth.
    assert [(entry.seq, entry.grant_seq) for entry in later.entries] == [(4, 3), (5, 2)]


@given(strategies.usage("UTC", strategies.months("UTC", 3)), st.integers(0, 3))
@settings(max_examples=40)
def test_a_settlement_posts_into_a_sound_chain(cells, rollovers):
    terms = WalletTerms(
        id=WALLET,
        zone="UTC",
        aggregation=AggregationPolicy.usual(AggregationMethod.SUM),
    )
    held = entitlement(rollover=RolloverPolicy(max_count=rollovers), end=date(2025, 1, 1))
    found = increments(cells, terms.aggregation, zone="UTC")
    settlement = settle(terms, (), [held], found, through=datetime(2024, 4, 1, tzinfo=UTC))

    posting = post(Head(wallet_id=WALLET), (), settlement.movements)

    assert check_chain(posting.entries) is None
    assert posting.head.balance == sum(g.balance for g in settlement.grants)
    assert {h.grant_id: h.balance for h in posting.grant_heads} == {
        g.id: g.balance for g in settlement.grants
    }
