"""The versions of policies that apply to a sale: those of the day on which it starts."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date
from typing import Any

from server.domain.calendar import DAY, local_midnight
from server.domain.ids import PolicyId
from server.domain.modeling.catalog import (
    Aggregation,
    Commitment,
    Overage,
    RatingFrequencyPolicy,
    Refresh,
    Rollover,
)
from server.domain.modeling.policies import RefreshPolicy
from server.domain.modeling.resolved import LevelPolicies, ResolvedGrant, ResolvedProduct
from server.domain.selling.overrides import check_policies
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
from server.store.modeling.policy_versions import LocalDay

# The kind and the content of the policy that each field of a level or a grant names.
KINDS: dict[str, tuple[Any, type[Any]]] = {
    "aggregation": (AGGREGATION, Aggregation),
    "rating_frequency": (RATING_FREQUENCY, RatingFrequencyPolicy),
    "overage": (OVERAGE, Overage),
    "commitment": (COMMITMENT, Commitment),
    "refresh": (REFRESH, Refresh),
    "rollover": (ROLLOVER, Rollover),
}
LEVEL_FIELDS = ("aggregation", "rating_frequency", "overage", "commitment")
Versions = dict[str, dict[PolicyId, tuple[int, Any]]]


async def as_of(tx: Transaction, product: ResolvedProduct, day: date, zone: str) -> ResolvedProduct:
    """Return the product with the versions of its policies that were in force on a day.

    On the day of a revision the new version applies already. Raises POLICY_CONFLICT.
    """
    # A version replaced before the end of the day does not apply on it.
    end = local_midnight(zone, day + DAY)
    versions = await _versions(tx, product, LocalDay(day, end))
    resources = tuple(
        replace(
            resource,
            levels=tuple(_level(level, versions) for level in resource.levels),
            grants=tuple(_grant(grant, versions) for grant in resource.grants),
        )
        for resource in product.resources
    )
    sold = replace(product, resources=resources)
    # Only now: other versions need not be valid with what the line or its target names.
    check_policies(sold)
    return sold


async def _versions(tx: Transaction, product: ResolvedProduct, day: LocalDay) -> Versions:
    """Return the earlier versions that apply, of policies that were revised."""
    revised: dict[str, set[PolicyId]] = {field: set() for field in KINDS}
    for resource in product.resources:
        for level in resource.levels:
            for field in LEVEL_FIELDS:
                policy = getattr(level, field)
                if policy is not None and policy.version > 1:
                    revised[field].add(policy.content.id)
        for grant in _with_listed(resource.grants):
            for field in ("refresh", "rollover"):
                source = getattr(grant, f"{field}_policy")
                if source.version > 1:
                    revised[field].add(source.id)
    return {
        field: await store.versions_at(tx, *KINDS[field], ids, day)
        for field, ids in revised.items()
        if ids
    }


def _with_listed(grants: Iterable[ResolvedGrant]) -> Iterator[ResolvedGrant]:
    for grant in grants:
        yield grant
        if grant.listed is not None:
            yield grant.listed


def _level(level: LevelPolicies, versions: Versions) -> LevelPolicies:
    changed = {}
    for field in LEVEL_FIELDS:
        policy = getattr(level, field)
        found = None if policy is None else versions.get(field, {}).get(policy.content.id)
        if found is not None:
            version, content = found
            changed[field] = replace(policy, content=content, version=version)
    return replace(level, **changed)


def _grant(grant: ResolvedGrant, versions: Versions) -> ResolvedGrant:
    if grant.listed is not None:
        grant = replace(grant, listed=_grant(grant.listed, versions))
    refresh = versions.get("refresh", {}).get(grant.refresh_policy.id or PolicyId(""))
    if refresh is not None:
        version, content = refresh
        grant = replace(
            grant,
            refresh=RefreshPolicy(cadence=content.interval),
            refresh_policy=replace(grant.refresh_policy, version=version),
        )
    rollover = versions.get("rollover", {}).get(grant.rollover_policy.id or PolicyId(""))
    if rollover is not None:
        version, content = rollover
        grant = replace(
            grant,
            rollover=content.policy,
            rollover_policy=replace(grant.rollover_policy, version=version),
        )
    return grant
