"""Messages of loadings."""

from usage_management.v1 import consumption_service_pb2 as pb

from server.api import names
from server.api.mapping.filters import id_of_account
from server.api.reader import RequestReader
from server.api.values import audit_pb, optional_time_pb, time_pb
from server.domain.consumption.loadings import Loading
from server.domain.ids import AccountId, AssetId, LoadingId, OrderId
from server.usecases.intake.loadings import ExtendLoading, StartLoading


def start_loading_from_pb(request: pb.StartLoadingRequest) -> StartLoading:
    """Return the command. Raises InvalidArgument."""
    reader = RequestReader(request)
    (account_id,) = reader.name("parent", names.ACCOUNT)
    asset_id = id_of_account(reader, "asset", names.ASSET, account_id)
    order_id = id_of_account(reader, "order", names.ORDER, account_id)
    until = reader.time("until_time")
    reader.done()
    return StartLoading(
        account_id=AccountId(account_id),
        asset_id=None if asset_id is None else AssetId(asset_id),
        order_id=None if order_id is None else OrderId(order_id),
        until=until,
    )


def extend_loading_from_pb(request: pb.ExtendLoadingRequest) -> ExtendLoading:
    """Return the command. Raises InvalidArgument."""
    reader = RequestReader(request)
    account_id, loading_id = reader.name("name", names.LOADING)
    until = reader.time("until_time")
    reader.done()
    return ExtendLoading(
        account_id=AccountId(account_id), loading_id=LoadingId(loading_id), until=until
    )


def loading_to_pb(loading: Loading) -> pb.Loading:
    """Return a loading."""
    account_id, order_id = loading.account_id, loading.order_id
    return pb.Loading(
        name=names.LOADING.of(account_id, loading.id),
        assets=[names.ASSET.of(account_id, asset_id) for asset_id in loading.asset_ids],
        order="" if order_id is None else names.ORDER.of(account_id, order_id),
        until_time=time_pb(loading.until),
        end_time=optional_time_pb(loading.end),
        **audit_pb(loading.audit),
    )
