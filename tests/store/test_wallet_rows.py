"""Rows of wallets: whatever a column may be, the array that a query makes of it is read."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import msgspec
import pytest

from server.domain.ids import WalletId
from server.store.settlement.wallet_rows import (
    decode_assets,
    decode_cell,
    decode_entitlements,
    decode_grants,
    decode_packages,
    decode_tallies,
)

WALLET = WalletId(UUID(int=1))
ID, OTHER = str(UUID(int=2)), str(UUID(int=3))
LATER = "2024-02-29T23:00:00+00:00"
TIME = "2024-01-31T23:00:00.000001+00:00"
INSTANT = datetime(2024, 1, 31, 23, 0, 0, 1, tzinfo=UTC)
# Before the first issue is posted there is no next one.
ENTITLEMENT = [ID, OTHER, 1, "10.50", 2, "2024-01-01", None, "2024-01-01", None, None, None, None,
               False, None, None, None, None, None,
]  # fmt: skip
GRANT = [ID, OTHER, "REFRESH", 0, 0, "10.50", TIME, None, 3, "0.000000000001"]
ASSET = [ID, "CHARGE", TIME, None, None, None, None, 7, "plan", None, None, "ANCHOR", None, None]
CELL = [
    ID,
    OTHER,
    7,
    TIME,
    LATER,
    TIME,
    TIME,
    LATER,
    2,
    "3",
    "2",
    "1",
    "2",
    TIME,
    "r-1",
    "FINAL",
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


def test_a_cell_is_read_with_whether_it_is_final():
    cell, is_final = decode_cell(WALLET, json.dumps(CELL))

    assert (cell.measure.sum, cell.start, is_final) == (Decimal(3), INSTANT, True)
    assert (cell.ratio, cell.counted.sum) == ((1, 60), Decimal("0.05"))


def test_rated_usage_and_packages_are_read():
    packages = [["2.5", "100", "USD", "250"]]

    tallies = decode_tallies(
        json.dumps(
            [
                [ID, TIME, "5", "4", [packages], [["0", "100.5"], ["200"]]],
                [OTHER, TIME, "1", "0", None, None],
            ]
        )
    )
    [(rate, quantity)] = decode_packages(json.dumps(packages)).items()

    assert [len(tally.packages) for tally in tallies.values()] == [1, 0]
    assert [sorted(tally.flat_tiers) for tally in tallies.values()] == [
        [0, Decimal("100.5"), 200],
        [],
    ]
    assert (rate.value, rate.per, quantity) == (Decimal("2.5"), Decimal(100), Decimal(250))


@pytest.mark.parametrize("text", [None, "[]"])
def test_nothing_is_read_as_nothing(text: str | None):
    assert decode_entitlements(WALLET, text) == ()
    assert decode_grants(WALLET, text) == ((), ())
    assert decode_tallies(text) == {}


def test_an_array_of_another_length_is_refused():
    with pytest.raises(msgspec.ValidationError):
        decode_grants(WALLET, json.dumps([[*GRANT, "more"]]))
