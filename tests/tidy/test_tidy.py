"""The source keeps to its sizes, and leaves nothing half-said."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.capabilities import accepted, marks, rows
from tests.tidy.source import PROTOS, PYTHON, QUERIES, ROOT

HALF_SAID = re.compile(r"\b(TODO|FIXME)\b(?! #\d)")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def body_length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


FULL = 24  # modules in a directory, beside what only says that it is a package


def test_a_directory_is_seen_at_a_glance():
    crowds = Counter(name(path.parent) for path in PYTHON if path.name != "__init__.py")

    assert {folder: count for folder, count in crowds.items() if count > FULL} == {}


@pytest.mark.parametrize("path", PYTHON, ids=name)
def test_modules_and_functions_stay_small(path: Path):
    text = path.read_text()
    functions = [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]

    assert text.count("\n") <= 400
    assert {f.name: length for f in functions if (length := body_length(f)) > 60} == {}


@pytest.mark.parametrize("path", [*PYTHON, *PROTOS, *QUERIES], ids=name)
def test_every_file_says_what_it_is_about(path: Path):
    text = path.read_text().lstrip()

    assert text == "" or text.startswith(('"""', "//", "--"))
    assert path == Path(__file__) or not HALF_SAID.search(text)


@pytest.mark.parametrize("path", QUERIES, ids=name)
def test_queries_stay_small(path: Path):
    assert path.read_text().count("\n") <= 300


def test_the_checklist_is_whole():
    names = list(rows())

    assert names == [f"M{number}" for number in range(1, 166)]
    assert [name for name, row in rows().items() if not row.marks] == []
    assert accepted() <= set(names)


def marked(path: Path) -> set[str]:
    """Return the capabilities that tests of a module say they prove."""
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    named = [one for one in calls if ast.unparse(one.func) == "pytest.mark.capability"]
    return {ast.literal_eval(argument) for one in named for argument in one.args}


def test_marks_name_rows_and_where_a_row_has_parts_a_part():
    found = {mark for path in PYTHON for mark in marked(path)}
    unproved = [name for name in accepted() if not rows()[name].is_proved(found)]

    assert found - set(marks()) == set()
    assert unproved == []


TESTS = [path for path in PYTHON if name(path).startswith("tests/")]


@pytest.mark.parametrize("path", TESTS, ids=name)
def test_what_tests_share_is_in_no_test_module(path: Path):
    nodes = list(ast.walk(ast.parse(path.read_text())))
    found = [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    found += [one.name for node in nodes if isinstance(node, ast.Import) for one in node.names]
    found += [
        f"{node.module}.{one.name}"
        for node in nodes
        if isinstance(node, ast.ImportFrom)
        for one in node.names
        if one.name.startswith("test_")
    ]

    assert [module for module in found if ".test_" in f".{module}"] == []


SERVICE = [path for path in PYTHON if name(path).startswith(("server/", "workers/"))]


@pytest.mark.parametrize("path", SERVICE, ids=name)
def test_no_statement_is_named_on_a_session(path: Path):
    """Behind a pooler that hands out transactions another client may have left one of that name."""
    calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if type(node) is ast.Call]
    named = [call for call in calls if isinstance(call, ast.Attribute)]

    assert {call.attr for call in named} & {"cursor", "prepare"} == set()


LOCKS = (
    "requirements.txt",
    "requirements-dev.txt",
    "tests/polyglot/go/go.sum",
    "tests/polyglot/typescript/package-lock.json",
)


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_file_names_no_host(lock: str):
    """A package comes from the registry that the machine is set up for."""
    assert "://" not in (ROOT / lock).read_text()
