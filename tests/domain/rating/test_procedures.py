"""Rating procedures: what each element does to the lines that come to it."""

from dataclasses import replace
from decimal import Decimal

import pytest

from server.domain.exact import Rounding
from server.domain.modeling.policies import OveragePolicy
from server.domain.rating.procedures.elements import (
    AdjustmentMatrix,
    Agreed,
    Assignment,
    AttributeAdjustment,
    BaseRate,
    CommitmentRateElement,
    DiscountKind,
    FormulaElement,
    GraduatedTiers,
    Input,
    ListFunction,
    ListGroup,
    ListOperation,
    ManualDiscount,
    MatrixRow,
    NegotiatedRate,
    NegotiatedTiers,
    RatingSetting,
    RoundRate,
    Stop,
    ValueKind,
    VolumeTiers,
)
from server.domain.rating.procedures.programs import compiled
from server.domain.rating.procedures.shipped import DEFAULT
from server.domain.rating.procedures.waterfall import Element
from server.domain.rating.rates import AttributeRow, RateTerms, TierBounds, TierMode
from tests.domain.procedure_words import by, line, price, rates, run, terms, tier
from tests.strategies import USD

STEPPED = (tier(0, 10, "PERCENTAGE", 0), tier(10, 60, "PERCENTAGE", 10))
STEPPED = (*STEPPED, tier(60, 100, "PERCENTAGE", 20))
TARGET = RateTerms(unit=USD, rate=None, negotiated_rate=price(3))


def steps(outcome) -> list[str]:
    return [step.element for step in outcome.steps]


def test_the_base_rate_times_the_overage_is_the_total():
    [rated] = run([BaseRate()], line(4, "2.5"))

    assert (rated.net_unit_rate, rated.amount) == (Decimal("2.5"), 10)
    assert steps(rated) == [Element.BASE_RATE, Element.AMOUNT]


@pytest.mark.parametrize(
    ("asset", "target", "expected"),
    [
        (price(2), TARGET, "2"),
        (None, TARGET, "3"),
        (None, None, "10"),
        (price(0), TARGET, "0"),
    ],
)
def test_a_negotiated_rate_is_the_assets_then_the_targets_then_the_catalogs(
    asset, target, expected
):
    sold = line(1, terms("10", negotiated_rate=asset), target=target)

    assert rates(run([BaseRate(), NegotiatedRate()], sold)) == [expected]


def test_who_comes_first_is_the_elements_to_say():
    sold = line(1, terms("10", negotiated_rate=price(2)), target=TARGET)

    assert rates(run([NegotiatedRate(order=(Agreed.TARGET, Agreed.ASSET))], sold)) == ["3"]


def test_negotiated_tiers_replace_those_of_the_catalog():
    half, third = (tier(0, None, "PERCENTAGE", 50),), (tier(0, None, "OVERRIDE", 3),)
    own = terms("10", tiers=half, negotiated_tiers=(tier(0, None, "AMOUNT", 5),))
    target = RateTerms(unit=USD, rate=None, negotiated_tiers=third)
    elements = [BaseRate(), NegotiatedTiers(), VolumeTiers(), GraduatedTiers()]

    outcomes = run(
        elements,
        line(2, own, target=target),
        line(2, terms("10", tiers=half), target=target),
        line(2, terms("10", tiers=half)),
        line(2, replace(own, negotiated_tiers=())),
    )

    assert rates(outcomes) == ["15", "3", "5", "10"]
    assert outcomes[1].steps[1].inputs["tiers"] == "target"


def test_a_procedure_without_the_negotiated_elements_is_the_catalogs():
    sold = terms("10", negotiated_rate=price(2), negotiated_tiers=())
    sold = replace(sold, tiers=(tier(0, None, "PERCENTAGE", 50),))

    assert rates(compiled(DEFAULT[1]).run([line(2, sold)])) == ["5"]


