"""Formulas: a small language over decimals, compiled when a procedure is saved.

The language has numbers, quoted texts, variables, `+ - * / **`, comparisons, `and or not`, `a if b
else c`, and the functions `min max abs floor ceil`. Everything else is refused: attributes, other
calls and unknown names, so a compiled formula needs no trust. Literals are decimals. A result has
at most 40 digits. A quotient has 12 places, rounded half to even. An exponent is a literal from 0
to 10. Parts without a variable are computed once, at compilation.

Only this module uses `simpleeval`, which evaluates the tree that was checked here. It is part of
the domain because a formula is a function of values like any other.
"""

import ast
import operator
import warnings
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from decimal import Decimal, DecimalException
from typing import Any, Protocol

from simpleeval import SimpleEval

from server.domain.exact import (
    PLACES,
    DecimalError,
    Rounding,
    divide,
    exact,
    parse_decimal,
    round_to,
)
from server.domain.limits import value_of
from server.domain.rating.procedures.elements import ValueKind

LONGEST = value_of("formula.characters")
MOST_NODES, MOST_DIGITS, MOST_TEXT = 200, 40, 200
NUMBER, TEXT, TRUTH = ValueKind.NUMBER, ValueKind.TEXT, ValueKind.TRUTH
EXPONENTS = frozenset(map(Decimal, range(11)))


class VariableLookup(Protocol):
    """A mapping that returns the value of a variable."""

    def __getitem__(self, name: str, /) -> Any: ...


