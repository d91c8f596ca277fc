"""Entitlement accounts of an account's targets, their wallets, and the units of their rates."""

from collections.abc import Iterable, Sequence
from datetime import date

from asyncpg import Record

from server.domain.calendar import Cadence, CadenceUnit, Delay, DelayUnit, PolicyPeriod
from server.domain.ids import (
    AccountId,
    AssetId,
    EntitlementAccountId,
    ResourceId,
    UnitId,
    WalletId,
)
from server.domain.modeling.policies import (
    AggregationMethod,
    AggregationPolicy,
    Combination,
    DrawdownOrder,
    LatePolicy,
    RatingFrequency,
)
from server.domain.modeling.sold_policies import WalletPolicies
from server.domain.selling.targets import EntitlementAccount, TargetKey, TargetKind, Wallet
from server.store.connection import Transaction
from server.store.sql import load

SQL = load("selling/targets.sql")

MOST_CHOICES = 4
"""The number of targets that a refusal names, at most."""


async def find(
    tx: Transaction, account_id: AccountId, keys: Iterable[TargetKey]
) -> dict[TargetKey, EntitlementAccount]:
    """Return the targets that exist; the key of an asset finds the target it is bound to."""
    distinct = sorted(set(keys))
    kinds, ids = [kind for kind, _ in distinct], [id_ for _, id_ in distinct]
    rows = await tx.fetch(SQL["targets"], tx.tenant_id, account_id, kinds, ids)
    return {(TargetKind(row["asked_kind"]), row["asked_id"]): _target(row) for row in rows}


async def find_own(
    tx: Transaction, account_id: AccountId, asset_id: AssetId
) -> EntitlementAccount | None:
    """Return the target that an asset is by itself, if something was bound to it."""
    row = await tx.fetchrow(SQL["own_target"], tx.tenant_id, account_id, str(asset_id))
    return None if row is None else _target(row)


async def having(
    tx: Transaction, account_id: AccountId, resource_ids: Iterable[ResourceId], day: date
) -> list[TargetKey]:
    """Return the first targets in use on a day or later with a wallet of each of the resources.

    The account comes first, if it is one of them; there are at most `MOST_CHOICES`.
    """
    wanted = sorted(set(resource_ids))
    rows = await tx.fetch(SQL["having"], tx.tenant_id, account_id, wanted, day, MOST_CHOICES)
    return [(TargetKind(row["target_kind"]), row["target_id"]) for row in rows]


async def wallets(
    tx: Transaction,
    account_id: AccountId,
    target_ids: Iterable[EntitlementAccountId],
) -> tuple[Wallet, ...]:
    """Return the wallets of some targets."""
    ids = sorted(target_ids)
    rows = await tx.fetch(SQL["target_wallets"], tx.tenant_id, account_id, ids) if ids else ()
    return tuple(map(_wallet, rows))


async def rate_units(
    tx: Transaction, account_id: AccountId, target_id: EntitlementAccountId
) -> dict[ResourceId, str]:
    """Return the currency or token unit in which each resource of a target is rated."""
    rows = await tx.fetch(SQL["rate_units"], tx.tenant_id, account_id, target_id)
    return {ResourceId(row["usage_resource_id"]): row["unit"] for row in rows}


async def save(
    tx: Transaction,
    account_id: AccountId,
    targets: Sequence[EntitlementAccount],
) -> None:
    """Insert new targets, and the new windows of others."""
    await tx.execute(
        SQL["save_targets"],
        tx.tenant_id,
        account_id,
        [target.id for target in targets],
        [target.target_kind for target in targets],
        [target.target_id for target in targets],
        [target.zone for target in targets],
        [target.currency_code for target in targets],
        [target.anchor for target in targets],
        [target.billing.unit for target in targets],
        [target.billing.count for target in targets],
        [target.start_date for target in targets],
        [target.end_date for target in targets],
    )


async def add_wallets(tx: Transaction, account_id: AccountId, wallets: Sequence[Wallet]) -> None:
    """Insert new wallets; those that exist are left as they are."""
    policies = [wallet.policies for wallet in wallets]
    await tx.execute(
        SQL["add_wallets"],
        tx.tenant_id,
        account_id,
        [wallet.id for wallet in wallets],
        [wallet.entitlement_account_id for wallet in wallets],
        [wallet.resource_id for wallet in wallets],
        [each.unit_id for each in policies],
        [each.aggregation.method for each in policies],
        [each.aggregation.period for each in policies],
        [each.aggregation.combine for each in policies],
        [each.rating.period for each in policies],
        [_waiting(each.rating.delay, DelayUnit.DAYS) for each in policies],
        [_waiting(each.rating.delay, DelayUnit.HOURS) for each in policies],
        [each.late for each in policies],
        [each.order for each in policies],
        [each.aggregation.label for each in policies],
        # Joined, because an array of arrays must be rectangular in Postgres.
        [",".join(each.dimensions) for each in policies],
    )


def _waiting(delay: Delay, unit: DelayUnit) -> int | None:
    return delay.count if delay.unit is unit else None


def _target(row: Record) -> EntitlementAccount:
    return EntitlementAccount(
        id=EntitlementAccountId(row["entitlement_account_id"]),
        target_kind=TargetKind(row["target_kind"]),
        target_id=row["target_id"],
        zone=row["time_zone"],
        currency_code=row["currency_code"],
        anchor=row["anchor_date"],
        billing=Cadence(CadenceUnit(row["billing_unit"]), row["billing_count"]),
        start_date=row["start_date"],
        end_date=row["end_date"],
    )


def _wallet(row: Record) -> Wallet:
    counting = AggregationPolicy(
        method=AggregationMethod(row["aggregation_method"]),
        period=PolicyPeriod(row["aggregation_period"]),
        combine=Combination(row["aggregation_combine"]),
        label=row["aggregation_label"],
    )
    days, hours = row["waiting_days"], row["waiting_hours"]
    delay = Delay(hours, DelayUnit.HOURS) if days is None else Delay(days)
    return Wallet(
        id=WalletId(row["wallet_id"]),
        entitlement_account_id=EntitlementAccountId(row["entitlement_account_id"]),
        resource_id=ResourceId(row["usage_resource_id"]),
        policies=WalletPolicies(
            unit_id=UnitId(row["unit_of_measure_id"]),
            aggregation=counting,
            rating=RatingFrequency(period=PolicyPeriod(row["rating_period"]), delay=delay),
            late=LatePolicy(row["late_policy"]),
            order=DrawdownOrder(row["drawdown_order"]),
            dimensions=tuple(row["dimensions"]),
        ),
    )
