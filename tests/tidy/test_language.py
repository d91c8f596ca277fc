"""The language of the source: first words of docstrings, spelling, and comments that say why."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.spelling import BRITISH
from tests.tidy.source import PYTHON, ROOT

# A first line says what the function returns or does, or what the class or module is.
RIDDLES = {"What", "Whether", "How", "Which", "Of", "That", "Where", "When", "Who"}
# The standard library and gRPC spell these in their own way.
OF_OTHERS = re.compile(r"\.cancelled\(\)|CancelledError|CANCELLED")
PRODUCT = [path for path in PYTHON if path.relative_to(ROOT).parts[0] in ("server", "workers")]
LEAST_COMMENTS = 0.012


def docstrings(path: Path) -> Iterator[str]:
    """The first lines of all docstrings of a module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield text.splitlines()[0]


def test_docstrings_begin_with_what_they_describe():
    found = [
        f"{path.relative_to(ROOT)}: {line}"
        for path in PYTHON
        for line in docstrings(path)
        if line.split()[0].rstrip(",:;") in RIDDLES
    ]

    assert found == []


def test_identifiers_and_prose_are_spelled_the_american_way():
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in PYTHON
        if path.name not in ("spelling.py", Path(__file__).name)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if BRITISH.search(OF_OTHERS.sub("", line))
    ]

    assert found == []


def test_enough_lines_of_the_product_say_why():
    lines = [line.strip() for path in PRODUCT for line in path.read_text().splitlines()]

    assert sum(line.startswith("#") for line in lines) >= LEAST_COMMENTS * len(lines)