class FormulaFault(Exception):
    """A compile error of a formula, with the character position, counted from 1."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.message, self.position = message, position


class FormulaFailed(Exception):
    """A formula has no value for the current values of its variables."""


@dataclass(frozen=True, slots=True)
class Formula:
    """A compiled formula: its text, and the variables that it reads, in order."""

    source: str
    reads: tuple[str, ...]
    _tree: ast.expr

    def value(self, names: "VariableLookup") -> Any:
        """Return the value. Raises FormulaFailed, and any error of reading `names`."""
        before = _names.set(names)
        try:
            return _evaluate(self.source, self._tree)
        finally:
            _names.reset(before)


@exact
def compile_formula(source: str, known: Mapping[str, ValueKind], kind: ValueKind) -> Formula:
    """Return a formula over the variables `known` whose value is of `kind`. Raises FormulaFault."""
    text = source.strip()
    lead = len(source) - len(source.lstrip())
    # Before parsing, so that the length of the text bounds the work of the parser.
    if len(source) > LONGEST:
        raise FormulaFault(f"has more than {LONGEST} characters", LONGEST + 1)
    if not text:
        raise FormulaFault("is empty", 1)
    tree = _parse(text, lead)
    if sum(isinstance(node, ast.expr) for node in ast.walk(tree)) > MOST_NODES:
        raise FormulaFault(f"has more than {MOST_NODES} parts", 1)
    compiler = _FormulaCompiler(text, lead, known)
    compiled, found = compiler.compile(tree)
    if found is not kind:
        raise FormulaFault(f"comes to a {found}, and a {kind} is needed".lower(), lead + 1)
    return Formula(text, tuple(dict.fromkeys(compiler.reads)), compiled)


def _parse(text: str, lead: int) -> ast.expr:
    try:
        with warnings.catch_warnings():
            # Python only warns about code such as `1 is 1` or an unknown escape; this refuses it.
            warnings.simplefilter("error")
            return ast.parse(text, mode="eval").body
    except SyntaxError as error:
        # Python can report a position outside the text.
        position = min(max(error.offset or 1, 1), len(text))
        raise FormulaFault("cannot be read here", lead + position) from None
    except (ValueError, MemoryError, RecursionError):
        raise FormulaFault("is nested too deeply, or has an invalid character", 1) from None


def _number(value: Decimal) -> Decimal:
    """Return a result without trailing zeros. Raises FormulaFailed for too many digits."""
    # Trailing zeros do not count as digits.
    value = value.normalize()
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int), value
    if max(0, value.adjusted() + 1) + max(0, -exponent) > MOST_DIGITS:
        raise FormulaFailed(f"a value has more than {MOST_DIGITS} digits")
    return value


def _binary(function: Callable[[Decimal, Decimal], Decimal]) -> Callable[..., Decimal]:
    return lambda a, b: _number(function(a, b))


def _divide(a: Decimal, b: Decimal) -> Decimal:
    if not b:
        raise FormulaFailed("division by zero")
    found = divide(a, b, places=PLACES, mode=Rounding.HALF_EVEN)
    # A quotient that rounds to zero would silently make usage free.
    if a and not found:
        raise FormulaFailed(f"a quotient is too small for {PLACES} decimals")
    return found


def _power(a: Decimal, b: Decimal) -> Decimal:
    result = Decimal(1)
    # Multiplied step by step, so that a result with too many digits fails before it gets longer.
    for _ in range(int(b)):
        result = _number(result * a)
    return result


def _whole(mode: str) -> Callable[[Decimal], Decimal]:
    # `Rounding.UP` and `DOWN` are away from zero and toward zero, so the sign decides which is
    # floor.
    up, down = (Rounding.UP, Rounding.DOWN) if mode == "ceil" else (Rounding.DOWN, Rounding.UP)
    return lambda a: _number(round_to(a, 0, up if a > 0 else down))


_ARITHMETIC: dict[type[ast.operator], Callable[..., Decimal]] = {
    ast.Add: _binary(operator.add),
    ast.Sub: _binary(operator.sub),
    ast.Mult: _binary(operator.mul),
    ast.Div: _binary(_divide),
    ast.Pow: _power,
}
_SIGNS: dict[type[ast.unaryop], Callable[..., Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
}
_EQUALITY: dict[type[ast.cmpop], Callable[..., bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_ORDER: dict[type[ast.cmpop], Callable[..., bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
FUNCTIONS: dict[str, Callable[..., Decimal]] = {
    "min": min,
    "max": max,
    "abs": abs,
    "floor": _whole("floor"),
    "ceil": _whole("ceil"),
}
_OPERATORS: dict[type, Callable[..., Any]] = {**_ARITHMETIC, **_SIGNS, **_EQUALITY, **_ORDER}


class _Current:
    """The variables of the calling context. Threads share the evaluator and nothing else."""

    def __getitem__(self, name: str) -> Any:
        return _names.get()[name]


# A context variable, because the one evaluator is shared by all threads.
_names: "ContextVar[VariableLookup]" = ContextVar("names")
_EVALUATOR = SimpleEval(operators=_OPERATORS, functions=FUNCTIONS, names=_Current())


def _evaluate(source: str, tree: ast.expr) -> Any:
    try:
        return _EVALUATOR.eval(source, previously_parsed=tree)
    except DecimalException:
        raise FormulaFailed(f"a value has more than {MOST_DIGITS} digits") from None


class _FormulaCompiler:
    """Walks a tree once: refuses what is not part of the language, and computes constants."""

    def __init__(self, text: str, lead: int, known: Mapping[str, ValueKind]) -> None:
        self.reads: list[str] = []
        self._text, self._lead, self._known = text, lead, known

    def compile(self, node: ast.expr) -> tuple[ast.expr, ValueKind]:
        """Return the node to evaluate, and the kind of its value. Raises FormulaFault."""
        match node:
            case ast.Constant():
                return self._constant(node)
            case ast.Name():
                return self._name(node)
            case ast.BinOp():
                return self._arithmetic(node), NUMBER
            case ast.UnaryOp(op=ast.Not()):
                node.operand = self._of(TRUTH, node.operand)
                return node, TRUTH
            case ast.UnaryOp():
                self._refuse_operator(node, type(node.op), _SIGNS)
                node.operand = self._of(NUMBER, node.operand)
                return self._folded(node, [node.operand]), NUMBER
            case ast.BoolOp():
                node.values = [self._of(TRUTH, value) for value in node.values]
                return node, TRUTH
            case ast.Compare():
                return self._comparison(node), TRUTH
            case ast.IfExp():
                node.test = self._of(TRUTH, node.test)
                node.body, kind = self.compile(node.body)
                node.orelse = self._of(kind, node.orelse)
                return node, kind
            case ast.Call():
                return self._call(node), NUMBER
        raise self._fault(node, "is not part of the language of formulas")

    def _constant(self, node: ast.Constant) -> tuple[ast.expr, ValueKind]:
        # The number is read from the source text: Python has parsed it to a float already.
        segment = ast.get_source_segment(self._text, node) or ""
        if isinstance(node.value, str):
            if len(node.value) > MOST_TEXT or segment[0] not in "'\"":
                raise self._fault(
                    node, f"a text is in quotes and has at most {MOST_TEXT} characters"
                )
            return node, TEXT
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            raise self._fault(node, "is neither a number nor a text")
        try:
            return self._made(node, parse_decimal(segment)), NUMBER
        except DecimalError:
            words = "a number has plain digits, at most 26 before the point and 12 after it"
            raise self._fault(node, words) from None

    def _name(self, node: ast.Name) -> tuple[ast.expr, ValueKind]:
        kind = self._known.get(node.id)
        if kind is None:
            raise self._fault(node, f"there is no variable {node.id[:64]} here")
        self.reads.append(node.id)
        return node, kind

    def _arithmetic(self, node: ast.BinOp) -> ast.expr:
        self._refuse_operator(node, type(node.op), _ARITHMETIC)
        node.left, node.right = self._of(NUMBER, node.left), self._of(NUMBER, node.right)
        by = node.right.value if isinstance(node.right, ast.Constant) else None
        # A variable exponent could take unbounded time and digits.
        if isinstance(node.op, ast.Pow) and by not in EXPONENTS:
            words = "an exponent is a whole number from 0 to 10, written out"
            raise self._fault(node.right, words)
        if isinstance(node.op, ast.Div) and by == 0:
            raise self._fault(node.right, "division by zero")
        return self._folded(node, [node.left, node.right])

    def _comparison(self, node: ast.Compare) -> ast.expr:
        node.left, kind = self.compile(node.left)
        if kind is TRUTH:
            raise self._fault(node, "only numbers and texts are compared")
        node.comparators = [self._of(kind, comparator) for comparator in node.comparators]
        allowed = _EQUALITY if kind is TEXT else _EQUALITY | _ORDER
        for op in node.ops:
            self._refuse_operator(node, type(op), allowed)
        return node

    def _call(self, node: ast.Call) -> ast.expr:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name not in FUNCTIONS or node.keywords:
            raise self._fault(node, f"the functions are {', '.join(FUNCTIONS)}")
        if (len(node.args) != 1) != (name in ("min", "max")) or not node.args:
            raise self._fault(node, f"{name} takes another number of values")
        node.args = [self._of(NUMBER, argument) for argument in node.args]
        return self._folded(node, node.args)

    def _of(self, kind: ValueKind, node: ast.expr) -> ast.expr:
        compiled, found = self.compile(node)
        if found is not kind:
            raise self._fault(node, f"is a {found}, and a {kind} is needed".lower())
        return compiled

    def _refuse_operator(self, node: ast.expr, op: type, allowed: Mapping[Any, Any]) -> None:
        if op not in allowed:
            raise self._fault(node, f"{op.__name__.lower()} cannot be used with these values")

    def _folded(self, node: ast.expr, parts: list[ast.expr]) -> ast.expr:
        """Return the computed value of a node whose parts are all constant, or the node itself."""
        if not all(isinstance(part, ast.Constant) for part in parts):
            return node
        try:
            return self._made(node, _evaluate(self._text, node))
        except FormulaFailed as error:
            raise self._fault(node, str(error)) from None

    def _made(self, node: ast.expr, value: Decimal) -> ast.Constant:
        return ast.copy_location(ast.Constant(value=value), node)  # type: ignore[arg-type]

    def _fault(self, node: ast.expr, message: str) -> FormulaFault:
        line = self._text.splitlines()[node.lineno - 1] if node.lineno > 1 else self._text
        # `col_offset` counts UTF-8 bytes, and callers count characters.
        column = len(line.encode()[: node.col_offset].decode(errors="ignore"))
        return FormulaFault(message, self._lead + column + 1)
