"""The new content of a record under the change of a run: exact, or refused."""

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.consumption.amendments import KnownRecord
from server.domain.consumption.changes import RecordChange, times
from server.domain.consumption.recording import Stored
from server.domain.errors import InvalidArgument
from server.domain.exact import decimal_places
from server.domain.ids import AccountId, AssetId, CellId, RecordId, ResourceId, UnitId, WalletId
from server.domain.modeling.units import Ratio

AT = datetime(2024, 1, 10, tzinfo=UTC)
NONE = UUID(int=0)

quantities = st.decimals(min_value=0, max_value=10**20, places=12)
parts = st.decimals(min_value="0.000001", max_value=10**6, places=6)


def record(quantity: object = 5, **labels: str) -> KnownRecord:
    stored = Stored(
        AssetId(NONE), ResourceId("calls"), Decimal(str(quantity)), UnitId("each"), AT,
        labels or None, b"",
    )  # fmt: skip
    ids = CellId(NONE), WalletId(NONE)
    return KnownRecord(AccountId("acme"), RecordId("r"), stored, stored.quantity, *ids, AT, None)


def ratio(numerator: object, denominator: object = 1) -> Ratio:
    return Ratio(Decimal(str(numerator)), Decimal(str(denominator)))


@pytest.mark.parametrize(
    ("quantity", "factor", "found"),
    [
        ("7001", ratio(1, 1000), "7.001"),
        ("90", ratio(1, 60), "1.5"),
        ("0", ratio(1, 7), "0"),
        ("0.000000000001", ratio("0.5"), "DECIMAL_SCALE"),
        ("1", ratio(1, 3), "DECIMAL_SCALE"),
        ("99999999999999999999999999", ratio("1.000000000001"), "DECIMAL_RANGE"),
        ("9" * 26 + "." + "9" * 12, ratio(1), "9" * 26 + "." + "9" * 12),
    ],
)
def test_a_quantity_times_a_factor(quantity: str, factor: Ratio, found: str):
    if found.startswith("DECIMAL"):
        with pytest.raises(InvalidArgument) as refused:
            times(Decimal(quantity), factor)
        assert refused.value.violations[0].reason == found
    else:
        assert times(Decimal(quantity), factor) == Decimal(found)


@given(quantities, parts, parts)
def test_a_factor_is_exact_or_refused(quantity: Decimal, numerator: Decimal, denominator: Decimal):
    exact = Fraction(quantity) * Fraction(numerator) / Fraction(denominator)
    try:
        found = times(quantity, Ratio(numerator, denominator))
    except InvalidArgument:
        assert (exact * 10**12).denominator != 1 or exact >= 10**26
    else:
        assert Fraction(found) == exact
        assert decimal_places(found) <= 12


@given(quantities, parts)
def test_the_inverse_undoes_a_factor(quantity: Decimal, part: Decimal):
    try:
        there = times(quantity, Ratio(part, Decimal(1)))
    except InvalidArgument:
        return
    assert times(there, Ratio(Decimal(1), part)) == quantity


def test_what_is_not_named_stays():
    kept = RecordChange(set_labels={"b": "2"}, remove_labels=("a", "missing")).of(
        record("5.5", a="1", c="3")
    )
    bare = RecordChange(remove_labels=("a",), quantity=Decimal(0)).of(record(a="1"))

    assert (kept.quantity, kept.unit_id, kept.resource_id, kept.time) == (
        Decimal("5.5"), "each", "calls", AT,
    )  # fmt: skip
    assert kept.labels == {"b": "2", "c": "3"}
    assert (bare.quantity, bare.labels) == (0, None)


def test_a_change_of_nothing_is_known():
    assert RecordChange().is_nothing
    assert not RecordChange(quantity=Decimal(0)).is_nothing
    assert not RecordChange(remove_labels=("a",)).is_nothing
