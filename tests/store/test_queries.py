"""Every named query is right: it prepares against the schema, and something uses it."""

import re
from pathlib import Path

import pytest

from server.store import sql

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
