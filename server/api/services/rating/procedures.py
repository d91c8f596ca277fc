"""The servicer of ProcedureService."""

from typing import Any

from usage_management.v1 import procedure_resources_pb2 as pb
from usage_management.v1 import procedure_service_pb2 as messages
from usage_management.v1 import procedure_service_pb2_grpc as rpc

from server.api import names
from server.api.discovery.answers import tried
from server.api.mapping.rating import procedures as mapping
from server.api.mapping.rating.simulation import outcomes_to_pb, simulate_from_pb
from server.api.reader import RequestReader, named
from server.api.services.modeling.kinds import OnWire
from server.api.services.modeling.records import (
    change_states,
    serves_records,
)
from server.api.transactions import caller, run_mutation, run_query
from server.domain.rating.procedures.versions import ProcedureUsage, Version
from server.env import Env
from server.runtime.rate_snapshots import RateSnapshots
from server.store.rating import procedures as kinds
from server.usecases.rating import procedures
from server.usecases.rating.simulation import simulate

PROCEDURE = OnWire(
    kind=kinds.PROCEDURE,
    field="procedure",
    message=pb.Procedure,
    creation=messages.CreateProcedureRequest,
    read=mapping.PROCEDURE.read,
    write=mapping.PROCEDURE.write,
    filters=(lambda reader: reader.optional_choice("usage", ProcedureUsage),),
)
VERSION = OnWire(
    kind=kinds.VERSION,
    field="procedure_version",
    message=pb.ProcedureVersion,
    creation=messages.CreateProcedureVersionRequest,
    read=mapping.version_from_pb,
    write=mapping.version_to_pb,
    check=procedures.check_version,
    parent=PROCEDURE,
)


ALL: tuple[OnWire[Any, Any], ...] = (PROCEDURE, VERSION)


@serves_records(messages.DESCRIPTOR.services_by_name["ProcedureService"], ALL)
class ProcedureService(rpc.ProcedureServiceServicer):
    """Manages procedures, their defaults and versions, and simulates them."""

    def __init__(self, env: Env, snapshots: RateSnapshots) -> None:
        self._env = env
        self._snapshots = snapshots

    async def ChangeProcedureStates(
        self, request: messages.ChangeProcedureStatesRequest, context: Any
    ) -> messages.ChangeProcedureStatesResponse:
        answer = messages.ChangeProcedureStatesResponse
        return await change_states(self._env, request, answer, (PROCEDURE, VERSION))

    async def SetDefaultProcedure(
        self, request: messages.SetDefaultProcedureRequest, context: Any
    ) -> messages.SetDefaultProcedureResponse:
        (procedure_id,) = named(request, "procedure", names.PROCEDURE)
        return await run_mutation(
            self._env,
            request,
            messages.SetDefaultProcedureResponse,
            lambda tx: procedures.set_default(tx, procedure_id),
            lambda found: messages.SetDefaultProcedureResponse(
                procedure=mapping.PROCEDURE.write(found[0]),
                replaced="" if found[1] is None else names.PROCEDURE.of(found[1]),
            ),
        )

    async def ResolveProcedure(
        self, request: messages.ResolveProcedureRequest, context: Any
    ) -> messages.ResolveProcedureResponse:
        reader = RequestReader(request)
        named = reader.optional_name("procedure", names.PROCEDURE)
        usage, day = None, reader.optional_date("date")
        if named is None:
            usage = reader.choice("usage", ProcedureUsage)
        reader.done()
        procedure_id = None if named is None else named[0]
        return mapping.resolved_to_pb(
            await run_query(
                self._env,
                lambda tx: procedures.resolve(tx, day, usage=usage, procedure_id=procedure_id),
                snapshot=True,
            )
        )

    async def SimulateProcedure(
        self, request: messages.SimulateProcedureRequest, context: Any
    ) -> Any:
        """Return the response as bytes, as the worker process serialized it."""
        call = caller()
        call.refuse_invalid()
        if request.questions or not request.lines:
            simulation = simulate_from_pb(request)
            version = simulation.inline or await self._stored(request, ProcedureUsage.DISCOVERY)
            answers = await tried(self._env, self._snapshots, request.questions, version)
            return messages.SimulateProcedureResponse(answers=answers)
        stored = await self._stored(request, ProcedureUsage.RATING) if request.version else None
        # Rating many lines takes seconds, which would block the event loop.
        return await self._env.heavy_work.run(
            call.tenant_id, simulated, request.SerializeToString(), stored, call.deadline
        )

    async def _stored(
        self, request: messages.SimulateProcedureRequest, usage: ProcedureUsage
    ) -> Version:
        """Return the named version. Raises NAME_FORMAT, PROCEDURE_VERSION_NOT_FOUND."""
        procedure_id, version_id = named(request, "version", names.PROCEDURE_VERSION)
        return await run_query(
            self._env,
            lambda tx: procedures.get_version(tx, procedure_id, version_id, usage),
        )


def simulated(data: bytes, stored: Version | None, end: float) -> bytes:
    """Return the serialized response of a simulation; runs in a worker process. See `simulate`.

    Reading a thousand lines and writing their waterfalls takes as long as rating them.
    """
    request = messages.SimulateProcedureRequest.FromString(data)
    simulation = simulate_from_pb(request)
    version = stored or simulation.inline
    assert version is not None, request
    return outcomes_to_pb(simulate(version, simulation.lines, end)).SerializeToString()
