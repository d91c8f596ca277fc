"""The engine: runs lines through a program, all lines at one element before the next element.

A line that fails does not affect the others. Lists have the lines that remain: not those that cost
nothing, failed or stopped. No result depends on the order of the lines. Each line has its own time
limit, measured by a clock that the caller passes in.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, Inexact, InvalidOperation
from typing import Any

from server.domain.exact import ZERO, DecimalError, exact, parse_decimal, plain
from server.domain.limits import value_of
from server.domain.rating.procedures.elements import ListFunction, ValueKind
from server.domain.rating.procedures.formulas import Formula, FormulaFailed
from server.domain.rating.procedures.state import (
    Line,
    State,
    Value,
    no_rate,
    too_many_digits,
    unpriced,
)
from server.domain.rating.procedures.versions import TimeLimits
from server.domain.rating.procedures.waterfall import Element, Outcome, Rated, RatingFailed
from server.domain.rating.rates import ONE

Clock = Callable[[], int]
"""Returns nanoseconds since some fixed moment."""

MOST_LINES = value_of("procedure.lines")
MILLISECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Single:
    """An action on each line by itself."""

    element: Element
    apply: Callable[[State], None]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Instructions for the lines for which the condition is true."""

    condition: Formula
    body: tuple["Instruction", ...]
    name: str = ""
    element: Element = Element.LIST_GROUP


@dataclass(frozen=True, slots=True)
class Gather:
    """A value over all lines, written to each of them."""

    function: ListFunction
    source: str | None
    variable: str
    name: str = ""
    element: Element = Element.LIST_OPERATION


