"""Versions of policies: each is judged on the days on which it is in force, and no other."""

from dataclasses import replace
from datetime import date

import pytest

from server.domain.modeling.catalog import NextVersion
from server.domain.modeling.policies import AggregationMethod, OveragePolicy
from server.domain.modeling.policy_versions import EndingVersion, version_on
from server.domain.validation import EffectiveDays, Metered, Revision, Scope, Setup, validate
from server.domain.validation.activation import faults
from tests.setups import MONTHLY, TODAY, counted_by, entry, kept, metered, promise, setup

START = date(2024, 7, 1)
BEFORE, AFTER = date(2024, 6, 30), date(2024, 7, 2)
FREE = OveragePolicy.FREE
WEIGHTED = AggregationMethod.TIME_WEIGHTED


def revised(first: Metered, *later: tuple[date, Metered], **more) -> Setup:
    revisions = tuple(Revision(day, (resource,), ()) for day, resource in later)
    return setup(first, revisions=revisions, **more)


def told(checked: Setup) -> dict[str, list[str]]:
    return {one.rule.id: [f.message for f in one.findings] for one in validate(checked).results}


def test_a_fault_of_a_later_version_names_its_first_day():
    found = told(revised(metered(), (START, metered(accumulation=MONTHLY))))

    [message] = found["PERIOD_ORDER"]
    assert message.endswith("(from 2024-07-01 on, when another version of a policy begins)")
    [fault] = faults(revised(metered(), (START, metered(accumulation=MONTHLY))))
    assert fault.reason == "PERIOD_ORDER"
    assert "2024-07-01" in fault.description


def test_a_fault_of_the_version_in_force_is_told_though_a_later_one_mends_it():
    [message] = told(revised(metered(accumulation=MONTHLY), (START, metered())))["PERIOD_ORDER"]

    assert "2024-07-01" not in message


def test_a_fault_that_each_version_has_is_told_once():
    wrong = metered(accumulation=MONTHLY)

    assert told(revised(wrong, (START, replace(wrong, token_id=None)))) == told(setup(wrong))


@pytest.mark.parametrize(
    ("start", "end", "is_told"),
    [("2024-07-01", None, False), ("2024-06-30", None, True), (None, "2024-07-01", True)],
)
def test_a_version_is_not_judged_for_what_is_not_sold_while_it_is_in_force(start, end, is_told):
    wrong = metered(accumulation=MONTHLY, start=start, end=end)
    right = metered(start=start, end=end)
    until = told(revised(wrong, (START, right)))
    since = told(revised(right, (START, wrong)))

    assert ("PERIOD_ORDER" in until) == is_told
    assert ("PERIOD_ORDER" in since) == (end is None)


def test_a_version_that_begins_after_the_days_asked_for_is_not_judged():
    scope = Scope(days=EffectiveDays(TODAY, START))

    found = told(revised(metered(), (START, metered(accumulation=MONTHLY)), scope=scope))

    assert "PERIOD_ORDER" not in found


def test_a_rate_is_needed_on_the_days_on_which_overage_is_charged():
    charged_later = metered(overage=FREE), (START, metered())
    charged_now = metered(), (START, metered(overage=FREE))
    until, since = entry(end=str(START)), entry(start=str(START))

    assert told(revised(*charged_later, entries=())) == {
        "RATE_MISSING": ["calls has no rate in force from 2024-07-01 on"]
    }
    assert told(revised(*charged_later, entries=(since,))) == {}
    assert told(revised(*charged_later, entries=(until,))) == {
        "RATE_MISSING": ["calls has no rate in force from 2024-07-01 on"]
    }
    assert told(revised(*charged_now, entries=(until,))) == {}
    assert list(told(revised(*charged_now, entries=(since,)))) == ["RATE_MISSING"]


def test_a_charge_that_goes_on_is_one_span():
    """The rate ends two months later, and neither finding is told for each version."""
    both = metered(), (START, replace(metered(), definition=None, parents=()))
    until = entry(end="2024-09-01")
    whole = told(setup(metered(), entries=(until,)))

    assert told(revised(*both, entries=(until,))) == whole
    assert whole == {"RATE_RUNS_OUT": ["calls has no rate in USD by book from 2024-09-01 on"]}


def test_a_method_is_judged_by_the_versions_of_one_day():
    """TIME_WEIGHTED ends as overage begins to be blocked, so no day has both."""
    average = counted_by(WEIGHTED)
    lenient = metered(overage=OveragePolicy.BLOCK)
    overlapping = counted_by(WEIGHTED, overage=OveragePolicy.BLOCK)

    assert "TIME_WEIGHTED_BLOCK" not in told(revised(average, (START, lenient)))
    middle = told(revised(average, (START, overlapping), (AFTER, lenient)))["TIME_WEIGHTED_BLOCK"]
    assert [START.isoformat() in message for message in middle] == [True]


def test_a_grant_is_judged_by_the_later_refresh():
    month, later = promise(refresh=None), promise(rollover="some")
    checked = replace(
        setup(metered(), grants=(month,)), revisions=(Revision(START, (metered(),), (later,)),)
    )

    [message] = told(checked)["ROLLOVER_UNREACHABLE"]
    assert "2024-07-01" in message


def test_the_version_of_a_day_shows_the_next_one():
    newest = replace(kept("third"), version=3)
    ending = (EndingVersion(1, "first", START), EndingVersion(2, "second", AFTER))

    days = (BEFORE, START, AFTER)
    found = [version_on(newest, ending, day) for day in days]

    assert [(one.content, one.version) for one in found] == [
        ("first", 1),
        ("second", 2),
        ("third", 3),
    ]
    assert [one.following for one in found] == [
        NextVersion(2, START),
        NextVersion(3, AFTER),
        None,
    ]


def test_a_version_that_is_replaced_on_its_first_day_is_not_the_next_one():
    newest = replace(kept("third"), version=3)
    ending = (EndingVersion(1, "first", START), EndingVersion(2, "second", START))

    assert version_on(newest, ending, BEFORE).following == NextVersion(3, START)
    assert version_on(newest, ending, START) == newest
