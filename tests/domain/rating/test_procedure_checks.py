"""Checks of a procedure before it is saved, and the version that rates on a day."""

from datetime import date
from decimal import Decimal

import pytest

from server.domain.errors import InvalidArgument
from server.domain.exact import Rounding
from server.domain.ids import ProcedureId, ProcedureVersionId
from server.domain.modeling.catalog import CatalogState
from server.domain.rating.procedures.elements import (
    AdjustmentMatrix,
    Assignment,
    BaseRate,
    FormulaElement,
    Input,
    ListFunction,
    ListGroup,
    ListOperation,
    Lookup,
    LookupSource,
    MatrixRow,
    NegotiatedRate,
    RatingSetting,
    RoundRate,
    Stop,
    ValueKind,
)
from server.domain.rating.procedures.programs import check, compiled
from server.domain.rating.procedures.shipped import SHIPPED
from server.domain.rating.procedures.versions import ProcedureUsage, Version, VersionVerdict, choose
from tests.domain.procedure_words import by

SETTING = RatingSetting()
ROUND = RoundRate(mode=Rounding.UP, places=0)


def nested(depth: int) -> ListGroup:
    inner = (Stop(),) if depth == 1 else (nested(depth - 1),)
    return ListGroup(condition="overage_quantity > 1", elements=inner)


def setting(name: str, kind: str = "NUMBER", default: str | None = None) -> RatingSetting:
    return RatingSetting(inputs=(Input(name=name, kind=ValueKind(kind), default=default),))


def matrix(
    *cells: str | None, columns: tuple[str, ...] = ("overage_quantity",)
) -> AdjustmentMatrix:
    return AdjustmentMatrix(
        columns=columns, rows=(MatrixRow(cells=cells, adjustment=by("AMOUNT", 1)),)
    )


def figure(function: str, source: str | None, variable: str = "total") -> ListOperation:
    return ListOperation(function=ListFunction(function), source=source, variable=variable)


def refused(*elements, usage: ProcedureUsage = ProcedureUsage.RATING) -> InvalidArgument:
    with pytest.raises(InvalidArgument) as error:
        check(elements, usage)
    return error.value


@pytest.mark.parametrize(
    ("elements", "path"),
    [
        ((BaseRate(), ROUND), "elements[0]"),
        ((SETTING,), "elements"),
        ((SETTING, *[ROUND] * 70), "elements"),
        ((SETTING, ListGroup(condition="1 > 0", elements=(ROUND,) * 69)), "elements"),
        ((SETTING, BaseRate(), SETTING), "elements[2]"),
        ((SETTING, Lookup(source=LookupSource.ASSET)), "elements[1]"),
        ((SETTING, NegotiatedRate(order=())), "elements[1]"),
        ((SETTING, ListGroup(condition="1 > 0", elements=())), "elements[1]"),
        (
            (SETTING, nested(4)),
            "elements[1].list_group.elements[0].list_group.elements[0].list_group.elements[0]",
        ),
        ((SETTING, Assignment(variable="overage_quantity", value=Decimal(1))), "elements[1]"),
        ((SETTING, Assignment(variable="min", value=Decimal(1))), "elements[1]"),
        ((SETTING, Assignment(variable="class", value=Decimal(1))), "elements[1]"),
        ((SETTING, Assignment(variable="Not A Name", value=Decimal(1))), "elements[1]"),
        ((setting("region"), Assignment(variable="region", value=Decimal(1))), "elements[1]"),
        ((setting("base_rate"), ROUND), "elements[0]"),
        ((setting("weight", default="heavy"), ROUND), "elements[0]"),
        ((setting("weight", "TRUTH"), ROUND), "elements[0]"),
        ((SETTING, matrix("1", columns=("color",))), "elements[1]"),
        ((SETTING, matrix("many")), "elements[1]"),
        ((SETTING, matrix("1", "2")), "elements[1]"),
        ((SETTING, figure("SUM", None)), "elements[1]"),
        ((SETTING, figure("COUNT", "overage_quantity")), "elements[1]"),
        ((SETTING, figure("SUM", "color")), "elements[1]"),
        ((setting("region", "TEXT"), figure("MAXIMUM", "region")), "elements[1]"),
        ((SETTING, figure("SUM", "base_rate", "net_unit_rate")), "elements[1]"),
    ],
)
def test_what_is_no_procedure_is_refused_by_its_element(elements, path):
    error = refused(*elements)

    assert (error.reason, error.facts["element"]) == ("PROCEDURE_INVALID", path)


