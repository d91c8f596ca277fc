"""Programs that no test runs, such as benchmarks and load tests, can at least be imported."""

import importlib

import pytest

from tests.tidy.source import PYTHON, ROOT

MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in PYTHON
    if path.relative_to(ROOT).parts[0] == "tests"
    and not path.name.startswith(("test_", "__", "conftest"))
]


@pytest.mark.parametrize("module", MODULES)
def test_a_module_can_be_imported(module: str):
    assert importlib.import_module(module)
