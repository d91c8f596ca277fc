"""Programs: compiles a version, or refuses it with the first wrong element.

A rating procedure has the setting first, 2 to 70 elements, groups at most three deep, and every
variable is known where it is read. A variable that a group sets is known in that group only. A
discovery procedure has 1 to 50 sources, each once, and completes rates of the catalog only if it
searches these.
"""

import keyword
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import assert_never

from server.domain.caches import memoize
from server.domain.errors import InvalidArgument
from server.domain.limits import value_of
from server.domain.rating.procedures import elements as el
from server.domain.rating.procedures import pricing, writing
from server.domain.rating.procedures.elements import (
    BUILT_IN,
    NET_UNIT_RATE,
    Agreed,
    ProcedureElement,
    ValueKind,
)
from server.domain.rating.procedures.engine import (
    Gather,
    Group,
    Instruction,
    Program,
    Single,
    read_value,
)
from server.domain.rating.procedures.formulas import (
    FUNCTIONS,
    Formula,
    FormulaFault,
    compile_formula,
)
from server.domain.rating.procedures.state import State, Value
from server.domain.rating.procedures.versions import ProcedureUsage, TimeLimits, Version
from server.domain.rating.procedures.waterfall import Element
from server.domain.rating.rates import TierMode

COUNTS = {
    ProcedureUsage.RATING: range(2, value_of("procedure.elements") + 1),
    ProcedureUsage.DISCOVERY: range(1, 51),
}
RUN_MILLISECONDS, ELEMENT_MILLISECONDS = range(1_000, 60_001), range(4, 10_001)
DEEPEST, MOST_INPUTS = 3, 50
_RATES = el.LookupSource.CATALOG_RATES
_ADDED = (el.LookupSource.CATALOG_TIERS, el.LookupSource.CATALOG_ATTRIBUTES)
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)

_Plain = (
    el.BaseRate
    | el.NegotiatedRate
    | el.VolumeTiers
    | el.GraduatedTiers
    | el.NegotiatedTiers
    | el.AttributeAdjustment
    | el.CommitmentRateElement
    | el.ManualDiscount
    | el.RoundRate
    | el.Stop
)
Input = tuple[str, ValueKind, Value | None]


@memoize(entries=256, entry_bytes=1_048_576)
def compiled(version: Version) -> Program:
    """Return the program of a version that was checked when it was saved."""
    return compile_rating(version.elements, version.limits)


def check(
    elements: tuple[ProcedureElement, ...], usage: ProcedureUsage, *, path: str = "elements"
) -> None:
    """Raise PROCEDURE_INVALID or FORMULA_INVALID for the first wrong element."""
    if usage is ProcedureUsage.RATING:
        compile_rating(elements, TimeLimits(), path=path)
        return
    _check_count(elements, usage, path)
    seen: set[el.LookupSource] = set()
    for index, element in enumerate(elements):
        if not isinstance(element, el.Lookup):
            raise _invalid(f"{path}[{index}]", "a procedure of discovery is made of lookups")
        if element.source in seen:
            raise _invalid(f"{path}[{index}]", f"looks in {element.source} a second time")
        seen.add(element.source)
    # After all sources are known: tiers may be listed before the rates that they complete.
    for index, element in enumerate(elements):
        if isinstance(element, el.Lookup) and element.source in _ADDED and _RATES not in seen:
            text = f"{element.source} adds to a rate of {_RATES}, where nothing looks"
            raise _invalid(f"{path}[{index}]", text)


def compile_rating(
    elements: tuple[ProcedureElement, ...], limits: TimeLimits, *, path: str = "elements"
) -> Program:
    """Return the program of a rating procedure. Raises PROCEDURE_INVALID, FORMULA_INVALID."""
    _check_count(elements, ProcedureUsage.RATING, path)
    setting = elements[0]
    if not isinstance(setting, el.RatingSetting):
        raise _invalid(f"{path}[0]", "the first element is the rating setting")
    inputs = _inputs(setting, f"{path}[0]")
    known = dict(BUILT_IN) | {name: kind for name, kind, _ in inputs}
    compiler = _ProgramCompiler(frozenset(known))
    instructions = compiler.compile(elements[1:], known, path, first=1)
    singles = [instruction for instruction in instructions if isinstance(instruction, Single)]
    # A stop needs the bookkeeping of `Program.run`, so it excludes the hot path `Program.price`.
    is_plain = len(singles) == len(instructions) and not any(
        single.element is Element.STOP for single in singles
    )
    return Program(
        instructions,
        limits,
        inputs,
        tuple(single.apply for single in singles) if is_plain else (),
    )


