"""The users of a policy: active products, and binding targets that name it, with their faults.

A target has no rules of its own. It is judged together with each active anchor that can be sold to
it, as a quote would be.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import islice
from typing import Any

from server.domain.errors import UsageError, Violation
from server.domain.ids import ProductId
from server.domain.modeling.policies import PolicyLevel, check_period_order
from server.domain.modeling.resolved import LevelPolicies, ResolvedProduct
from server.domain.selling.overrides import check_policies, under
from server.domain.validation.activation import faults
from server.domain.validation.rules import since
from server.store.access import tenants
from server.store.connection import Transaction
from server.store.modeling import policy_versions as store
from server.store.rating.product_graph import Graph
from server.store.selling import binding_targets
from server.store.selling.binding_targets import EqualTargets
from server.store.validation.validator import load_products
from server.usecases.modeling.edits import Record
from server.usecases.modeling.graph_versions import GraphVersions, load_versions
from server.usecases.modeling.resolution import policies_at, resolved_graph
from server.usecases.validation.validator import ValidateProducts, load_setups

# A slice is loaded by a constant number of queries and held in memory.
SLICE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyUsers:
    """The active products that use a policy, the targets that name it, and these targets' anchors.

    Targets with equal policies are one group.
    """

    products: tuple[ProductId, ...]
    targets: tuple[EqualTargets, ...]
    anchors: tuple[ProductId, ...]

    @property
    def count(self) -> int:
        """The number of products and targets."""
        return len(self.products) + sum(group.count for group in self.targets)

    def names(self, most: int) -> tuple[str, ...]:
        """Return the names of the first `most` products and targets."""
        return tuple(islice(self._names(), most))

    def _names(self) -> Iterator[str]:
        yield from (f"products/{product_id}" for product_id in self.products)
        for group in self.targets:
            yield from group.names

    async def faults(self, tx: Transaction) -> dict[str, list[Violation]]:
        """Return the faults of each product, alone and under each target, by its name."""
        found: dict[str, list[Violation]] = {}
        for some in _slices(self.products):
            asked = ValidateProducts(product_ids=some, start=None, end=None, with_drafts=False)
            for setup in await load_setups(tx, asked):
                found[setup.name] = faults(setup)
        under_targets = [_UnderTarget(group, await _levels(tx, group)) for group in self.targets]
        named = [level for one in under_targets for level in one.levels.values()]
        today = (await tenants.now(tx)).date()
        for some in _slices(self.anchors if named else ()):
            graphs = (await load_products(tx, some)).graphs
            # The graphs share their records, so any of them has the policies of all.
            versions = await load_versions(tx, graphs[some[0]], today, named)
            for product_id, graph in graphs.items():
                own = found.setdefault(f"products/{product_id}", [])
                own.extend(_faults_of_days(graph, versions, under_targets, today))
        return found


@dataclass(frozen=True, slots=True)
class _UnderTarget:
    """Equal targets, and the newest versions of the policies that they name, by resource."""

    targets: EqualTargets
    levels: Mapping[str, LevelPolicies]


async def find_users(tx: Transaction, record: Record[Any]) -> PolicyUsers:
    """Return the users of a policy."""
    [policy_id] = record.key
    targets = await binding_targets.naming(tx, record.kind, policy_id)
    resources = {resource_id for group in targets for resource_id in group.policies}
    return PolicyUsers(
        products=tuple(await store.users(tx, record.kind, policy_id)),
        targets=tuple(targets),
        anchors=tuple(await store.anchors_of(tx, resources)) if resources else (),
    )


async def _levels(tx: Transaction, group: EqualTargets) -> dict[str, LevelPolicies]:
    """Return the policies of targets by resource."""
    return {
        resource_id: await policies_at(tx, PolicyLevel.TARGET, ids)
        for resource_id, ids in group.policies.items()
    }


def _faults_of_days(
    graph: Graph, versions: GraphVersions, under_targets: Sequence[_UnderTarget], today: date
) -> Iterator[Violation]:
    """Yield the faults of a product under targets, with the versions of today and of later days."""
    before: list[Violation] = []
    for day in (today, *versions.days):
        try:
            product = resolved_graph(versions.on(graph, day))
        except UsageError:
            # It cannot be sold at all; its own faults say why.
            continue
        found = [
            fault
            for one in under_targets
            for fault in _faults(
                product,
                one.targets,
                {id_: versions.level_on(level, day) for id_, level in one.levels.items()},
            )
        ]
        for fault in found:
            if fault not in before:
                text = fault.description if day == today else since(fault.description, day)
                yield replace(fault, description=text)
        before = found


def _faults(
    product: ResolvedProduct, group: EqualTargets, levels: Mapping[str, LevelPolicies]
) -> Iterator[Violation]:
    """Yield the fault, if any, for which a quote of the product for the targets is refused."""
    named = {
        resource.resource_id: (levels[resource.resource_id],)
        for resource in product.resources
        if resource.resource_id in levels
    }
    try:
        changed = under(product, named)
        check_policies(changed)
        for resource in changed.resources:
            wallet = resource.policies.wallet
            check_period_order(
                billing=group.billing,
                rating=wallet.rating.period,
                accumulation=wallet.aggregation.period,
            )
    except UsageError as error:
        yield Violation(group.names[0], error.reason, error.message)


def _slices(products: Sequence[ProductId]) -> Iterator[tuple[ProductId, ...]]:
    for start in range(0, len(products), SLICE):
        yield tuple(products[start : start + SLICE])