def test_graduated_slices_have_their_own_rates_and_every_later_element_adjusts_each():
    price_ = terms("0.50", tiers=STEPPED, mode=TierMode.GRADUATED)
    sold = line(100, replace(price_, bounds=TierBounds.UPPER_INCLUSIVE))
    graduated = [BaseRate(), VolumeTiers(), GraduatedTiers()]
    halved = [*graduated, ManualDiscount(kind=DiscountKind.PERCENTAGE, value=Decimal(50))]
    more = [*graduated, FormulaElement(expression="net_unit_rate + 0.1")]

    amounts = [run(elements, sold)[0].amount for elements in (graduated, halved, more)]

    # 10 × 0.5 + 50 × 0.45 + 40 × 0.4; half of it; and ten cents more for each of a hundred.
    assert amounts == [Decimal("43.5"), Decimal("21.75"), Decimal("53.5")]


def test_units_that_are_priced_apart_read_as_their_average():
    sold = line(100, terms("0.50", tiers=STEPPED, mode=TierMode.GRADUATED))
    elements = [
        BaseRate(),
        GraduatedTiers(),
        FormulaElement(expression="net_unit_rate", variable="mean"),
    ]

    [rated] = run(elements, sold)

    assert rated.steps[-2].outputs == {"mean": "0.435"}


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"region": "EU", "plan": "gold"}, "8"),
        ({"region": "EU", "plan": "tin"}, "9"),
        ({"region": "EU"}, "9"),
        ({"region": "US"}, "12"),
        ({"region": "CH"}, "10"),
        ({}, "10"),
    ],
)
def test_attributes_of_the_line_adjust_the_rate(attributes, expected):
    rows = (
        AttributeRow(attributes=(("region", "EU"), ("plan", "gold")), adjustment=by("OVERRIDE", 8)),
        AttributeRow(attributes=(("region", "EU"),), adjustment=by("PERCENTAGE", 10)),
    )
    given_rows = (AttributeRow(attributes=(("region", "US"),), adjustment=by("AMOUNT", 2)),)
    sold = line(1, "10", attributes=attributes, adjustments=given_rows)

    assert rates(run([BaseRate(), AttributeAdjustment(rows=rows)], sold)) == [expected]


def test_the_lowest_commitment_holds_if_it_is_lower():
    committed = tuple(
        RateTerms(unit=USD, rate=None, tiers=(tier(0, None, "PERCENTAGE", percent),))
        for percent in (5, 20, 20, 0)
    )

    [rated] = run([BaseRate(), CommitmentRateElement()], line(2, terms("10", committed=committed)))

    assert (rated.net_unit_rate, rated.amount) == (8, 16)
    rows = [step for step in rated.steps if step.element == "COMMITMENT_RATE"]
    assert [(row.inputs["commitment"], row.inputs["value"]) for row in rows] == [
        ("1", "5"),
        ("2", "20"),
        ("3", "20"),
        ("4", "0"),
    ]
    assert [row.outputs["rate"] for row in rows] == ["9.5", "8", "8", "10"]
    assert [row.outputs["won"] for row in rows] == ["false", "true", "false", "false"]
    assert [row.note.split()[0] for row in rows] == ["another", "the", "another", "not"]


def test_a_commitment_that_is_not_lower_leaves_the_rate():
    dear = RateTerms(unit=USD, rate=price(11))

    [rated] = run([BaseRate(), CommitmentRateElement()], line(2, terms("10", committed=(dear,))))

    [row] = [step for step in rated.steps if step.element == "COMMITMENT_RATE"]
    assert rated.amount == 20
    assert (row.outputs["rate"], row.outputs["won"]) == ("11", "false")


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [("PERCENTAGE", "10", "9"), ("AMOUNT", "1.5", "8.5"), ("AMOUNT", "10.01", "RATE_NEGATIVE")],
)
def test_a_voucher_takes_a_part_or_an_amount_off_and_never_pays(kind, value, expected):
    element = ManualDiscount(kind=DiscountKind(kind), value=Decimal(value))

    assert rates(run([BaseRate(), element], line(3, "10"))) == [expected]


MATRIX = AdjustmentMatrix(
    columns=("region", "overage_quantity"),
    rows=(
        MatrixRow(cells=("EU", "100"), adjustment=by("OVERRIDE", 1)),
        MatrixRow(cells=("EU", None), adjustment=by("PERCENTAGE", 50)),
        MatrixRow(cells=(None, "7"), adjustment=by("AMOUNT", "0.5")),
    ),
)
REGION = RatingSetting(inputs=(Input(name="region", kind=ValueKind.TEXT),))