def _check_count(elements: tuple[ProcedureElement, ...], usage: ProcedureUsage, path: str) -> None:
    count = count_elements(elements)
    allowed = COUNTS[usage]
    if count not in allowed:
        text = f"a procedure has {allowed[0]} to {allowed[-1]} elements, not {count}"
        raise _invalid(path, text)


def count_elements(elements: Iterable[ProcedureElement]) -> int:
    """Return the number of elements, including those in groups."""
    return sum(1 for _ in _all(elements))


def _all(elements: Iterable[ProcedureElement]) -> Iterable[ProcedureElement]:
    for element in elements:
        yield element
        if isinstance(element, el.ListGroup):
            yield from _all(element.elements)


def _inputs(setting: el.RatingSetting, path: str) -> tuple[Input, ...]:
    if len(setting.inputs) > MOST_INPUTS:
        raise _invalid(path, f"names more than {MOST_INPUTS} inputs")
    found: dict[str, Input] = {}
    for attribute in setting.inputs:
        name, kind = attribute.name, attribute.kind
        _check_name(name, path, taken=frozenset(found) | set(BUILT_IN))
        default = None if attribute.default is None else read_value(attribute.default, kind)
        if kind is ValueKind.TRUTH or (attribute.default is not None and default is None):
            raise _invalid(path, f"the default of {name} is not of its kind")
        found[name] = (name, kind, default)
    return tuple(found.values())


def _check_name(name: str, path: str, *, taken: frozenset[str]) -> None:
    # Formulas are parsed as Python, in which a keyword cannot be a variable.
    if NAME.fullmatch(name) is None or keyword.iskeyword(name) or name in FUNCTIONS:
        raise _invalid(path, f"{name[:64]!r} is no name for a variable")
    if name in taken:
        raise _invalid(path, f"the variable {name} cannot be written")


def _invalid(path: str, text: str) -> InvalidArgument:
    return InvalidArgument.at(path, "PROCEDURE_INVALID", text, element=path)


@dataclass(frozen=True, slots=True)
class _ProgramCompiler:
    """Turns elements into instructions; `fixed` are the variables that none may write."""

    fixed: frozenset[str]

    def compile(
        self,
        elements: tuple[ProcedureElement, ...],
        known: dict[str, ValueKind],
        path: str,
        *,
        first: int = 0,
        depth: int = 0,
    ) -> tuple[Instruction, ...]:
        """Return the instructions in order; `known` gains the variables that they set."""
        return tuple(
            self._instruction(element, known, f"{path}[{index}]", depth)
            for index, element in enumerate(elements, first)
        )

    def _instruction(
        self, element: ProcedureElement, known: dict[str, ValueKind], path: str, depth: int
    ) -> Instruction:
        match element:
            case el.RatingSetting():
                raise _invalid(path, "the rating setting is the first element and no other")
            case el.Lookup():
                raise _invalid(path, "a rating procedure does not look for rates")
            case el.AdjustmentMatrix() | el.FormulaElement() | el.Assignment():
                return self._writing(element, known, path)
            case el.ListGroup():
                return self._group(element, known, path, depth)
            case el.ListOperation():
                return self._operation(element, known, path)
            case _:
                return _plain(element, path)

    def _writing(
        self,
        element: el.AdjustmentMatrix | el.FormulaElement | el.Assignment,
        known: dict[str, ValueKind],
        path: str,
    ) -> Single:
        match element:
            case el.AdjustmentMatrix():
                rows = _matrix_rows(element, known, path)
                apply = partial(writing.matrix, element=element, rows=rows)
                return _single(Element.ADJUSTMENT_MATRIX, apply, element)
            case el.FormulaElement():
                at = f"{path}.formula.expression"
                formula = _formula(element.expression, known, ValueKind.NUMBER, at)
                self._write(element.variable, known, path)
                apply = partial(writing.formula, element=element, formula=formula)
                return _single(Element.FORMULA, apply, element)
            case el.Assignment():
                self._write(element.variable, known, path)
                apply = partial(writing.assignment, element=element)
                return _single(Element.ASSIGNMENT, apply, element)

    def _write(self, name: str, known: dict[str, ValueKind], path: str) -> None:
        """Declare the variable for the elements that follow."""
        if name != NET_UNIT_RATE:
            _check_name(name, path, taken=self.fixed)
            known[name] = ValueKind.NUMBER

    def _group(
        self, element: el.ListGroup, known: dict[str, ValueKind], path: str, depth: int
    ) -> Group:
        if depth >= DEEPEST:
            raise _invalid(path, f"groups are at most {DEEPEST} deep")
        if not element.elements:
            raise _invalid(path, "a group without elements does nothing")
        at = f"{path}.list_group"
        condition = _formula(element.condition, known, ValueKind.TRUTH, f"{at}.condition")
        inner = f"{at}.elements"
        # A copy, because a variable that a group sets may have no value for the lines outside it.
        body = self.compile(element.elements, dict(known), inner, depth=depth + 1)
        return Group(condition, body, element.name)

    def _operation(
        self, element: el.ListOperation, known: dict[str, ValueKind], path: str
    ) -> Gather:
        source = element.source
        if (source is None) != (element.function is el.ListFunction.COUNT):
            raise _invalid(path, "COUNT is of lines, every other function of a variable")
        if source is not None and known.get(source) is not ValueKind.NUMBER:
            raise _invalid(path, f"there is no number {source[:64]} here")
        if element.variable == NET_UNIT_RATE:
            raise _invalid(path, "a figure of all lines is no rate; a formula can make it one")
        self._write(element.variable, known, path)
        return Gather(element.function, source, element.variable, element.name)


