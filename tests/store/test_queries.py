"""Every named query is right: it prepares against the schema, and something uses it."""

import re
from pathlib import Path

import pytest

from server.store import sql

FILES = sorted(path.name for path in Path(sql.__file__).parent.glob("*.sql"))


@pytest.mark.parametrize("file", FILES)
async def test_every_query_prepares_and_is_used(file: str, app):
    module = Path(sql.__file__).parents[1] / file.replace(".sql", ".py")
    used = set(re.findall(r'SQL\["(\w+)"\]', module.read_text()))

    queries = sql.load(file)
    for query in queries.values():
        await app.prepare(query)

    assert set(queries) == used
