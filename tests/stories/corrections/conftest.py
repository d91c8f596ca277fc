"""Corrections of these stories take one period at a time; those of other tests take all at once."""

import pytest

from server.usecases.billing import slices


@pytest.fixture(autouse=True)
def one_period_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "SLICE_CELLS", 1)