@pytest.mark.parametrize(
    ("region", "quantity", "expected"),
    [("EU", "100.0", "1"), ("EU", 7, "5"), ("US", 7, "10.5"), ("US", 100, "10")],
)
def test_the_first_row_that_fits_adjusts_the_rate_and_none_leaves_it(region, quantity, expected):
    sold = line(quantity, "10", attributes={"region": region})

    [rated] = run([BaseRate(), MATRIX], sold, setting=REGION)

    assert rates([rated]) == [expected]
    assert steps(rated)[1] == Element.ADJUSTMENT_MATRIX


def test_formulas_and_constants_write_the_rate_or_variables_of_the_procedure():
    elements = [
        BaseRate(),
        Assignment(variable="margin", value=Decimal("0.5")),
        FormulaElement(expression="overage_quantity * margin", variable="extra"),
        FormulaElement(expression="net_unit_rate + 3 + extra / overage_quantity - margin"),
    ]

    outcomes = run(elements, line(4, "10"), line(8, "20"))

    assert rates(outcomes) == ["13", "23"]
    assert outcomes[0].steps[2].outputs == {"extra": "2"}
    assert rates(run([Assignment(variable="net_unit_rate", value=Decimal(7))], line(2, "1"))) == [
        "7"
    ]


def test_a_rate_that_is_not_there_matters_only_to_what_reads_it():
    text = "7 if overage_quantity > 1 else net_unit_rate"

    assert rates(run([FormulaElement(expression=text)], line(2), line(1))) == [
        "7",
        "RATE_NOT_FOUND",
    ]


def test_a_rate_is_written_for_as_many_units_as_it_was_said_for():
    thousand = RateTerms(unit=USD, rate=price(5, 1000))

    [rated] = run(
        [BaseRate(), FormulaElement(expression="net_unit_rate + 1")], line(2000, thousand)
    )

    assert (rated.net_unit_rate, rated.amount) == (Decimal("0.006"), 12)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1 / (overage_quantity - 4)", "RATING_FAILED"),
        ("net_unit_rate - 11", "RATE_NEGATIVE"),
        ("overage_quantity ** 10 * 99999999999999999999999999", "AMOUNT_RANGE"),
        (" * ".join(["overage_quantity ** 10"] * 7), "RATING_FAILED"),
    ],
)
def test_a_formula_that_comes_to_nothing_good_fails_its_line_alone(text, reason):
    elements = [
        BaseRate(),
        ListGroup(condition="overage_quantity == 4", elements=(FormulaElement(expression=text),)),
    ]

    outcomes = run(elements, line(4, "10"), line(5, "10"))

    assert rates(outcomes) == [reason, "10"]
    assert steps(outcomes[0]) == [Element.BASE_RATE, Element.LIST_GROUP]


def test_inputs_have_defaults_or_are_needed():
    setting = RatingSetting(
        inputs=(
            Input(name="weight", kind=ValueKind.NUMBER),
            Input(name="plan", kind=ValueKind.TEXT, default="tin"),
        )
    )
    formula = FormulaElement(expression="net_unit_rate * weight if plan == 'gold' else weight")
    attributes = ({"weight": "2"}, {"weight": "2", "plan": "gold"}, {}, {"weight": "heavy"})
    lines = [line(1, "10", attributes=one) for one in attributes]

    outcomes = run([BaseRate(), formula], *lines, setting=setting)

    assert rates(outcomes) == ["2", "20", "RATING_FAILED", "RATING_FAILED"]
    assert [one.facts for one in outcomes[2:]] == [{"attribute": "weight"}] * 2


GROUP = ListGroup(
    condition="overage_quantity > 100",
    elements=(ManualDiscount(kind=DiscountKind.PERCENTAGE, value=Decimal(10)),),
)


