"""Rows of wallets: whatever a column may be, the array that a query makes of it is read."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import msgspec
import pytest

from server.domain.calendar import Period
from server.domain.ids import WalletId
from server.domain.settlement.ledger import CauseKind
from server.domain.settlement.rewinding import Moved, MovementKey
from server.store.settlement.wallet_rows import (
    decode_assets,
    decode_cell,
    decode_effects,
    decode_entitlements,
    decode_grants,
)

WALLET = WalletId(UUID(int=1))
ID, OTHER = str(UUID(int=2)), str(UUID(int=3))
LATER = "2024-02-29T23:00:00+00:00"
TIME = "2024-01-31T23:00:00.000001+00:00"
INSTANT = datetime(2024, 1, 31, 23, 0, 0, 1, tzinfo=UTC)
# Before the first issue is posted there is no next one.
ENTITLEMENT = [ID, OTHER, 1, "10.50", 2, "2024-01-01", None, "2024-01-01", None, None, None, None,
               False, None, None, None, None, None, None, None, None, None, None,
]  # fmt: skip
GRANT = [ID, OTHER, "REFRESH", 0, 0, "10.50", TIME, None, 3, "0.000000000001", None, None]
ASSET = [
    ID,
    "CHARGE",
    TIME,
    None,
    None,
    None,
    None,
    7,
    "plan",
    None,
    None,
    "ANCHOR",
    None,
    None,
    None,
]
CELL = [
    ID,
    OTHER,
    7,
    TIME,
    LATER,
    TIME,
    LATER,
    2,
    "3",
    "2",
    "1",
    "2",
    TIME,
    "r-1",
    "",
    "1",
    "60",
    None,
    None,
]


def test_an_entitlement_of_which_nothing_was_issued_is_read():
    [entitlement] = decode_entitlements(WALLET, json.dumps([ENTITLEMENT]))

    assert (entitlement.next_index, entitlement.end, entitlement.refresh) == (None, None, None)
    assert (entitlement.quantity, entitlement.start) == (Decimal("10.50"), date(2024, 1, 1))


def test_a_grant_without_an_end_is_read_exactly():
    [grant], [head] = decode_grants(WALLET, json.dumps([GRANT]))

    assert (grant.start, grant.expire, grant.balance) == (INSTANT, None, Decimal("0.000000000001"))
    assert (head.grant_id, head.seq) == (grant.id, 3)


def test_an_asset_without_a_rate_is_read():
    [asset], rates, commitments, _ = decode_assets(json.dumps([ASSET]))

    assert (asset.number, asset.end_time, asset.rate_ids) == (7, None, {})
    assert ([one.terms for one in rates[asset.id]], commitments) == ([None], {})


def test_a_cell_is_read_with_its_rating_period():
    cell = decode_cell(WALLET, json.dumps(CELL))

    assert (cell.measure.sum, cell.start) == (Decimal(3), INSTANT)
    assert cell.period == Period(INSTANT, datetime(2024, 2, 29, 23, tzinfo=UTC))
    assert (cell.ratio, cell.counted.sum) == ((1, 60), Decimal("0.05"))


@pytest.mark.parametrize(
    ("count", "first_time", "is_empty"), [(2, None, False), (0, TIME, False), (0, None, True)]
)
def test_a_cell_is_empty_if_it_has_no_records_and_did_not_begin_its_period(
    count, first_time, is_empty
):
    row = [*CELL]
    row[7], row[17] = count, first_time

    assert decode_cell(WALLET, json.dumps(row)).is_empty is is_empty


def test_what_entries_moved_is_read_exactly():
    rows = [
        [TIME, "CELL", ID, 0, OTHER, "-10.50", "13.125"],
        [LATER, "BOUNDARY", OTHER, 2, OTHER, "-0.000000000001", "0"],
    ]

    assert decode_effects(json.dumps(rows)) == {
        MovementKey(INSTANT, CauseKind.CELL, UUID(ID), 0, UUID(OTHER)): Moved(
            amount=Decimal("-10.50"), paid=Decimal("13.125")
        ),
        MovementKey(
            datetime(2024, 2, 29, 23, tzinfo=UTC), CauseKind.BOUNDARY, UUID(OTHER), 2, UUID(OTHER)
        ): Moved(amount=Decimal("-0.000000000001")),
    }


@pytest.mark.parametrize("text", [None, "[]"])
def test_nothing_is_read_as_nothing(text: str | None):
    assert decode_entitlements(WALLET, text) == ()
    assert decode_grants(WALLET, text) == ((), ())
    assert decode_effects(text) == {}


def test_an_array_of_another_length_is_refused():
    with pytest.raises(msgspec.ValidationError):
        decode_grants(WALLET, json.dumps([[*GRANT, "more"]]))
