"""The method that lists the records that refer to a record."""

from collections.abc import Sequence
from typing import Any

from usage_management.v1 import catalog_service_pb2 as rpc
from usage_management.v1 import types_pb2

from server.api import pages
from server.api.reader import RequestReader
from server.api.services.modeling.kinds import OnWire
from server.api.services.modeling.records import record_named
from server.api.transactions import caller, run_query
from server.api.values import enum_pb
from server.env import Env
from server.store.connection import Transaction
from server.store.modeling import records as store
from server.store.modeling import used_records
from server.store.modeling.edits import count_targets, referrers


async def list_referrers(
    env: Env, request: Any, among: Sequence[OnWire[Any, Any]]
) -> rpc.ListReferrersResponse:
    """Return a page of the records that refer to a record, and whether it was sold.

    Binding targets are only counted for a caller that may not read accounts. Raises NAME_FORMAT,
    `…_NOT_FOUND`.
    """
    reader = RequestReader(request)
    record = record_named(reader, "name", request.name, among)
    reader.done()
    assert record is not None, request
    kind, key = record.kind, record.key
    page = pages.read(request, caller().tenant_id, env.seal, (str,))
    # The names of targets contain the ids of accounts.
    with_targets = "accounts.read" in caller().permissions

    async def read(tx: Transaction) -> tuple[list[tuple[str, str]], bool, int]:
        await store.get(tx, kind, *key)
        after = page.after[0] if page.after else ""
        rows = await referrers(
            tx, kind, *key, after=after, limit=page.limit, with_targets=with_targets
        )
        left_out = 0 if with_targets else await count_targets(tx, kind, *key)
        return rows, bool(await used_records.used(tx, [kind.sold_name(*key)])), left_out

    rows, sold, left_out = await run_query(env, read, snapshot=True)
    messages, token = pages.cut(page, rows, lambda row: (row[0],), _referrer_to_pb, env.seal)
    return rpc.ListReferrersResponse(
        referrers=messages, next_page_token=token, sold=sold, omitted_target_count=left_out
    )


def _referrer_to_pb(row: tuple[str, str]) -> rpc.Referrer:
    name, state = row
    return rpc.Referrer(name=name, state=enum_pb(types_pb2.CatalogState, state))
