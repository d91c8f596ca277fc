"""A pytest plugin: writes down which capabilities the passing tests proved.

A mark counts when every test that carries it passed. Only a run of the whole suite writes the
record: a part of it would forget the rest.
"""

import json

import pytest

from tests.capabilities import RECORD, marks

_outcomes: dict[str, bool] = {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    known = set(marks())
    for item in items:
        for mark in item.iter_markers("capability"):
            for one in mark.args:
                if one not in known:
                    raise pytest.UsageError(f"{item.nodeid}: no capability {one}")
                item.user_properties.append(("capability", one))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" or not report.passed:
        for key, mark in report.user_properties:
            if key == "capability":
                _outcomes[str(mark)] = _outcomes.get(str(mark), True) and report.passed


def pytest_sessionfinish(session: pytest.Session) -> None:
    is_worker = hasattr(session.config, "workerinput")
    is_whole = session.config.args == session.config.getini("testpaths") and not (
        session.config.option.keyword or session.config.option.markexpr
    )
    if is_whole and not is_worker:
        RECORD.write_text(json.dumps([mark for mark in marks() if _outcomes.get(mark)]))
