"""The servicer of SetupService."""

from typing import Any

from usage_management.v1 import setup_service_pb2 as pb
from usage_management.v1 import setup_service_pb2_grpc as rpc

from server.api import names, pages
from server.api.mapping.catalog_changes.catalogs import (
    catalog_from_pb,
    catalog_setup_to_pb,
    exported_to_pb,
)
from server.api.mapping.catalog_changes.setup import setup_from_pb, setup_to_pb
from server.api.services.rating.kinds import card_size
from server.api.transactions import caller, run_mutation, run_query
from server.env import Env
from server.store.connection import Transaction
from server.store.rating.rate_snapshots import revision
from server.usecases.catalog_changes.catalog_setup import set_up_catalog
from server.usecases.catalog_changes.export import Exported, default_procedures, list_catalog
from server.usecases.catalog_changes.setup import set_up_product

# The key of a record in the order of an export.
SHAPE = (int, str, str)


class SetupService(rpc.SetupServiceServicer):
    """Sets up products and catalogs, and exports catalogs."""

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

    async def SetUpCatalog(
        self, request: pb.SetUpCatalogRequest, context: Any
    ) -> pb.SetUpCatalogResponse:
        catalog = catalog_from_pb(request)
        return await run_mutation(
            self._env,
            request,
            pb.SetUpCatalogResponse,
            lambda tx: set_up_catalog(tx, catalog, card_size(self._env.config)),
            catalog_setup_to_pb,
        )

    async def ExportCatalog(
        self, request: pb.ExportCatalogRequest, context: Any
    ) -> pb.ExportCatalogResponse:
        page = pages.read(request, caller().tenant_id, self._env.seal, SHAPE)

        async def read(tx: Transaction) -> pb.ExportCatalogResponse:
            filling = pages.PageFilling[Exported, pb.ExportCatalogResponse](
                page, lambda exported: exported.key, exported_to_pb, self._env.seal
            )
            while (part := filling.part) is not None:
                after = (part.after[0], part.after[1], part.after[2]) if part.after else None
                filling.add(await list_catalog(tx, after, part.limit))
            answer = pb.ExportCatalogResponse(next_page_token=filling.token)
            for message in filling.messages:
                answer.MergeFrom(message)
            if not filling.token:
                defaults = await default_procedures(tx)
                answer.catalog.default_procedures.extend(map(names.PROCEDURE.of, defaults))
            answer.catalog_revision = await revision(tx)
            return answer

        return await run_query(self._env, read, snapshot=True)