def test_a_group_changes_only_the_lines_for_which_its_condition_holds():
    outcomes = run([BaseRate(), GROUP], *(line(n, "10") for n in (100, 101, 5, 400)))

    assert rates(outcomes) == ["10", "9", "10", "9"]
    assert [one.steps[1].outputs["holds"] for one in outcomes] == ["false", "true"] * 2


def test_a_list_operation_is_over_the_lines_that_are_there():
    share = FormulaElement(expression="net_unit_rate * overage_quantity / total")
    elements = [
        BaseRate(),
        ListOperation(function=ListFunction.SUM, source="overage_quantity", variable="total"),
        ListGroup(
            condition="overage_quantity > 10",
            elements=(
                ListOperation(function=ListFunction.COUNT, variable="lines"),
                ListOperation(
                    function=ListFunction.MINIMUM, source="net_unit_rate", variable="least"
                ),
                ListOperation(
                    function=ListFunction.MAXIMUM, source="net_unit_rate", variable="most"
                ),
                FormulaElement(expression="most - least + lines"),
            ),
        ),
        ListGroup(condition="overage_quantity <= 10", elements=(share,)),
    ]
    free = line(1000, "1", overage=OveragePolicy.FREE)

    outcomes = run(elements, line(20, "7"), line(10, "8"), line(30, "4"), line(9, None), free)

    # Of 60 units in lists ten are of the second line; between 7 and 4 there are 3, in two lines.
    assert rates(outcomes) == ["5", "1.333333333333", "5", "RATE_NOT_FOUND", "0"]


@pytest.mark.parametrize(
    ("value", "mode", "places", "expected"),
    [
        ("1.7", "UP", 0, "2"),
        ("1.3", "UP", 0, "2"),
        ("1.7", "HALF_UP", 0, "2"),
        ("1.3", "HALF_UP", 0, "1"),
        ("1.3", "DOWN", 0, "1"),
        ("1.7", "DOWN", 0, "1"),
        ("1.45", "HALF_UP", 1, "1.5"),
        ("1.45", "HALF_EVEN", 1, "1.4"),
        ("1.000000000001", "UP", 12, "1.000000000001"),
    ],
)
def test_the_rate_is_rounded(value, mode, places, expected):
    element = RoundRate(mode=Rounding(mode), places=places)

    assert rates(run([BaseRate(), element], line(10, value))) == [expected]


def test_what_follows_a_stop_is_skipped_and_shown():
    inside = (Stop(), Assignment(variable="net_unit_rate", value=Decimal(1)))
    elements = [
        BaseRate(),
        ListGroup(condition="overage_quantity > 100", elements=inside),
        ManualDiscount(name="voucher", kind=DiscountKind.PERCENTAGE, value=Decimal(50)),
        ListOperation(function=ListFunction.COUNT, variable="lines"),
    ]

    stopped, went_on = run(elements, line(101, "10"), line(100, "10"))

    assert rates([stopped, went_on]) == ["10", "5"]
    assert [step.element for step in stopped.steps if step.outputs.get("skipped")] == [
        Element.ASSIGNMENT,
        Element.MANUAL_DISCOUNT,
        Element.LIST_OPERATION,
    ]
    assert went_on.steps[-2].inputs["lines"] == "1"


@pytest.mark.parametrize("elements", [[VolumeTiers()], [RoundRate(mode=Rounding.UP, places=0)]])
def test_a_line_that_no_element_gave_a_rate_fails_and_is_never_zero(elements):
    assert rates(run(elements, line(3, "10"))) == ["RATE_NOT_FOUND"]


def test_a_negative_discount_is_a_surcharge():
    dearer = ManualDiscount(kind=DiscountKind.PERCENTAGE, value=Decimal(-50))
    rows = (MatrixRow(cells=("EU",), adjustment=by("PERCENTAGE", -20)),)
    matrix = AdjustmentMatrix(columns=("region",), rows=rows)
    setting = RatingSetting(inputs=(Input(name="region", kind=ValueKind.TEXT),))

    [found] = run(
        [BaseRate(), dearer, matrix], line(2, "10", attributes={"region": "EU"}), setting=setting
    )

    assert found.amount == 2 * 10 * Decimal("1.5") * Decimal("1.2")
