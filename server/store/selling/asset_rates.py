"""The rates of assets over time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from server.domain.ids import AccountId, AssetId, ResourceId, derive
from server.domain.rating.rates import RateTerms
from server.domain.selling.repricing import Repriced
from server.store.connection import Transaction
from server.store.rating.rate_documents import TERMS
from server.store.sql import load

SQL = load("selling/asset_rates.sql")

Key = tuple[AssetId, ResourceId]


async def last_starts(
    tx: Transaction, account_id: AccountId, asset_ids: Sequence[AssetId]
) -> dict[Key, datetime]:
    """Return when the last rates of each resource of some assets begin."""
    rows = await tx.fetch(SQL["last_rates"], tx.tenant_id, account_id, asset_ids)
    return {
        (AssetId(row["asset_id"]), ResourceId(row["usage_resource_id"])): row["start_time"]
        for row in rows
    }


async def timelines(
    tx: Transaction, account_id: AccountId, asset_ids: Sequence[AssetId]
) -> dict[Key, list[tuple[datetime, RateTerms]]]:
    """Return the terms of each resource of some assets over time, with their starts."""
    found: dict[Key, list[tuple[datetime, RateTerms]]] = {}
    for row in await tx.fetch(SQL["all_rates"], tx.tenant_id, account_id, asset_ids):
        key = (AssetId(row["asset_id"]), ResourceId(row["usage_resource_id"]))
        found.setdefault(key, []).append((row["start_time"], TERMS.decode(row["terms"])))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTimeline:
    """The terms of a resource of an asset from the first start on, and the end of the last."""

    key: Key
    terms: Sequence[tuple[datetime, RateTerms]]
    end: datetime | None


async def replace_from(
    tx: Transaction, account_id: AccountId, timelines: Sequence[NewTimeline]
) -> None:
    """Let new terms apply from the first start of each timeline on, in place of all later ones."""
    args = (
        tx.tenant_id,
        account_id,
        [new.key[0] for new in timelines],
        [new.key[1] for new in timelines],
        [new.terms[0][0] for new in timelines],
    )
    await tx.execute(SQL["drop_rates"], *args)
    await tx.execute(SQL["cut_rates"], *args)
    rows = [
        (new.key, start, end, TERMS.encode(terms))
        for new in timelines
        for (start, terms), end in zip(
            new.terms, [*(start for start, _ in new.terms[1:]), new.end], strict=True
        )
    ]
    await tx.execute(
        SQL["add_dated_rates"],
        tx.tenant_id,
        account_id,
        [derive(asset_id, "rate", name, start.isoformat()) for (asset_id, name), start, *_ in rows],
        [key[0] for key, *_ in rows],
        [key[1] for key, *_ in rows],
        [start for _, start, *_ in rows],
        [end for _, _, end, _ in rows],
        [terms for *_, terms in rows],
    )


async def change(
    tx: Transaction, account_id: AccountId, found: Sequence[Repriced], start: datetime
) -> None:
    """Let new terms apply from a time on, at which or before which the last rates begin."""
    terms = {(one.asset_id, one.resource_id): TERMS.encode(one.after) for one in found}
    keys = list(terms)
    args = (tx.tenant_id, account_id, [key[0] for key in keys], [key[1] for key in keys])
    await tx.execute(SQL["replace_terms"], *args, list(terms.values()), start)
    # Rates that begin at the same time have the new terms now; the others end there.
    ended = await tx.fetch(SQL["end_rates"], *args, start)
    following = [(AssetId(row["asset_id"]), ResourceId(row["usage_resource_id"])) for row in ended]
    await tx.execute(
        SQL["add_rates"],
        tx.tenant_id,
        account_id,
        [derive(asset_id, "rate", name, start.isoformat()) for asset_id, name in following],
        [asset_id for asset_id, _ in following],
        [name for _, name in following],
        start,
        [row["end_time"] for row in ended],
        [terms[key] for key in following],
    )


async def following_accounts(tx: Transaction, after: str, limit: int) -> list[AccountId]:
    """Return the accounts with lines that follow the catalog, after the last one seen."""
    rows = await tx.fetch(SQL["following_accounts"], tx.tenant_id, after, limit)
    return [AccountId(row["account_id"]) for row in rows]
