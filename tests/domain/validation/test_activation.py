"""Activation is refused by the validator's own rules, in the reasons that callers know."""

from dataclasses import replace
from decimal import Decimal

import pytest

from server.domain.errors import FailedPrecondition
from server.domain.ids import ResourceId
from server.domain.modeling.catalog import CatalogState
from server.domain.modeling.policies import AggregationMethod, OveragePolicy
from server.domain.modeling.units import UnitClassKind
from server.domain.validation import RULES, Scope, Setup, Severity, validate
from server.domain.validation.activation import IN_TURN, check_activation, check_valid
from tests.setups import (
    DAILY,
    DRAFT,
    INACTIVE,
    MONTHLY,
    counted_by,
    entry,
    metered,
    product_in,
    promise,
    setup,
    unit,
)

ENTERING = Scope(with_drafts=True)
CALLS, GRANT = "products/plan/usageResources/calls", "products/plan/grants/included"
CREDITS = ResourceId("credits")
LATER = metered(start="2024-06-01", held_id="later", state=DRAFT)
MONEY = metered(kind=UnitClassKind.CURRENCY, counted=unit("USD"))
ENTRIES = (entry(), entry(start="2024-06-01", id_="two", state=CatalogState.DRAFT))


def refused(of: Setup) -> FailedPrecondition:
    with pytest.raises(FailedPrecondition) as error:
        check_activation(replace(of, scope=ENTERING))
    return error.value


# A setup that cannot be activated, then the field and the reason of the violation.
TABLE = [
    (setup(**product_in(INACTIVE)), "products/plan", "RESOURCE_INACTIVE"),
    (setup(**product_in(DRAFT), resources=(), entries=()), "products/plan", "PRODUCT_EMPTY"),
    (setup(metered(counted=None)), "usageResources/calls", "UNIT_OF_MEASURE_NOT_FOUND"),
    (setup(metered(rating=DAILY, accumulation=MONTHLY)), CALLS, "PERIOD_ORDER"),
    (
        setup(counted_by(AggregationMethod.TIME_WEIGHTED, overage=OveragePolicy.BLOCK)),
        CALLS,
        "POLICY_CONFLICT",
    ),
    (setup(grants=(promise(unit_id="byte"),)), GRANT, "UNIT_CLASS_MISMATCH"),
    (
        setup(MONEY, grants=(promise(unit_id="EUR", unit=unit("EUR")),)),
        GRANT,
        "UNIT_CLASS_MISMATCH",
    ),
    (setup(grants=(promise(quantity="0.5"),)), GRANT, "UNIT_SCALE"),
    (
        setup(
            grants=(
                promise(
                    quantity="9" * 26,
                    unit_id="k",
                    unit=replace(unit("k"), factor=Decimal(1000)),
                ),
            )
        ),
        GRANT,
        "DECIMAL_RANGE",
    ),
    (setup(metered(token_id=CREDITS)), "products/plan", "TOKEN_RESOURCE"),
    (
        setup(
            metered(token_id=CREDITS),
            metered("credits", counted=unit("credit", class_id="credits"), rating=DAILY),
        ),
        "products/plan",
        "POLICY_CONFLICT",
    ),
    (setup(entries=ENTRIES), "rateCards/base/entries/two", "RATE_OVERLAP"),
]


@pytest.mark.parametrize(("of", "field", "reason"), TABLE, ids=[row[2] for row in TABLE])
def test_what_stands_in_the_way_is_named(of: Setup, field: str, reason: str):
    error = refused(of)

    assert error.reason == "VALIDATION_FAILED"
    assert error.facts == {"product": "products/plan", "first": reason}
    assert [(one.field, one.reason) for one in error.violations] == [(field, reason)]
    assert f"{field} {error.violations[0].description}" in error.message


def test_stretches_that_overlap_are_refused_before_all_else():
    error = refused(setup(metered(end="2024-06-02"), LATER, entries=ENTRIES))

    assert error.reason == "EFFECTIVITY_OVERLAP"
    assert error.facts == {"name": CALLS, "other": "later"}
    assert [one.field for one in error.violations] == [CALLS]


def test_every_two_stretches_that_overlap_are_named():
    third = metered(start="2024-08-01", held_id="third", state=DRAFT)

    error = refused(setup(metered(), LATER, third))

    assert len(error.violations) == 3


def test_stretches_that_were_withdrawn_are_not_in_the_way():
    check_activation(setup(metered(state=INACTIVE), LATER, scope=ENTERING))


def test_a_product_whose_resources_were_withdrawn_can_be_activated_again():
    check_activation(setup(metered(state=INACTIVE), entries=(), scope=ENTERING))


def test_an_error_that_prevents_nothing_prevents_what_must_be_valid():
    unpriced = setup(entries=())

    check_activation(replace(unpriced, scope=ENTERING))
    with pytest.raises(FailedPrecondition) as error:
        check_valid(unpriced, validate(unpriced))

    assert error.value.facts == {"product": "products/plan", "first": "RATE_MISSING"}
    assert [one.field for one in error.value.violations] == [CALLS]


def test_a_warning_prevents_nothing():
    warned = setup(metered(frequency=None))

    check_activation(replace(warned, scope=ENTERING))
    check_valid(warned, validate(warned))


def test_what_prevents_an_activation_leaves_no_draft_valid():
    for of, _, reason in TABLE:
        drafts = validate(replace(of, scope=ENTERING))
        if reason != "RESOURCE_INACTIVE":
            assert any(one.rule.severity is Severity.ERROR for one in drafts.results), reason


def test_activation_runs_the_rules_of_the_validator():
    assert set(IN_TURN) == set(RULES)
