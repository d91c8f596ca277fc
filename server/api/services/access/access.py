"""The servicer of AccessService."""

from datetime import datetime
from typing import Any
from uuid import UUID

from usage_management.v1 import access_service_pb2 as pb
from usage_management.v1 import access_service_pb2_grpc as rpc

from server.api import names, pages
from server.api.mapping.access.access import (
    OWN_TENANT,
    advance_clock_from_pb,
    create_credential_from_pb,
    create_tenant_from_pb,
    credential_to_pb,
    job_to_pb,
    limit_to_pb,
    run_to_pb,
    tenant_to_pb,
    update_tenant_from_pb,
)
from server.api.reader import RequestReader, named
from server.api.transactions import (
    caller,
    list_loaded_rows,
    run_control_query,
    run_list,
    run_mutation,
    run_query,
)
from server.domain.access import is_operator, refuse_escalation
from server.domain.errors import NotFound
from server.domain.ids import TenantId
from server.domain.limits import limits
from server.env import Env
from server.store import jobs as job_store
from server.store import runs as run_store
from server.store.access import tenants as tenant_store
from server.store.access.tenants import Tenant
from server.store.jobs import JobState
from server.store.transaction import read
from server.usecases import clock
from server.usecases.access import credentials, jobs, tenants

STUCK = (JobState.QUARANTINED, JobState.FAILED)


