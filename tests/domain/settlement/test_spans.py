"""Spans: the slices of final periods in which a correction and a verification read a wallet."""

from datetime import UTC, datetime

from server.domain.settlement.rewinding import PeriodSize, Span, spans


def month(number: int) -> datetime:
    return datetime(2024, number, 1, tzinfo=UTC)


def test_slices_split_no_period():
    def sliced(*sizes, limit=10):
        starts = [month(number) for number in range(1, 1 + len(sizes))]
        found = spans(starts[0], map(PeriodSize, starts, sizes), limit=limit)
        assert [one.until for one in found] == [*(one.since for one in found[1:]), None]
        return [one.since.month for one in found]

    assert sliced(5, 5, 1, 9, 1) == [1, 3, 5]
    assert sliced(30, 1, 30, 0, 0) == [1, 2, 3, 4]
    assert sliced(0, 0, 11) == [1]
    assert spans(month(1), (), limit=10) == (Span(month(1)),)


def test_a_slice_ends_with_the_period_after_the_last_whose_usage_changed():
    def sliced(last_used, *, limit=100):
        starts = [month(number) for number in range(1, 7)]
        periods = [PeriodSize(start, 3) for start in starts]
        found = spans(starts[0], periods, limit=limit, last_used=last_used)
        assert [one.until for one in found] == [*(one.since for one in found[1:]), None]
        return [one.since.month for one in found]

    assert sliced(month(1)) == [1, 3]
    assert sliced(month(3)) == [1, 5]
    # A slice is not split where nothing would be left to spare.
    assert sliced(month(4)) == [1, 6]
    assert sliced(month(5)) == sliced(month(6)) == [1]
    assert sliced(month(3), limit=6) == [1, 3, 5]


def test_a_slice_ends_after_a_period_that_it_has_whole():
    slice_ = Span(month(1), month(3))

    assert slice_.ends_after(month(2))
    assert not slice_.ends_after(month(3))
    # Of the last slice, and of what else than usage changed, nothing is known.
    assert not Span(month(1)).ends_after(month(1))
    assert not slice_.ends_after(None)
