"""Messages of product activation."""

from usage_management.v1 import catalog_service_pb2 as rpc

from server.api.mapping.modeling.catalog import product_to_pb
from server.api.mapping.validation.validator import verdict_to_pb
from server.api.values import (
    time_pb,
)
from server.usecases.catalog_changes.activation import Activated


def activated_to_pb(activated: Activated) -> rpc.ActivateProductResponse:
    """Return the records that became active."""
    return rpc.ActivateProductResponse(
        product=product_to_pb(activated.product),
        activated=activated.names,
        activate_time=time_pb(activated.at),
        validation=verdict_to_pb(activated.verdict),
    )