class AccessService(rpc.AccessServiceServicer):
    """Manages tenants and credentials; shows runs, jobs and limits."""

    def __init__(self, env: Env) -> None:
        self._env = env

    async def CreateTenant(self, request: pb.CreateTenantRequest, context: Any) -> pb.Tenant:
        command = create_tenant_from_pb(request)
        tenant_id = command.tenant_id
        return await run_mutation(
            self._env,
            request,
            pb.Tenant,
            lambda tx: tenants.create(tx, command),
            tenant_to_pb,
            tenant_id=tenant_id,
        )

    async def ListTenants(
        self, request: pb.ListTenantsRequest, context: Any
    ) -> pb.ListTenantsResponse:
        seal = self._env.seal
        page = pages.read(request, caller().tenant_id, seal, (str,))
        keys = await run_control_query(self._env, tenant_store.keys)
        after = page.after[0] if page.after else ""
        ids = [name for name in sorted(keys) if name > after][: page.limit]
        # One read for each tenant, because row-level security shows one tenant at a time.
        rows = [await self._tenant(keys[name], name) for name in ids]
        messages, token = pages.cut(page, rows, lambda tenant: (tenant.id,), tenant_to_pb, seal)
        return pb.ListTenantsResponse(tenants=messages, next_page_token=token)

    async def GetTenant(self, request: pb.GetTenantRequest, context: Any) -> pb.Tenant:
        caller().refuse_invalid()
        name = None if request.name == OWN_TENANT else named(request, "name", names.TENANT)[0]
        return tenant_to_pb(await self._named(name))

    async def UpdateTenant(self, request: pb.UpdateTenantRequest, context: Any) -> pb.Tenant:
        name, command = update_tenant_from_pb(request)
        tenant = await self._named(name)
        return await run_mutation(
            self._env,
            request,
            pb.Tenant,
            lambda tx: tenants.update(tx, command, tenant.id),
            tenant_to_pb,
            tenant_id=tenant.tenant_id,
        )

    async def CreateCredential(
        self, request: pb.CreateCredentialRequest, context: Any
    ) -> pb.CreateCredentialResponse:
        name, command = create_credential_from_pb(request)
        tenant = await self._named(name)
        is_own = tenant.tenant_id == caller().tenant_id
        refuse_escalation(caller().permissions, command.roles, is_own_tenant=is_own)
        return await run_mutation(
            self._env,
            request,
            pb.CreateCredentialResponse,
            lambda tx: credentials.create(tx, command),
            lambda made: pb.CreateCredentialResponse(
                credential=credential_to_pb(made[0], names.TENANT.of(tenant.id)), key=made[1]
            ),
            tenant_id=tenant.tenant_id,
        )

    async def RevokeCredential(
        self, request: pb.RevokeCredentialRequest, context: Any
    ) -> pb.Credential:
        reader = RequestReader(request)
        (credential_id,) = reader.name("name", names.CREDENTIAL)
        named = reader.optional_name("tenant", names.TENANT)
        reader.done()
        tenant = await self._named(named[0] if named else None)
        return await run_mutation(
            self._env,
            request,
            pb.Credential,
            lambda tx: credentials.revoke(tx, credential_id),
            lambda revoked: credential_to_pb(revoked, names.TENANT.of(tenant.id)),
            tenant_id=tenant.tenant_id,
        )

    async def AdvanceClock(self, request: pb.AdvanceClockRequest, context: Any) -> pb.Run:
        command = advance_clock_from_pb(request)
        return await run_mutation(
            self._env,
            request,
            pb.Run,
            lambda tx: clock.advance(tx, command),
            run_to_pb,
        )

    async def GetRun(self, request: pb.GetRunRequest, context: Any) -> pb.Run:
        (run_id,) = named(request, "name", names.RUN)
        return run_to_pb(await run_query(self._env, lambda tx: clock.get(tx, run_id)))

    async def ListRuns(self, request: pb.ListRunsRequest, context: Any) -> pb.ListRunsResponse:
        messages, token = await run_list(
            self._env,
            request,
            lambda tx, page: run_store.list_runs(tx, after=page.after, limit=page.limit),
            lambda run: (run.audit.create_time, run.run_id),
            run_to_pb,
            shape=(datetime, UUID),
        )
        return pb.ListRunsResponse(runs=messages, next_page_token=token)

    async def ListJobs(self, request: pb.ListJobsRequest, context: Any) -> pb.ListJobsResponse:
        states = (JobState(pb.Job.State.Name(request.state)),) if request.state else STUCK
        messages, token = await run_list(
            self._env,
            request,
            lambda tx, page: job_store.list_jobs(tx, states, after=page.after, limit=page.limit),
            lambda job: (job.audit.create_time, job.job_id),
            job_to_pb,
            shape=(datetime, UUID),
        )
        return pb.ListJobsResponse(jobs=messages, next_page_token=token)

    async def RetryJob(self, request: pb.RetryJobRequest, context: Any) -> pb.Job:
        (job_id,) = named(request, "name", names.JOB)
        return await run_mutation(
            self._env, request, pb.Job, lambda tx: jobs.retry(tx, job_id), job_to_pb
        )

    async def WaiveJob(self, request: pb.WaiveJobRequest, context: Any) -> pb.Job:
        (job_id,) = named(request, "name", names.JOB)
        return await run_mutation(
            self._env, request, pb.Job, lambda tx: jobs.waive(tx, job_id), job_to_pb
        )

    async def ListLimits(
        self, request: pb.ListLimitsRequest, context: Any
    ) -> pb.ListLimitsResponse:
        all_limits = limits(self._env.config.limits)
        page, token = list_loaded_rows(self._env, request, all_limits, limit_to_pb)
        return pb.ListLimitsResponse(limits=page, next_page_token=token)

    async def _named(self, name: str | None) -> Tenant:
        """Return the tenant with that name, or the caller's own for None.

        Only an operator may name another tenant. Raises TENANT_NOT_FOUND.
        """
        own = await self._tenant(caller().tenant_id, "-")
        if name is None or name == own.id:
            return own
        if not is_operator(caller().permissions):
            # As if it did not exist, so that nobody can find out which tenants exist.
            raise NotFound.of("Tenant", f"tenants/{name}")
        return await self._tenant(tenants.tenant_id_of(name), name)

    async def _tenant(self, tenant_id: TenantId, name: str) -> Tenant:
        seconds = caller().seconds_left
        return await read(
            self._env.pool,
            tenant_id,
            lambda tx: tenants.get(tx, name),
            seconds=seconds,
        )