def _plain(element: _Plain, path: str) -> Single:
    """Return the action of an element that needs no variable."""
    match element:
        case el.BaseRate():
            return _single(Element.BASE_RATE, pricing.base_rate, element)
        case el.NegotiatedRate(order=order):
            apply = partial(pricing.negotiated_rate, order=_order(order, path))
            return _single(Element.NEGOTIATED_RATE, apply, element)
        case el.VolumeTiers():
            apply = partial(pricing.catalog_tiers, mode=TierMode.VOLUME)
            return _single(Element.VOLUME_TIER, apply, element)
        case el.GraduatedTiers():
            apply = partial(pricing.catalog_tiers, mode=TierMode.GRADUATED)
            return _single(Element.GRADUATED_TIER, apply, element)
        case el.NegotiatedTiers(order=order):
            apply = partial(pricing.negotiated_tiers, order=_order(order, path))
            return _single(Element.NEGOTIATED_TIERS, apply, element)
        case el.AttributeAdjustment(rows=rows):
            apply = partial(pricing.attribute_adjustment, rows=rows)
            return _single(Element.ATTRIBUTE_ADJUSTMENT, apply, element)
        case el.CommitmentRateElement():
            return _single(Element.COMMITMENT_RATE, pricing.commitment_rate, element)
        case el.ManualDiscount():
            apply = partial(writing.discount, element=element)
            return _single(Element.MANUAL_DISCOUNT, apply, element)
        case el.RoundRate():
            apply = partial(writing.round_rate, element=element)
            return _single(Element.ROUNDING, apply, element)
        case el.Stop():
            return _single(Element.STOP, partial(writing.stop, element=element), element)
        case _:
            assert_never(element)


def _single(kind: Element, apply: Callable[[State], None], element: ProcedureElement) -> Single:
    return Single(kind, apply, element.name)


def _order(order: tuple[Agreed, ...], path: str) -> tuple[Agreed, ...]:
    if not order or len(set(order)) != len(order):
        raise _invalid(path, "must list each source of a negotiated rate once")
    return order


def _formula(source: str, known: dict[str, ValueKind], kind: ValueKind, path: str) -> Formula:
    try:
        return compile_formula(source, known, kind)
    except FormulaFault as error:
        text = f"{error.message} (character {error.position})"
        position = str(error.position)
        raise InvalidArgument.at(
            path, "FORMULA_INVALID", text, element=path, position=position
        ) from None


def _matrix_rows(
    element: el.AdjustmentMatrix, known: dict[str, ValueKind], path: str
) -> tuple[tuple[Value | None, ...], ...]:
    """Return the cells as values of the kinds of their columns."""
    for column in element.columns:
        if column not in known:
            raise _invalid(path, f"there is no variable {column[:64]} here")
    rows = []
    for index, row in enumerate(element.rows):
        if len(row.cells) != len(element.columns):
            raise _invalid(path, f"row {index} has {len(row.cells)} cells, not a cell a column")
        pairs = zip(row.cells, element.columns, strict=True)
        cells = [None if cell is None else read_value(cell, known[name]) for cell, name in pairs]
        # None in a row means any value; None from `read_value` means that the cell is not a number.
        if [cell is None for cell in cells] != [cell is None for cell in row.cells]:
            raise _invalid(path, f"row {index} has a cell that is no number")
        rows.append(tuple(cells))
    return tuple(rows)
