"""The assets of usage that names them by the caller's own ids."""

from collections.abc import Iterable, Mapping

from server.domain.consumption.recording import ExternalKey, Usage
from server.domain.errors import UsageError
from server.domain.ids import AssetId
from server.store.connection import Transaction
from server.store.consumption import recording as store


async def with_assets(
    tx: Transaction, items: Iterable[Usage | UsageError]
) -> tuple[Usage | UsageError, ...]:
    """Return the usages with the assets that they name, in order; the unknown ones are refused.

    One look-up for all of them, and none if no usage has an external id.
    """
    found = tuple(items)
    keys = {
        (item.account_id, item.external_id)
        for item in found
        if isinstance(item, Usage) and item.external_id is not None
    }
    if not keys:
        return found
    assets = await store.find_external_assets(tx, keys)
    return tuple(_with_asset(item, assets) for item in found)


def _with_asset(
    item: Usage | UsageError, assets: Mapping[ExternalKey, AssetId]
) -> Usage | UsageError:
    if isinstance(item, UsageError):
        return item
    try:
        return item.named(assets)
    except UsageError as error:
        return error
