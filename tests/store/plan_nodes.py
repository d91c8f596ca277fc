"""Nodes of query plans: the tables that they read and the conditions of their indexes."""

import json
from collections.abc import Iterator
from typing import Any


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All nodes of a plan."""
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


def condition(node: dict[str, Any]) -> str:
    """Return the index condition of a node, or of the one below it for a bitmap."""
    own = node.get("Index Cond", "")
    return own + "".join(part.get("Index Cond", "") for part in node.get("Plans", ()))


async def run_time_nodes(app, query: str, run_time: set[str]) -> list[dict[str, Any]]:
    """Return the nodes of a plan that read run-time tables."""
    prepared = await app.prepare(query)
    nulls = ", ".join(f"NULL::{type_.name}" for type_ in prepared.get_parameters())
    await app.execute(f"PREPARE planned AS {query}")
    explain = f"EXPLAIN (FORMAT JSON) EXECUTE planned{f'({nulls})' if nulls else ''}"
    plan = json.loads(await app.fetchval(explain))[0]["Plan"]
    await app.execute("DEALLOCATE planned")
    return [
        node
        for node in nodes(plan)
        if node.get("Relation Name") in run_time and node["Node Type"] != "ModifyTable"
    ]
