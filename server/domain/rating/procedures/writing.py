"""The elements that write values themselves: discounts, matrices, formulas, rounding, stops.

Written values are for the `per` units of the rate. A rate below zero is refused.
"""

from dataclasses import replace
from decimal import Decimal

from server.domain.exact import plain, round_to
from server.domain.rating.procedures import elements as el
from server.domain.rating.procedures.elements import NET_UNIT_RATE
from server.domain.rating.procedures.engine import LineVariables, evaluate, shown
from server.domain.rating.procedures.formulas import Formula
from server.domain.rating.procedures.pricing import adjustment_text, reprice, rewrite
from server.domain.rating.procedures.state import State, Value, no_rate, rate_text
from server.domain.rating.procedures.waterfall import Element
from server.domain.rating.rates import Adjustment, AdjustmentKind


def discount(state: State, element: el.ManualDiscount) -> None:
    """Subtract a percentage or an amount from the rate."""
    if element.kind is el.DiscountKind.PERCENTAGE:
        adjustment = Adjustment(kind=AdjustmentKind.PERCENTAGE, value=element.value)
    else:
        adjustment = Adjustment(kind=AdjustmentKind.AMOUNT, value=-element.value)
    inputs = {"discount": str(element.kind), "value": plain(element.value)}
    reprice(state, adjustment, Element.MANUAL_DISCOUNT, inputs, element.name)


def matrix(
    state: State, element: el.AdjustmentMatrix, rows: tuple[tuple[Value | None, ...], ...]
) -> None:
    """Apply the first row that matches; without one, only add a step."""
    values = [state.value(column) for column in element.columns]
    texts = [value if isinstance(value, str) else plain(value) for value in values]
    inputs = dict(zip(element.columns, texts, strict=True))
    for cells, row in zip(rows, element.rows, strict=True):
        pairs = zip(cells, values, strict=True)
        if all(cell is None or cell == value for cell, value in pairs):
            inputs |= adjustment_text(row.adjustment)
            reprice(state, row.adjustment, Element.ADJUSTMENT_MATRIX, inputs, element.name)
            return
    note = element.name or "no row fits: the rate stays"
    state.add(Element.ADJUSTMENT_MATRIX, inputs, {"matched": "false"}, note)


def formula(state: State, element: el.FormulaElement, formula: Formula) -> None:
    """Write the value of an expression to a variable; for the rate, to each part by itself."""
    if element.variable != NET_UNIT_RATE:
        value = evaluate(formula, state, element.name)
        outputs = {element.variable: plain(value)}
        state.keep(element.variable, value)
        state.add(Element.FORMULA, shown(formula, LineVariables(state)), outputs, element.name)
        return
    # A line without a rate has no parts, and may get its first rate here.
    own = [LineVariables(state, part.rate.value) for part in state.parts] or [LineVariables(state)]
    values = [evaluate(formula, state, element.name, names) for names in own]
    read = [shown(formula, names) for names in own]
    rewrite(state, values)
    for part, inputs in zip(state.parts, read, strict=True):
        state.add(Element.FORMULA, inputs, rate_text(part.rate), element.name)


def assignment(state: State, element: el.Assignment) -> None:
    """Write a constant to a variable."""
    inputs = {"value": plain(element.value)}
    if element.variable != NET_UNIT_RATE:
        state.keep(element.variable, element.value)
        outputs = {element.variable: plain(element.value)}
        state.add(Element.ASSIGNMENT, inputs, outputs, element.name)
        return
    rewrite(state, [element.value] * max(1, len(state.parts)))
    for part in state.parts:
        state.add(Element.ASSIGNMENT, inputs, rate_text(part.rate), element.name)


def round_rate(state: State, element: el.RoundRate) -> None:
    """Round the rate to a number of places."""
    if not state.parts:
        raise no_rate(state.quantity)
    rounded: list[Decimal] = []
    mode, places = {"mode": str(element.mode)}, {"places": str(element.places)}
    for part in state.parts:
        value = round_to(part.rate.value, element.places, element.mode)
        rounded.append(value)
        outputs = rate_text(replace(part.rate, value=value))
        state.add(Element.ROUNDING, rate_text(part.rate) | mode | places, outputs, element.name)
    rewrite(state, rounded)


def stop(state: State, element: el.Stop) -> None:
    """Skip the elements that follow."""
    state.is_stopped = True
    state.add(Element.STOP, {}, {}, element.name or "what follows is skipped")
