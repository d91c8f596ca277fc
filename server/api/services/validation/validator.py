"""The servicer of ValidationService."""

import asyncio
from typing import Any

from usage_management.v1 import access_service_pb2 as access_pb
from usage_management.v1 import validation_service_pb2 as pb
from usage_management.v1 import validation_service_pb2_grpc as rpc

from server.api.mapping.access.access import run_to_pb
from server.api.mapping.validation import validator as mapping
from server.api.transactions import list_loaded_rows, run_list, run_mutation, run_query
from server.domain.validation import RULES, ProductVerdict, Setup, validate
from server.env import Env
from server.usecases.validation import catalog_run
from server.usecases.validation.validator import load_setups


class ValidationService(rpc.ValidationServiceServicer):
    """Finds faults in the setup of products."""

    def __init__(self, env: Env) -> None:
        self._env = env

    async def ListValidationRules(
        self, request: pb.ListValidationRulesRequest, context: Any
    ) -> pb.ListValidationRulesResponse:
        page, token = list_loaded_rows(self._env, request, RULES, mapping.rule_to_pb)
        return pb.ListValidationRulesResponse(validation_rules=page, next_page_token=token)

    async def ValidateProducts(
        self, request: pb.ValidateProductsRequest, context: Any
    ) -> pb.ValidateProductsResponse:
        command = mapping.validate_products_from_pb(request)
        setups = await run_query(self._env, lambda tx: load_setups(tx, command), snapshot=True)
        # In a thread: ten products with a thousand entries each would block the event loop.
        verdicts = await asyncio.to_thread(_all, setups)
        return mapping.verdicts_to_pb(verdicts, setups[0].scope.days.start)

    async def ValidateCatalog(
        self, request: pb.ValidateCatalogRequest, context: Any
    ) -> access_pb.Run:
        command = mapping.validate_catalog_from_pb(request)
        return await run_mutation(
            self._env,
            request,
            access_pb.Run,
            lambda tx: catalog_run.begin(tx, command),
            run_to_pb,
        )

    async def ListValidationFindings(
        self, request: pb.ListValidationFindingsRequest, context: Any
    ) -> pb.ListValidationFindingsResponse:
        run_id, only = mapping.findings_from_pb(request)
        findings, token = await run_list(
            self._env,
            request,
            lambda tx, page: catalog_run.list_findings(
                tx, run_id, only, after=page.after, limit=page.limit
            ),
            lambda finding: finding.key,
            mapping.finding_to_pb,
            shape=(str, str, int),
        )
        return pb.ListValidationFindingsResponse(
            validation_findings=findings, next_page_token=token
        )


def _all(setups: tuple[Setup, ...]) -> tuple[ProductVerdict, ...]:
    return tuple(map(validate, setups))
