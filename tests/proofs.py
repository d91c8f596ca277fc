"""A pytest plugin: writes down which capabilities the passing tests proved.

A row counts when every test that carries it passed. Only a run of the whole suite writes the
record: a part of it would forget the rest.
"""

import json

import pytest

from tests.capabilities import RECORD, titles

_outcomes: dict[str, bool] = {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    known = titles()
    for item in items:
        for mark in item.iter_markers("capability"):
            for row in mark.args:
                if row not in known:
                    raise pytest.UsageError(f"{item.nodeid}: no capability {row}")
                item.user_properties.append(("capability", row))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" or not report.passed:
        for key, row in report.user_properties:
            if key == "capability":
                _outcomes[str(row)] = _outcomes.get(str(row), True) and report.passed


def pytest_sessionfinish(session: pytest.Session) -> None:
    is_worker = hasattr(session.config, "workerinput")
    is_whole = session.config.args == session.config.getini("testpaths") and not (
        session.config.option.keyword or session.config.option.markexpr
    )
    if is_whole and not is_worker:
        rows = [row for row, passed in _outcomes.items() if passed]
        RECORD.write_text(json.dumps(sorted(rows, key=lambda row: int(row[1:]))))
