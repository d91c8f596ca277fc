"""Every rule of the validator: a setup that breaks it, and the nearest one that does not."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from server.domain.calendar import Cadence, CadenceUnit
from server.domain.modeling.catalog import CatalogState
from server.domain.modeling.policies import AggregationMethod, OveragePolicy
from server.domain.modeling.units import UnitClassKind
from server.domain.rating.rate_cards import RateCardEntry
from server.domain.validation import (
    MOST_FINDINGS,
    RULES,
    EffectiveDays,
    Parent,
    Scope,
    Setup,
    Severity,
    validate,
)
from server.domain.validation.setups import gaps
from tests.kind_rows import KIND_ROWS
from tests.setups import (
    ACTIVE,
    DAILY,
    DRAFT,
    INACTIVE,
    MONTH,
    MONTHLY,
    SPARE,
    TODAY,
    aggregation,
    counted_by,
    entry,
    metered,
    product_in,
    promise,
    regional,
    setup,
    tier,
    unit,
)

PARENT = "aggregationPolicies/sum"
SUM = aggregation("sum", AggregationMethod.SUM)
PEAK = aggregation("peak", AggregationMethod.PEAK)
OTHER_SUM = aggregation("sum-too", AggregationMethod.SUM)
EUR, BOTH = entry(currency="EUR", id_="eur"), (metered(), metered("bytes"))
BYTES = entry(resource="bytes", id_="bytes")
UNTIL, LATER = "2024-07-01", "later"
NEXT = metered(start=UNTIL, held_id=LATER)
REGIONAL = replace(metered(), resource=replace(metered().resource, dimensions=("region",)))
DRAFTS = Scope(days=EffectiveDays(TODAY), with_drafts=True)
DAY = Cadence(CadenceUnit.DAY)

# The rule, a setup that breaks it, one that does not.
TABLE: list[tuple[str, Setup, Setup]] = [
    *KIND_ROWS,
    ("PRODUCT_NOT_ACTIVE", setup(**product_in(DRAFT)), setup(**product_in(DRAFT), scope=DRAFTS)),
    ("PRODUCT_NOT_ACTIVE", setup(**product_in(INACTIVE), scope=DRAFTS), setup()),
    ("PRODUCT_EMPTY", setup(metered(state=DRAFT)), setup(metered(state=DRAFT), scope=DRAFTS)),
    ("PRODUCT_EMPTY", setup(metered(end="2024-03-01")), setup(metered(end="2024-03-02"))),
    (
        "RESOURCE_NOT_ACTIVE",
        setup(metered(state=INACTIVE), grants=(promise(),)),
        setup(metered(state=INACTIVE), entries=(entry(state=CatalogState.DRAFT),)),
    ),
    (
        "RESOURCE_NOT_ACTIVE",
        setup(entries=(entry(), BYTES)),
        setup(*BOTH, entries=(entry(), BYTES)),
    ),
    (
        "RESOURCE_OVERLAP",
        setup(metered(end="2024-07-02"), NEXT, entries=(entry(),)),
        setup(metered(end=UNTIL), NEXT, entries=(entry(),)),
    ),
    (
        "RESOURCE_GAP",
        setup(metered(end="2024-06-30"), NEXT, entries=(entry(),)),
        setup(metered(end=UNTIL), NEXT, entries=(entry(),)),
    ),
    (
        "PARENT_NOT_ACTIVE",
        setup(metered(parents=(Parent(PARENT, DRAFT),))),
        setup(metered(parents=(Parent(PARENT, ACTIVE),))),
    ),
    (
        "PARENT_NOT_ACTIVE",
        setup(grants=(promise(parents=(Parent(PARENT, INACTIVE),)),), scope=DRAFTS),
        setup(grants=(promise(parents=(Parent(PARENT, DRAFT),)),), scope=DRAFTS),
    ),
    ("UNIT_MISSING", setup(metered(counted=None)), setup()),
    (
        "CURRENCY_UNIT",
        setup(metered(kind=UnitClassKind.CURRENCY, counted=unit("DOLLAR"))),
        setup(metered(kind=UnitClassKind.CURRENCY, counted=unit("USD"))),
    ),
    (
        "PERIOD_ORDER",
        setup(metered(rating=DAILY, accumulation=MONTHLY)),
        setup(metered(rating=DAILY)),
    ),
    (
        "TIME_WEIGHTED_BLOCK",
        setup(counted_by(AggregationMethod.TIME_WEIGHTED, overage=OveragePolicy.BLOCK)),
        setup(counted_by(AggregationMethod.LATEST)),
    ),
    ("RATING_FREQUENCY_UNSAID", setup(metered(frequency=None)), setup()),
    (
        "AGGREGATION_DISAGREES",
        setup(metered(aggregations=(PEAK, SUM))),
        setup(metered(aggregations=(SUM, OTHER_SUM))),
    ),
    (
        "GRANT_UNIT_CLASS",
        setup(grants=(promise(unit_id="byte"),)),
        setup(grants=(promise(unit_id="call", unit=unit()),)),
    ),
    (
        "GRANT_SCALE",
        setup(grants=(promise(quantity="0.5"),)),
        setup(metered(counted=unit(scale=1)), grants=(promise(quantity="0.5"),)),
    ),
    (
        "GRANT_SCALE",
        setup(grants=(promise(unit_id="k", unit=replace(unit("k"), factor=Decimal("0.333"))),)),
        setup(grants=(promise(unit_id="k", unit=replace(unit("k"), factor=Decimal(1000))),)),
    ),
    (
        "GRANT_GAPS",
        setup(grants=(promise(validity=Cadence(CadenceUnit.DAY, 30), refresh=MONTH),)),
        setup(grants=(promise(validity=Cadence(CadenceUnit.DAY, 31), refresh=MONTH),)),
    ),
    (
        "ROLLOVER_UNREACHABLE",
        setup(grants=(promise(rollover="once"),)),
        setup(grants=(promise(rollover="once", refresh=MONTH),)),
    ),
    (
        "ROLLOVER_UNREACHABLE",
        setup(grants=(promise(rollover="once", validity=DAY, refresh=MONTH),)),
        setup(grants=(promise(rollover="once", validity=MONTH, refresh=MONTH),)),
    ),
    (
        "CURRENCY_UNIT_MISSING",
        replace(setup(), unitless_currencies=frozenset({"USD"})),
        replace(setup(), unitless_currencies=frozenset({"EUR"})),
    ),
    (
        "GRANTS_CROWDED",
        setup(grants=(promise(validity=Cadence(CadenceUnit.DAY, 101), refresh=DAY),)),
        setup(grants=(promise(validity=Cadence(CadenceUnit.DAY, 100), refresh=DAY),)),
    ),
    (
        "EFFECTIVITY_MISMATCH",
        setup(metered(end="2024-06-01"), entries=(entry(start="2024-06-01"),)),
        setup(metered(end="2024-06-01"), entries=(entry(start="2024-05-31"),)),
    ),
    (
        "EFFECTIVITY_MISMATCH",
        setup(metered(start="2024-06-01"), card_end="2024-06-01"),
        setup(metered(start="2024-06-01"), card_end="2024-06-02"),
    ),
    ("RATE_MISSING", setup(entries=()), setup(metered(overage=OveragePolicy.FREE), entries=())),
    (
        "RATE_MISSING",
        setup(entries=(entry(state=CatalogState.DRAFT),)),
        setup(entries=(entry(state=CatalogState.DRAFT),), scope=DRAFTS),
    ),
    (
        "RATE_GAP",
        setup(entries=(entry(end="2024-05-01"), entry(start="2024-05-02", id_="two"))),
        setup(entries=(entry(end="2024-05-01"), entry(start="2024-05-01", id_="two"))),
    ),
    (
        "RATE_STARTS_LATE",
        setup(metered(start="2024-04-01"), entries=(entry(start="2024-04-02"),)),
        setup(metered(start="2024-04-01"), entries=(entry(start="2024-04-01"),)),
    ),
    (
        "RATE_ENDS_EARLY",
        setup(metered(end="2024-05-02"), entries=(entry(end="2024-05-01"),)),
        setup(metered(end="2024-05-01"), entries=(entry(end="2024-05-01"),)),
    ),
    (
        "RATE_RUNS_OUT",
        setup(entries=(entry(end="2024-05-01"),)),
        setup(
            entries=(entry(end="2024-05-01"),),
            scope=Scope(days=EffectiveDays(TODAY, date(2024, 5, 1))),
        ),
    ),
    (
        "RATE_OVERLAP",
        setup(entries=(entry(end="2024-05-02"), entry(start="2024-05-01", id_="two"))),
        setup(entries=(entry(end="2024-05-01"), entry(start="2024-05-01", id_="two"))),
    ),
    ("PRICE_BOOK_MISSING", setup(entries=(entry(card=SPARE),)), setup()),
    (
        "NOT_SELLABLE",
        setup(*BOTH, entries=(EUR, BYTES)),
        setup(metered(overage=OveragePolicy.FREE), metered("bytes"), entries=(EUR, BYTES)),
    ),
    (
        "CURRENCY_INCOMPLETE",
        setup(*BOTH, entries=(EUR, entry(), BYTES)),
        setup(*BOTH, entries=(entry(), BYTES)),
    ),
    (
        "TIERS_EMPTY",
        setup(entries=(entry(None),)),
        setup(entries=(entry(None, tier("OVERRIDE", "1")),)),
    ),
    ("RATE_ZERO", setup(entries=(entry("0"),)), setup(entries=(entry("0.01"),))),
    (
        "RATE_ZERO",
        setup(entries=(entry("0"),)),
        setup(entries=(entry("0"), entry(None, tier("AMOUNT", "0.1")))),
    ),
    (
        "TIER_ZERO",
        setup(entries=(entry(None, tier("OVERRIDE", "0")),)),
        setup(entries=(entry(None, tier("OVERRIDE", "0.1")),)),
    ),
    (
        "TIER_ZERO",
        setup(entries=(entry(None, tier("OVERRIDE", "0")),)),
        setup(entries=(entry(None, replace(tier("OVERRIDE", "0"), flat=Decimal(5))),)),
    ),
    (
        "TIER_ZERO",
        setup(entries=(entry(), entry(None, tier("PERCENTAGE", "100")))),
        setup(entries=(entry(), entry(None, tier("PERCENTAGE", "99")))),
    ),
    (
        "TIER_ZERO",
        setup(entries=(entry("0.5"), entry(None, tier("AMOUNT", "-0.5")))),
        setup(entries=(entry("0.5"), entry(None, tier("AMOUNT", "-0.4")))),
    ),
    (
        "TIER_BELOW_ZERO",
        setup(entries=(entry("0.5"), entry(None, tier("AMOUNT", "-0.6")))),
        setup(entries=(entry("0.5"), entry(None, tier("AMOUNT", "-0.5")))),
    ),
    (
        "ATTRIBUTE_UNKNOWN",
        setup(entries=(entry(), regional("PERCENTAGE", "5"))),
        setup(REGIONAL, entries=(entry(), regional("PERCENTAGE", "5"))),
    ),
    (
        "TIERS_INCOMPLETE",
        setup(entries=(entry(None, tier("OVERRIDE", "1", "0", "100")),)),
        setup(entries=(entry(), entry(None, tier("OVERRIDE", "1", "0", "100")))),
    ),
    (
        "TIERS_INCOMPLETE",
        setup(entries=(entry(None, tier("OVERRIDE", "1", "10")),)),
        setup(entries=(entry(None, tier("OVERRIDE", "1")),)),
    ),
    (
        "TIER_BASE_MISSING",
        setup(entries=(entry(end="2024-05-01"), entry(None, tier("PERCENTAGE", "5")))),
        setup(
            entries=(
                entry(end="2024-05-01"),
                entry(None, tier("PERCENTAGE", "5"), end="2024-05-01"),
            )
        ),
    ),
    (
        "TIER_PER",
        setup(entries=(entry(per="1000"), entry(None, tier("OVERRIDE", "1"), per="100"))),
        setup(entries=(entry(per="1000"), entry(None, tier("OVERRIDE", "1"), per="1000"))),
    ),
]


def broken(of: Setup) -> set[str]:
    return {result.rule.id for result in validate(of).results}


@pytest.mark.parametrize(("rule", "bad", "good"), TABLE, ids=[row[0] for row in TABLE])
def test_a_rule_is_broken_by_the_one_and_not_by_the_other(rule: str, bad: Setup, good: Setup):
    assert rule in broken(bad)
    assert rule not in broken(good)


def test_every_rule_has_a_row_and_an_id_of_its_own():
    ids = [rule.id for rule in RULES]

    assert sorted(set(ids)) == sorted(ids)
    assert {row[0] for row in TABLE} == set(ids)


def test_a_plain_setup_breaks_nothing():
    assert validate(setup()).results == ()
    assert validate(
        setup(*BOTH, grants=(promise(refresh=MONTH),), entries=(entry(), BYTES))
    ).is_valid


def test_rules_are_in_order_and_say_what_to_do():
    severities = [rule.severity for rule in RULES]

    assert severities == sorted(severities)
    for rule in RULES:
        assert rule.sentence.endswith("."), rule.id
        assert rule.remedy.endswith("."), rule.id


@pytest.mark.parametrize("row", TABLE, ids=[row[0] for row in TABLE])
def test_every_finding_names_records_and_says_something(row: tuple[str, Setup, Setup]):
    for result in validate(row[1]).results:
        for found in result.findings:
            assert found.message
            assert found.records
            assert all("/" in name for name in found.records)


def test_warnings_leave_a_product_valid_and_errors_do_not():
    warned, wrong = validate(setup(metered(frequency=None))), validate(setup(entries=()))

    assert [one.rule.severity for one in warned.results] == [Severity.WARNING]
    assert (warned.is_valid, wrong.is_valid) == (True, False)


def test_a_gap_counts_from_a_whole_day():
    """Twelve hours are tolerated: no gap of days is that short, so none is left untold."""
    march = EffectiveDays(date(2024, 3, 1), date(2024, 4, 1))
    first, rest = (
        EffectiveDays(march.start, date(2024, 3, 10)),
        EffectiveDays(date(2024, 3, 11), march.end),
    )

    assert list(gaps(march, [rest, first])) == [EffectiveDays(date(2024, 3, 10), date(2024, 3, 11))]
    assert list(gaps(march, [EffectiveDays(), first])) == []
    assert list(gaps(march, [])) == [march]
    assert list(gaps(first, [rest])) == [first]


def test_a_hole_is_told_once_with_the_entries_beside_it():
    entries = (
        entry(start="2024-03-03", end="2024-05-01", id_="a"),
        entry(start="2024-05-03", end="2024-07-01", id_="b"),
    )
    found = validate(setup(metered(start="2024-03-01", end="2024-08-01"), entries=entries))

    own = "products/plan/usageResources/calls"
    records = {one.rule.id: one.findings[0].records for one in found.results}
    assert records == {
        "RATE_GAP": ("rateCards/base/entries/a", "rateCards/base/entries/b", own),
        "RATE_STARTS_LATE": ("rateCards/base/entries/a", own),
        "RATE_ENDS_EARLY": ("rateCards/base/entries/b", own),
    }
    assert [one.count for one in found.results] == [1, 1, 1]


def test_where_entries_overlap_nothing_is_said_of_their_tiers():
    adjusting = entry(None, tier("PERCENTAGE", "5"))
    later = entry(start="2024-05-01", id_="later")

    assert broken(setup(entries=(entry(end="2024-05-02"), later, adjusting))) == {"RATE_OVERLAP"}
    assert broken(setup(entries=(entry(end="2024-05-01"), later, adjusting))) == set()


def test_rates_for_a_selling_model_overlap_and_cover_their_own():
    """A selling model has its own rate, and the general one where it has none."""
    always, yearly = entry(id_="all"), replace(entry(id_="yearly"), selling_model_id="yearly")
    spring = replace(entry(id_="spring", end="2024-05-01"), selling_model_id="yearly")
    adjusting = replace(entry(None, tier("AMOUNT", "-1")), selling_model_id="yearly")

    assert broken(setup(entries=(always, yearly))) == set()
    assert broken(setup(entries=(yearly, spring))) == {"RATE_OVERLAP"}
    assert broken(setup(entries=(always, spring))) == set()
    assert broken(setup(entries=(spring,))) == {"RATE_RUNS_OUT"}
    assert broken(setup(entries=(always, adjusting))) == {"TIER_BELOW_ZERO"}
    only = replace(adjusting, selling_model_id=None)
    assert broken(setup(entries=(yearly, only))) == {"TIER_BELOW_ZERO", "TIER_BASE_MISSING"}


def many() -> Iterator[RateCardEntry]:
    for number in range(MOST_FINDINGS + 20):
        yield entry("0", id_=f"e{number}", currency="USD", card=SPARE, start="2024-04-01")


def test_findings_are_cut_and_counted():
    found = {one.rule.id: one for one in validate(setup(entries=tuple(many()))).results}

    assert len(found["PRICE_BOOK_MISSING"].findings) == MOST_FINDINGS
    assert found["PRICE_BOOK_MISSING"].count == MOST_FINDINGS + 20
