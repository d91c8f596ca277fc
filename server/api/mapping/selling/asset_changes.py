"""Messages of the changes of an asset."""

from usage_management.v1 import asset_service_pb2 as pb

from server.api import names
from server.api.mapping.filters import resource_from_reader
from server.api.mapping.selling.quotes import decision_to_pb
from server.api.reader import RequestReader
from server.api.values import credential_name, date_pb, enum_pb, time_pb
from server.domain.ids import AccountId
from server.domain.selling.asset_changes import AssetChange, FieldChange
from server.usecases.selling.asset_changes import ChangesQuery


def list_asset_changes_from_pb(request: pb.ListAssetChangesRequest) -> ChangesQuery:
    """Return the asset and the filters of a list of its changes. Raises InvalidArgument."""
    reader = RequestReader(request)
    account_id, asset_id = reader.name("parent", names.ASSET)
    query = ChangesQuery(
        account_id=account_id,
        asset_id=asset_id,
        effective_date=reader.optional_date("effective_date"),
        as_of=reader.optional_time("as_of_time"),
        resource_id=resource_from_reader(reader),
    )
    reader.done()
    return query


def asset_change_to_pb(account_id: AccountId, change: AssetChange) -> pb.AssetChange:
    """Return a change of an asset."""
    content, quote_id, approval = change.content, change.quote_id, change.approval
    order_id = content.order_id
    return pb.AssetChange(
        name=names.ASSET_CHANGE.of(account_id, content.asset_id, change.number),
        act=enum_pb(pb.AssetChange.Act, content.act),
        asset=names.ASSET.of(account_id, content.asset_id),
        effective_date=date_pb(content.effective_date),
        field_changes=map(_field_change_to_pb, content.fields),
        reason=content.reason,
        order="" if order_id is None else names.ORDER.of(account_id, order_id),
        quote="" if quote_id is None else names.QUOTE.of(account_id, quote_id),
        approval=None if approval is None else decision_to_pb(approval),
        act_time=time_pb(content.act_time),
        create_time=time_pb(change.create_time),
        created_by=credential_name(change.created_by),
        reprice_run="" if content.run_id is None else names.REPRICE_RUN.of(content.run_id),
    )


def _field_change_to_pb(change: FieldChange) -> pb.AssetFieldChange:
    return pb.AssetFieldChange(
        usage_resource=names.RESOURCE.of(change.resource_id),
        field=change.field,
        before=change.before,
        after=change.after,
    )
