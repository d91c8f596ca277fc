"""The servicer of SetupService."""

from typing import Any

from usage_management.v1 import setup_service_pb2 as pb
from usage_management.v1 import setup_service_pb2_grpc as rpc

from server.api.mapping.catalog_changes.setup import setup_from_pb, setup_to_pb
from server.api.services.rating.kinds import card_size
from server.api.transactions import run_mutation
from server.env import Env
from server.usecases.catalog_changes.setup import set_up_product


class SetupService(rpc.SetupServiceServicer):
    """Sets up products with everything they depend on."""

    def __init__(self, env: Env) -> None:
        self._env = env

    async def SetUpProduct(
        self, request: pb.SetUpProductRequest, context: Any
    ) -> pb.SetUpProductResponse:
        setup = setup_from_pb(request)
        return await run_mutation(
            self._env,
            request,
            pb.SetUpProductResponse,
            lambda tx: set_up_product(tx, setup, card_size(self._env.config)),
            setup_to_pb,
        )