@pytest.mark.parametrize(
    ("element", "path", "position"),
    [
        (
            FormulaElement(expression="net_unit_rate + price"),
            "elements[1].formula.expression",
            "17",
        ),
        (FormulaElement(expression="1 / 0"), "elements[1].formula.expression", "5"),
        (
            ListGroup(condition="1 + 1", elements=(Stop(),)),
            "elements[1].list_group.condition",
            "1",
        ),
        (
            ListGroup(condition="1 > 0", elements=(FormulaElement(expression="10**10**10"),)),
            "elements[1].list_group.elements[0].formula.expression",
            "5",
        ),
    ],
)
def test_a_formula_that_is_none_is_refused_where_it_stands(element, path, position):
    error = refused(SETTING, element)

    assert error.reason == "FORMULA_INVALID"
    assert (error.facts["element"], error.facts["position"]) == (path, position)


def test_a_variable_is_known_after_it_is_set_and_within_its_group():
    sets = Assignment(variable="extra", value=Decimal(1))
    reads = FormulaElement(expression="net_unit_rate + extra")
    group = ListGroup(condition="1 > 0", elements=(sets, reads))

    check((SETTING, BaseRate(), sets, reads), ProcedureUsage.RATING)
    check((SETTING, BaseRate(), group), ProcedureUsage.RATING)
    assert refused(SETTING, BaseRate(), reads, sets).reason == "FORMULA_INVALID"
    assert refused(SETTING, BaseRate(), group, reads).reason == "FORMULA_INVALID"


def test_seventy_elements_and_groups_three_deep_are_a_procedure():
    check((SETTING, *[ROUND] * 69), ProcedureUsage.RATING)
    check((SETTING, nested(3)), ProcedureUsage.RATING)


def test_a_procedure_of_discovery_is_lookups_each_once():
    catalog = Lookup(source=LookupSource.CATALOG_RATES)

    check((catalog,), ProcedureUsage.DISCOVERY)
    for elements in ((), (catalog, catalog), (BaseRate(),), (catalog,) * 51):
        assert refused(*elements, usage=ProcedureUsage.DISCOVERY).reason == "PROCEDURE_INVALID"


@pytest.mark.parametrize("source", [LookupSource.CATALOG_TIERS, LookupSource.CATALOG_ATTRIBUTES])
def test_what_adds_to_rates_of_the_catalog_needs_them_anywhere_in_the_stack(source):
    asset, catalog = Lookup(source=LookupSource.ASSET), Lookup(source=LookupSource.CATALOG_RATES)
    adds = Lookup(source=source)

    check((adds, asset, catalog), ProcedureUsage.DISCOVERY)
    check((catalog, adds), ProcedureUsage.DISCOVERY)
    error = refused(asset, adds, usage=ProcedureUsage.DISCOVERY)
    assert (error.reason, error.facts["element"]) == ("PROCEDURE_INVALID", "elements[1]")


def test_what_is_shipped_is_right():
    for procedure, version in SHIPPED:
        check(version.elements, procedure.usage)
        if procedure.usage is ProcedureUsage.RATING:
            assert compiled(version) is compiled(version)


def version(name: str, rank: int, start: str | None = None, end: str | None = None) -> Version:
    return Version(
        procedure_id=ProcedureId("p"),
        id=ProcedureVersionId(name),
        display_name="",
        rank=rank,
        start_date=None if start is None else date.fromisoformat(start),
        end_date=None if end is None else date.fromisoformat(end),
        elements=(SETTING, BaseRate()),
    )


def test_the_highest_rank_in_force_wins_and_the_others_say_why_not():
    versions = [
        (version("first", 1), CatalogState.ACTIVE),
        (version("second", 2, "2024-01-01", "2024-02-01"), CatalogState.ACTIVE),
        (version("later", 3, "2024-01-15"), CatalogState.ACTIVE),
        (version("draft", 9), CatalogState.DRAFT),
    ]

    winners = {}
    for day in ("2023-12-31", "2024-01-01", "2024-01-14", "2024-01-15", "2024-02-01"):
        winner, _ = choose(versions, date.fromisoformat(day))
        winners[day] = winner.id if winner else None
    _, candidates = choose(versions, date(2024, 1, 1))

    assert list(winners.values()) == ["first", "second", "second", "later", "later"]
    assert [(one.version.id, one.verdict) for one in candidates] == [
        ("draft", VersionVerdict.NOT_ACTIVE),
        ("later", VersionVerdict.NOT_IN_FORCE),
        ("second", VersionVerdict.WON),
        ("first", VersionVerdict.OUTRANKED),
    ]
    assert choose(versions[3:], date(2024, 1, 1))[0] is None
