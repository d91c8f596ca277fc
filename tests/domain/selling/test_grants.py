"""Issues and what rolls over: dates from the anchor, parts by days."""

import itertools
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from hypothesis import example, given
from hypothesis import strategies as st

from server.domain.calendar import Cadence, CadenceUnit, local_midnight
from server.domain.modeling.policies import RolloverPolicy, Validity
from server.domain.selling.grants import GrantKind, issues, refresh_window
from server.domain.settlement.rollover import rolled
from tests import strategies
from tests.strategies import entitlement

MONTH = Cadence(CadenceUnit.MONTH)
LATER = datetime(2027, 1, 1, tzinfo=UTC)


def spans(grants):
    return [
        (grant.start.date(), grant.expire and grant.expire.date(), grant.quantity)
        for grant in grants
    ]


def test_100_minutes_are_issued_each_month_of_a_quarter():
    quarter = entitlement(end=date(2024, 4, 1))

    found = issues(quarter, "UTC", through=LATER)

    assert spans(found) == [
        (date(2024, 1, 1), date(2024, 2, 1), 100),
        (date(2024, 2, 1), date(2024, 3, 1), 100),
        (date(2024, 3, 1), date(2024, 4, 1), 100),
    ]
    assert [grant.kind for grant in found] == [
        GrantKind.SALE,
        GrantKind.REFRESH,
        GrantKind.REFRESH,
    ]


@given(strategies.entitlements(), st.integers(0, 800 * 24))
def test_a_refresh_window_is_the_interval_that_an_issue_is_for(sold, hours):
    zone, at = "Europe/Berlin", datetime(2023, 6, 1, tzinfo=UTC) + timedelta(hours=hours)
    much = refresh_window(replace(sold, quantity=Decimal(10) ** 6), zone, at)
    starts = {issue.start for issue in issues(sold, zone, through=at)}

    first = local_midnight(zone, sold.start)
    ended = sold.end is not None and local_midnight(zone, sold.end) <= at
    assert (much is not None) == (sold.refresh is not None and first <= at and not ended)
    assert much is None or much.contains(at)
    issued = much is not None and much.start in starts
    assert refresh_window(sold, zone, at) == (much if issued else None)


def test_an_interval_of_which_nothing_is_issued_is_no_window():
    short = entitlement(quantity=1, end=date(2024, 2, 2))

    assert refresh_window(short, "UTC", datetime(2024, 1, 31, tzinfo=UTC)) is not None
    assert refresh_window(short, "UTC", datetime(2024, 2, 1, tzinfo=UTC)) is None


def test_a_part_of_an_interval_gets_a_part_of_the_grant():
    # 4,000 a month from 20 July; bought again on 3 August.
    again = entitlement(
        "again", 4000, date(2024, 8, 3), end=date(2024, 8, 20), anchor=date(2024, 7, 20)
    )

    assert spans(issues(again, "UTC", through=LATER)) == [
        (date(2024, 8, 3), date(2024, 8, 20), 2193)
    ]


def test_the_last_interval_is_prorated_and_truncated_at_the_scale_of_the_unit():
    short = entitlement(quantity=100, end=date(2024, 2, 11), scale=2)

    assert spans(issues(short, "UTC", through=LATER))[1] == (
        date(2024, 2, 1),
        date(2024, 2, 11),
        Decimal("34.48"),
    )


def test_issues_of_the_31st_are_counted_from_the_31st():
    starts = [
        g.start.date()
        for g in issues(
            entitlement(start=date(2024, 1, 31), end=date(2024, 6, 1)),
            "UTC",
            through=LATER,
        )
    ]

    assert starts == [
        date(2024, 1, 31),
        date(2024, 2, 29),
        date(2024, 3, 31),
        date(2024, 4, 30),
        date(2024, 5, 31),
    ]


def test_validity_is_the_interval_its_own_or_that_of_the_asset():
    end = date(2024, 7, 1)
    own = entitlement(end=end, validity=Validity(cadence=Cadence(CadenceUnit.DAY, 15)))
    longer = entitlement(end=end, validity=Validity(cadence=Cadence(CadenceUnit.MONTH, 2)))
    life = entitlement(end=end, validity=Validity(cadence=None))
    once = entitlement(refresh=None, validity=Validity(cadence=Cadence(CadenceUnit.YEAR)))

    second = [issues(e, "UTC", through=LATER)[1].expire.date() for e in (own, longer, life)]

    assert second == [date(2024, 2, 16), date(2024, 4, 1), end]
    assert spans(issues(once, "UTC", through=LATER)) == [(date(2024, 1, 1), date(2025, 1, 1), 100)]


