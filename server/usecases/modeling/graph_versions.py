"""The policies of products as of a day: the versions in force on it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from server.domain.ids import PolicyId
from server.domain.modeling.catalog import StoredRecord
from server.domain.modeling.policy_versions import EndingVersion, version_on
from server.domain.modeling.resolved import LevelPolicies
from server.store.connection import Transaction
from server.store.modeling import policy_versions as store
from server.store.modeling.policies import (
    AGGREGATION,
    COMMITMENT,
    OVERAGE,
    RATING_FREQUENCY,
    REFRESH,
    ROLLOVER,
)
from server.store.modeling.records import Kind
from server.store.rating.product_graph import Graph

# The field of a graph that has the policies of each kind.
FIELDS: Mapping[str, Kind[Any]] = {
    "aggregations": AGGREGATION,
    "frequencies": RATING_FREQUENCY,
    "overages": OVERAGE,
    "commitments": COMMITMENT,
    "refreshes": REFRESH,
    "rollovers": ROLLOVER,
}
# The same for the field of a level.
LEVEL_FIELDS: Mapping[str, str] = {
    "aggregations": "aggregation",
    "frequencies": "rating_frequency",
    "overages": "overage",
    "commitments": "commitment",
}


@dataclass(frozen=True, slots=True)
class GraphVersions:
    """The versions of a graph's policies that end after a day, by field and policy."""

    ending: Mapping[str, Mapping[PolicyId, Sequence[EndingVersion[Any]]]] = field(
        default_factory=dict
    )

    @property
    def days(self) -> list[date]:
        """The later days on which a version begins, in order."""
        return sorted(
            {
                version.end
                for policies in self.ending.values()
                for versions in policies.values()
                for version in versions
            }
        )

    def on(self, graph: Graph, day: date) -> Graph:
        """Return a graph with the versions in force on a day after that day or on it."""
        changed: dict[str, Any] = {
            name: {
                policy_id: version_on(policy, versions.get(policy_id, ()), day)
                for policy_id, policy in getattr(graph, name).items()
            }
            for name, versions in self.ending.items()
        }
        return replace(graph, **changed)

    def level_on(self, level: LevelPolicies, day: date) -> LevelPolicies:
        """Return a level with the versions in force on a day after that day or on it."""
        changed: dict[str, Any] = {}
        for name, versions in self.ending.items():
            policy = getattr(level, LEVEL_FIELDS.get(name, ""), None)
            if policy is not None:
                ending = versions.get(policy.content.id, ())
                changed[LEVEL_FIELDS[name]] = version_on(policy, ending, day)
        return replace(level, **changed)


async def load_versions(
    tx: Transaction, graph: Graph, first: date, levels: Collection[LevelPolicies] = ()
) -> GraphVersions:
    """Return the versions of policies that are in force on a day or begin later.

    They are those of a graph, and of further levels.
    """
    ending: dict[str, Mapping[PolicyId, Sequence[EndingVersion[Any]]]] = {}
    for name, kind in FIELDS.items():
        policies: list[StoredRecord[Any]] = list(getattr(graph, name).values())
        if name in LEVEL_FIELDS:
            named = (getattr(level, LEVEL_FIELDS[name]) for level in levels)
            policies += (policy for policy in named if policy is not None)
        found = await store.ending_after(tx, kind, policies, first)
        if found:
            ending[name] = found
    return GraphVersions(ending)
