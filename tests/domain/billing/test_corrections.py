"""Corrections: what becomes known later is owed and left as if it had been known in time."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from uuid import UUID

import pytest

from server.domain.billing.corrections import (
    cells_to_save,
    correction,
    in_next_period,
    in_place,
)
from server.domain.calendar import PolicyPeriod
from server.domain.consumption.gauges import Service
from server.domain.ids import CorrectionId, UnitId, WalletId
from server.domain.modeling.policies import AggregationMethod, AggregationPolicy, RolloverPolicy
from server.domain.rating.rates import Rate, RateSegment, RateTerms
from server.domain.settlement.ledger import CauseKind, EntryKind
from server.domain.settlement.rewinding import in_posting_order
from server.domain.settlement.standing import is_standing
from server.domain.settlement.tokens import TokenWallet, tokens_of
from tests import strategies
from tests.domain.settlement.correction_words import (
    APRIL,
    FEBRUARY,
    JANUARY,
    MARCH,
    PERIODS,
    VOLUME,
    Books,
    at,
    closed,
    day,
    figures,
    used,
    voided,
)
from tests.strategies import ASSET, WALLET, entitlement, terms

CREDIT = UnitId("credit")
FIRST, SECOND = CorrectionId(UUID(int=1)), CorrectionId(UUID(int=2))


def moves(movements):
    return [(one.kind.value, one.effective_time.date(), int(one.amount)) for one in movements]


def test_one_late_unit_takes_all_usage_to_another_tier():
    """15 in time cost 150. With 1 late all 16 cost 80, so 70 are given back."""
    books = closed(used("a", 15, 1), rates=at(tiers=VOLUME))
    assert books.owed == 150
    books.use(used("late", 1, 1, 20))

    found = books.correct(JANUARY.start)

    assert books.owed == 80
    [line] = found.changes
    assert (line.used, line.drawn, line.overage, line.amount) == (1, 0, 1, -70)
    assert (line.corrects, line.net_unit_rate) == (books.lines[0].id, None)
    assert line.key.origin_start == JANUARY.start
    assert [one.amount for one in found.lines] == [80]
    books.check()


def test_late_usage_is_paid_for_by_the_grants_of_its_own_month():
    """10 are included each month: of 12 late ones of a month without usage 2 cost 2 each."""
    books = closed(held=(entitlement(quantity=10),), rates=at("2"), months=2)
    assert books.owed == 0
    books.use(used("late", 12, 1))

    found = books.correct(JANUARY.start)

    assert books.owed == 4
    # A line that was never booked corrects none.
    assert [(*figures([one])[0], one.corrects) for one in found.changes] == [(12, 10, 2, 4, None)]
    # What expired unused was drawn.
    assert moves(in_posting_order(found.movements, 1)) == [
        ("CORRECTION", date(2024, 2, 1), 10),
        ("CORRECTION", date(2024, 1, 10), -10),
    ]
    books.check()


def test_what_had_rolled_over_is_corrected_with_it():
    """Scenario A: 50 of the 70 left in January rolled. With 40 more used, 30 are left."""
    half = entitlement(rollover=RolloverPolicy(max_count=None, max_percent=Decimal(50)))
    books = closed(used("jan", 30, 1), used("feb", 120, 2), held=(half,), months=2)
    assert books.left(MARCH.start) == [30, 100]
    books.use(used("late", 40, 1, 20))

    found = books.correct(JANUARY.start)

    assert books.left(MARCH.start) == [10, 100]
    assert books.owed == 0
    assert sorted(moves(found.movements)) == [
        ("CORRECTION", date(2024, 1, 20), -40),  # the late usage
        ("CORRECTION", date(2024, 2, 1), -20),  # rolled in: 30, not 50
        ("CORRECTION", date(2024, 2, 1), 20),  # rolled out
        ("CORRECTION", date(2024, 2, 1), 20),  # expired: nothing any more
        ("CORRECTION", date(2024, 2, 10), -20),  # February draws on its own grant instead
        ("CORRECTION", date(2024, 2, 10), 20),
        ("CORRECTION", date(2024, 3, 1), -20),
        ("CORRECTION", date(2024, 3, 1), 20),
    ]
    assert found.opened == ()
    books.check()


def in_credits(wallet: Books, payers=MappingProxyType({ASSET: 1})):
    """The token wallet and the tokens that the final usage of a wallet costs."""
    purse = TokenWallet(
        id=WALLET, unit=CREDIT, zone="UTC", anchor=date(2024, 1, 1), length=PolicyPeriod.MONTH
    )
    found = correction(wallet.books(JANUARY.start))
    due = tokens_of(purse, payers, found.cells, found.results, found.lines)
    return [made for _, made in due]


def test_tokens_of_final_usage_become_what_all_of_it_costs():
    """Scenario B: 150 tokens drew 100 and owed 10.00. With 1 late they are 80, all included."""
    priced = RateTerms(unit=CREDIT, rate=Rate(value=Decimal(1), unit=CREDIT), tiers=VOLUME)
    usage = closed(used("a", 15, 1), rates={ASSET: (RateSegment(start=day(1, 1), terms=priced),)})
    [before] = in_credits(usage)
    tokens = closed(before, held=(entitlement(),), rates=at("0.20"))
    assert (before.measure.sum, tokens.owed) == (150, 10)
    usage.use(used("late", 1, 1, 20))

    [line] = usage.correct(JANUARY.start).changes
    changed, gone = cells_to_save([before], in_credits(usage))
    tokens.use(*changed, *map(voided, gone))
    found = tokens.correct(JANUARY.start)

    assert line.amount == -70
    assert ([one.measure.sum for one in changed], gone) == ([75, 5], ())
    assert figures(found.changes) == [(-70, -20, -50, -10)]
    assert (tokens.owed, tokens.left(FEBRUARY.start)) == (0, [100])
    expired = [one.amount for one in tokens.entries if one.effective_time == FEBRUARY.start]
    assert sum(expired) == 100 - 20
    tokens.check()
    usage.check()


@pytest.mark.parametrize(
    ("count", "owed_before", "owed", "left"), [(1, 20, 20, [100]), (None, 10, 0, [15, 100])]
)
def test_a_void_gives_back_what_rolls_on_until_it_expires_or_is_used(
    count, owed_before, owed, left
):
    """Scenario D: 60, 30 and 220 of 100 a month; 25 of January are voided when all is final."""
    rolling = entitlement(rollover=RolloverPolicy(max_count=count))
    gone = used("gone", 25, 1, 11)
    books = closed(
        used("jan", 35, 1), gone, used("feb", 30, 2), used("mar", 220, 3),
        held=(rolling,), months=3,
    )  # fmt: skip
    assert books.owed == owed_before
    books.use(voided(gone))

    found = books.correct(JANUARY.start)

    assert (books.owed, books.left(APRIL.start)) == (owed, left)
    assert [(one.key.origin_start, one.amount) for one in found.changes] == [
        (JANUARY.start, 0),
        *([(MARCH.start, owed - owed_before)] if owed != owed_before else []),
    ]
    if count == 1:
        expired = [int(one.amount) for one in found.movements if one.effective_time == MARCH.start]
        assert expired == [-25]
    books.check()


def test_nothing_is_corrected_where_nothing_changed():
    books = closed(
        used("jan", 130, 1), used("feb", 30, 2),
        held=(entitlement(rollover=RolloverPolicy(max_count=1)),), months=2,
    )  # fmt: skip

    for since in (JANUARY.start, FEBRUARY.start):
        found = correction(books.books(since))

        assert (found.movements, found.opened, found.changes) == ((), (), ())
        assert [one.key.origin_start for one in found.lines] == [
            one.start for one in PERIODS[:2] if one.start >= since
        ]


def test_usage_that_is_not_final_is_not_corrected():
    books = closed(used("jan", 10, 1), used("feb", 99, 2))

    found = correction(books.books(JANUARY.start))

    assert found.changes == ()
    assert [one.id for one in found.cells] == [used("jan", 10, 1).id]


def test_only_lines_that_changed_are_booked():
    """February has 100 of its own, so late usage of January changes January alone."""
    books = closed(
        used("jan", 130, 1), used("feb", 130, 2), held=(entitlement(),), rates=at("2"), months=2
    )
    books.use(used("late", 5, 1, 20))

    found = books.correct(JANUARY.start)

    assert figures(found.changes) == [(5, 0, 5, 10)]
    assert figures(found.lines) == [(135, 100, 35, 70), (130, 100, 30, 60)]


def test_a_line_of_which_nothing_is_left_is_taken_back():
    """The terms changed on the 15th, and not on the 10th as it was booked."""

    def cut(number):
        return {
            ASSET: (
                RateSegment(start=day(1, 1), end=day(1, number), terms=terms("2")),
                RateSegment(start=day(1, number), terms=terms("3")),
            )
        }

    books = closed(used("a", 4, 1, 5), used("b", 5, 1, 20), rates=cut(10))
    assert books.owed == 8 + 15
    books.rates = cut(15)

    found = books.correct(JANUARY.start)

    assert [(one.key.segment_start, *figures([one])[0]) for one in found.changes] == [
        (day(1, 10), -5, 0, -5, -15),
        (day(1, 15), 5, 0, 5, 15),
    ]
    [gone, made] = found.changes
    assert (gone.corrects, made.corrects) == (books.lines[1].id, None)
    assert (gone.cell_ids, gone.terms.unit) == ((), strategies.USD)
    books.check()
    # What is taken back is not taken back again.
    assert books.correct(JANUARY.start).changes == ()


def test_a_correction_is_billed_in_the_period_that_handles_it():
    books = closed(used("a", 15, 1), rates=at(tiers=VOLUME))
    books.use(used("late", 1, 1, 20))
    [changed] = correction(books.books(JANUARY.start)).changes
    fresh = replace(changed, corrects=None)
    # A correction takes in the wallet of tokens with that of the usage.
    of_tokens = replace(changed, wallet_id=WalletId(UUID(int=5)))

    first, again, other, tokens, made = (
        in_next_period(changed, FEBRUARY, FIRST),
        in_next_period(changed, FEBRUARY, FIRST),
        in_next_period(changed, FEBRUARY, SECOND),
        in_next_period(of_tokens, FEBRUARY, FIRST),
        in_next_period(fresh, FEBRUARY, FIRST),
    )

    assert first == again
    assert len({changed.id, first.id, other.id, tokens.id}) == 4
    for one in (first, other, tokens, made):
        assert (one.key.period_start, one.key.is_correction) == (FEBRUARY.start, True)
        assert one.key.usage == changed.key.usage
    # Usage that was never billed keeps the id that its own close would have given it.
    assert made.id == changed.id


def test_in_place_a_line_keeps_its_id_and_has_all_figures():
    books = closed(used("a", 15, 1), rates=at(tiers=VOLUME))
    books.use(used("late", 1, 1, 20))
    found = correction(books.books(JANUARY.start))
    whole = {one.key.usage: one for one in found.lines}

    [now] = [in_place(one, whole) for one in found.changes]

    assert now.id == books.lines[0].id == found.changes[0].corrects
    assert figures([now]) == [(16, 0, 16, 80)]
    assert (now.corrects, now.net_unit_rate) == (None, 5)
    assert (now.key, now.billed_from) == (books.lines[0].key, JANUARY.start)


def test_in_place_a_line_of_which_nothing_is_left_is_zero():
    books = closed(used("a", 4, 1, 20), rates=at("2"))
    moved = RateSegment(start=day(1, 15), terms=terms("3"))
    books.rates = {ASSET: (RateSegment(start=day(1, 1), end=day(1, 15), terms=None), moved)}
    found = correction(books.books(JANUARY.start))
    whole = {one.key.usage: one for one in found.lines}

    gone, made = (in_place(one, whole) for one in found.changes)

    assert (gone.id, made.id) == (books.lines[0].id, found.lines[0].id)
    assert figures([gone, made]) == [(0, 0, 0, 0), (4, 0, 4, 12)]
    assert gone.corrects is made.corrects is None


def test_a_correction_has_a_number_and_issues_are_posted_once():
    """An entitlement from February on, whose first issue was not posted with February."""
    books = closed(used("jan", 10, 1), used("feb", 30, 2), held=(entitlement(),), months=2)
    books.held += (entitlement(2, 20, date(2024, 2, 1), refresh=None),)

    found = correction(books.books(JANUARY.start))
    numbered = in_posting_order(found.movements, 7)

    issues = [one for one in numbered if one.cause_kind is CauseKind.ISSUE]
    assert [(one.kind, one.amount, one.cause_revision) for one in issues] == [
        (EntryKind.GRANT, 20, 0)
    ]
    assert {one.cause_revision for one in numbered if one not in issues} <= {7}
    assert [one.quantity for one in found.opened] == [20]
    books.correct(JANUARY.start)
    books.check()


def test_derived_cells_are_saved_where_they_differ_and_ended_where_they_are_due_no_more():
    kept, changed, gone, new = (used(name, 1, 1) for name in "abcd")
    other = replace(changed, measure=used("b", 2, 1).measure)

    assert cells_to_save([kept, changed, gone], [kept, other, new]) == ((other, new), (gone,))
    assert cells_to_save([kept], [kept]) == ((), ())


HELD = AggregationPolicy.usual(AggregationMethod.TIME_WEIGHTED, PolicyPeriod.RATING_PERIOD)


def test_a_late_reading_carries_over_into_the_final_periods_after_it():
    """7 were held from the 10th of January on. From the 20th they were 3, which is known late."""
    books = closed(
        used("jan", 7, 1, 10), months=3, policy=HELD, services={ASSET: Service(1, day(1, 1), None)}
    )
    january = Decimal(7) * 22 / 31
    assert abs(books.owed - (january + 7 + 7)) < Decimal("1e-9")
    books.use(used("late", 3, 1, 20))

    found = books.correct(JANUARY.start)

    assert [one.measure.last for one in found.cells if is_standing(one)] == [3, 3]
    corrected = Decimal(7 * 10 + 3 * 12) / 31
    assert abs(books.owed - (corrected + 3 + 3)) < Decimal("1e-9")
    books.check()