Instruction = Single | Group | Gather


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled version: instructions, limits, and the attributes that it may read.

    `singles` has all actions if every instruction is a `Single` and none stops; otherwise it is
    empty.
    """

    instructions: tuple[Instruction, ...]
    limits: TimeLimits
    inputs: tuple[tuple[str, ValueKind, Value | None], ...] = ()
    singles: tuple[Callable[[State], None], ...] = ()

    @exact
    def run(self, lines: Sequence[Line], *, clock: Clock | None = None) -> tuple[Outcome, ...]:
        """Return the outcome of each line in order: an amount, or a failure."""
        assert len(lines) <= MOST_LINES, len(lines)
        states = [self._begin(line) for line in lines]
        walk = _Run(self.limits, clock)
        walk.through(self.instructions, [state for state in states if isinstance(state, State)])
        return tuple(state if isinstance(state, Outcome) else walk.end(state) for state in states)

    def try_out(self, lines: Sequence[Line], *, clock: Clock | None = None) -> tuple[Outcome, ...]:
        """Return the outcome of each line by itself, after pricing the units before it."""
        apart = [replace(line, packages={}, flat_tiers=set()) for line in lines]
        # Pricing the earlier units first fills the packages that they begin, and charges the flat
        # amounts of the tiers that they enter.
        first = [replace(line, quantity=line.before, before=ZERO) for line in apart if line.before]
        self.run(first, clock=clock)
        return self.run(apart, clock=clock)

    def price(self, state: State) -> Rated:
        """Return the price of one line by a program that has only `singles`.

        This is the hot path: it is called in the `exact` context of the caller, and skips the
        bookkeeping of `run`. Raises RatingFailed.
        """
        try:
            for apply in self.singles:
                apply(state)
            return state.finish()
        except (Inexact, InvalidOperation) as error:
            raise too_many_digits() from error

    def _begin(self, line: Line) -> State | Outcome:
        assert min(line.quantity, line.before) >= 0, line
        if line.quantity == 0 or line.costs_nothing:
            return unpriced(line)
        if line.terms is None:
            return no_rate(line.quantity)
        # Attributes of the usage replace those of the sale with the same name.
        state = State(
            line.quantity,
            line.terms,
            line.tier_quantity,
            line.before,
            line.used,
            line.target,
            {**line.terms.attributes, **line.attributes},
            line.adjustments or line.terms.adjustments,
            line.packages,
            line.flat_tiers,
        )
        try:
            self._read_attributes(state)
        except RatingFailed as failure:
            return failure
        return state

    def _read_attributes(self, state: State) -> None:
        # Before the first element, so that a line without a required attribute fails before any
        # step.
        for name, kind, default in self.inputs:
            text = state.attributes.get(name)
            value = default if text is None else read_value(text, kind)
            if value is None:
                words = "is not given" if text is None else "is no number"
                raise RatingFailed(
                    "RATING_FAILED", f"the attribute {name} {words}", {"attribute": name}
                )
            state.keep(name, value)


class _Run:
    """One run with its limits and its clock."""

    def __init__(self, limits: TimeLimits, clock: Clock | None) -> None:
        self._clock = clock
        self._element = limits.element * MILLISECOND
        self._run = limits.run * MILLISECOND

    def through(self, instructions: tuple[Instruction, ...], states: list[State]) -> None:
        """Run the lines through all instructions."""
        for instruction in instructions:
            live = []
            for state in states:
                # A stopped line gets a step for each element that it skips; a failed line gets no
                # more steps.
                if state.is_stopped and state.outcome is None:
                    skip(state, instruction)
                elif state.outcome is None:
                    live.append(state)
            match instruction:
                case Single():
                    for state in live:
                        self._apply(state, instruction.apply, instruction)
                case Group():
                    inside = [state for state in live if self._holds(state, instruction)]
                    self.through(instruction.body, inside)
                case Gather():
                    self._gather(instruction, live)

    def end(self, state: State) -> Outcome:
        """Return the outcome of a line."""
        if state.outcome is None:
            self._guard(state, lambda: setattr(state, "outcome", state.finish()))
        assert state.outcome is not None, state
        return state.outcome

    def _apply(
        self, state: State, apply: Callable[[State], None], instruction: Instruction
    ) -> None:
        if self._clock is None:
            self._guard(state, lambda: apply(state))
            return
        # Checked after the element, which cannot be interrupted; the size limits of formulas keep
        # each one short.
        begun = self._clock()
        self._guard(state, lambda: apply(state))
        took = self._clock() - begun
        state.spent += took
        if state.outcome is None and (took > self._element or state.spent > self._run):
            state.fail(_too_slow(took > self._element, instruction))

    def _guard(self, state: State, act: Callable[[], None]) -> None:
        """Run an action, and turn its errors into a failure of this line only."""
        try:
            act()
        except RatingFailed as failure:
            state.fail(failure)
        except (Inexact, InvalidOperation):
            state.fail(too_many_digits())

    def _holds(self, state: State, group: Group) -> bool:
        found: list[bool] = []

        def ask(state: State) -> None:
            found.append(evaluate(group.condition, state, group.name))
            inputs = shown(group.condition, LineVariables(state))
            state.add(Element.LIST_GROUP, inputs, {"holds": str(found[0]).lower()}, group.name)

        self._apply(state, ask, group)
        return state.outcome is None and found[0]

    def _gather(self, gather: Gather, states: list[State]) -> None:
        """Compute the value over the lines that have the variable; other lines fail."""
        found: list[tuple[State, Decimal]] = []

        def read(state: State) -> None:
            value = ONE if gather.source is None else state.value(gather.source)
            assert isinstance(value, Decimal), value
            found.append((state, value))

        for state in states:
            self._apply(state, read, gather)
        # Some lines may have failed or exceeded their time while the variable was read.
        found = [(state, value) for state, value in found if state.outcome is None]
        if not found:
            return
        live = [state for state, _ in found]
        try:
            figure = _figure(gather.function, [value for _, value in found])
        # The sum belongs to all lines, so all of them fail.
        except Inexact:
            for state in live:
                state.fail(too_many_digits())
            return
        for state in live:
            state.keep(gather.variable, figure)
            inputs = {"function": str(gather.function), "lines": str(len(live))}
            if gather.source is not None:
                inputs["variable"] = gather.source
            outputs = {gather.variable: plain(figure)}
            state.add(Element.LIST_OPERATION, inputs, outputs, gather.name)


def evaluate(
    formula: Formula, state: State, name: str, names: "LineVariables | None" = None
) -> Any:
    """Return the value of a formula. Raises RATING_FAILED, and any error of reading a variable."""
    try:
        return formula.value(LineVariables(state) if names is None else names)
    except FormulaFailed as error:
        words = f"{name or formula.source[:64]}: {error}"
        raise RatingFailed("RATING_FAILED", words, {"formula": formula.source[:64]}) from None


class LineVariables:
    """The variables of a line for a formula; the rate of one part may replace the line's rate."""

    __slots__ = ("_rate", "_state")

    def __init__(self, state: State, rate: Decimal | None = None) -> None:
        self._state, self._rate = state, rate

    def __getitem__(self, name: str) -> Value:
        if name == "net_unit_rate" and self._rate is not None:
            return self._rate
        return self._state.value(name)


def shown(formula: Formula, names: LineVariables) -> dict[str, str]:
    """Return a formula and its variables for a step; a rate that does not exist is left out."""
    inputs = {"formula": formula.source}
    for name in formula.reads:
        try:
            value = names[name]
        except RatingFailed:
            continue
        inputs[name] = value if isinstance(value, str) else plain(value)
    return inputs


def read_value(text: str, kind: ValueKind) -> Value | None:
    """Return an attribute as a value of its declared kind, or None if it is not a number."""
    if kind is ValueKind.TEXT:
        return text
    try:
        return parse_decimal(text)
    except DecimalError:
        return None


def skip(state: State, instruction: Instruction) -> None:
    """Add a step that records a skipped element."""
    state.add(instruction.element, {}, {"skipped": "true"}, instruction.name or "rating stopped")


def _figure(function: ListFunction, values: list[Decimal]) -> Decimal:
    match function:
        case ListFunction.SUM | ListFunction.COUNT:
            return sum(values, ZERO)
        case ListFunction.MINIMUM:
            return min(values)
        case ListFunction.MAXIMUM:
            return max(values)


def _too_slow(is_element: bool, instruction: Instruction) -> RatingFailed:
    what = instruction.name or instruction.element
    words = f"{what} took longer than an element may" if is_element else "took longer than it may"
    return RatingFailed("TIME_LIMIT", words, {"element": what})