def test_what_is_posted_is_not_issued_again():
    posted = replace(entitlement(end=date(2024, 4, 1)), next_index=2)
    once = replace(entitlement(refresh=None), next_index=1)

    assert [grant.index for grant in issues(posted, "UTC", through=LATER)] == [2]
    assert issues(once, "UTC", through=LATER) == ()


def test_a_remainder_joins_the_next_window_until_its_count_is_used_up():
    once = entitlement(rollover=RolloverPolicy(max_count=1), end=date(2025, 1, 1))
    january = replace(issues(once, "UTC", through=LATER)[0], balance=Decimal(40))

    february = rolled(january, once, "UTC")

    assert february is not None
    assert spans([february]) == [(date(2024, 2, 1), date(2024, 3, 1), 40)]
    assert (february.kind, february.rollovers, february.index) == (
        GrantKind.ROLLOVER,
        1,
        1,
    )
    assert rolled(february, once, "UTC") is None
    assert rolled(january, entitlement(), "UTC") is None


def test_nothing_rolls_past_the_end_of_its_entitlement():
    ending = entitlement(rollover=RolloverPolicy(max_count=None), end=date(2024, 2, 1))

    assert rolled(issues(ending, "UTC", through=LATER)[0], ending, "UTC") is None


@given(strategies.entitlements(), strategies.zones)
def test_issues_come_from_the_anchor_and_stay_inside_the_entitlement(held, zone):
    found = issues(held, zone, through=datetime(2025, 1, 1, tzinfo=UTC))

    assert len({grant.id for grant in found}) == len(found)
    assert [g.start for g in found] == sorted({g.start for g in found})
    for grant in found:
        assert local_midnight(zone, held.start) <= grant.start
        assert grant.expire is None or grant.start < grant.expire
        assert held.end is None or grant.expire <= local_midnight(zone, held.end)
        assert 0 < grant.quantity <= held.quantity
        if held.refresh and grant.kind is GrantKind.REFRESH:
            nth = held.refresh.cadence.nth(held.anchor, grant.index)
            assert grant.start == local_midnight(zone, nth)


@given(strategies.entitlements(), strategies.zones)
def test_issues_that_live_one_interval_never_overlap(held, zone):
    found = issues(replace(held, validity=None), zone, through=LATER)

    for earlier, later in itertools.pairwise(found):
        assert earlier.expire == later.start


@given(strategies.entitlements(), strategies.instants)
def test_issuing_in_two_steps_is_issuing_at_once(held, instant):
    whole = issues(held, "UTC", through=LATER)
    first = issues(held, "UTC", through=min(instant, LATER))
    following = first[-1].index + 1 if first else held.next_index

    rest = issues(replace(held, next_index=following), "UTC", through=LATER)

    assert first + rest == whole


@given(strategies.entitlements())
@example(
    entitlement(
        start=date(2023, 6, 1),
        refresh=Cadence(CadenceUnit.DAY, 1),
        validity=Validity(cadence=MONTH),
        rollover=RolloverPolicy(max_count=None),
    )
)
def test_a_successor_starts_where_its_source_ends(held):
    for grant in issues(held, "UTC", through=datetime(2025, 1, 1, tzinfo=UTC)):
        successor = rolled(grant, held, "UTC")
        if successor:
            assert successor.start == grant.expire
            assert successor.expire is None or successor.expire > successor.start
            assert successor.quantity == successor.balance == grant.balance


def test_an_issue_sold_after_its_validity_is_valid_from_the_sale():
    held = entitlement(
        start=date(2024, 1, 20),
        anchor=date(2024, 1, 1),
        validity=Validity(cadence=Cadence(CadenceUnit.DAY, 10)),
    )

    first = issues(held, "UTC", through=LATER)[0]

    assert first.expire - first.start == timedelta(days=10)
