"""Every named query is right: it prepares against the schema, and something uses it."""

import re
from pathlib import Path

import pytest

from server.api.services.modeling.kinds import ALL
from server.api.services.rating import kinds as rate_kinds
from server.api.services.rating import procedures
from server.store import sql
from server.store.modeling.records import Kind

FOLDER = Path(sql.__file__).parent
FILES = sorted(str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.sql"))


@pytest.mark.parametrize("file", FILES)
async def test_every_query_prepares_and_is_used(file: str, app):
    module = FOLDER.parent / file.replace(".sql", ".py")
    used = set(re.findall(r'SQL\["(\w+)"\]', module.read_text()))

    queries = sql.load(file)
    for query in queries.values():
        await app.prepare(query)

    assert set(queries) == used


KINDS = [wire.kind for wire in (*ALL, *rate_kinds.ALL, procedures.PROCEDURE, procedures.VERSION)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
async def test_every_statement_of_a_kind_of_record_prepares(kind: Kind[object], app):
    own = set(kind.sql.texts()) if kind.has_states else set(kind.sql.texts()) - {kind.sql.move}
    for statement in own:
        await app.prepare(statement)

    columns = [f"${number}" for number in range(2, len(kind.columns) + 2)]
    assert f"VALUES ($1, {', '.join(columns)})" in kind.sql.add
