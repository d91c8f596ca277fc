"""Messages of tenants, credentials, runs, jobs and limits."""

from usage_management.v1 import access_service_pb2 as pb

from server.api import names
from server.api.errors import job_status
from server.api.masks import read_mask
from server.api.reader import RequestReader
from server.api.values import audit_pb, enum_pb, optional_time_pb, time_pb
from server.domain.access import Role
from server.domain.limits import Limit
from server.store.access.credentials import Credential
from server.store.access.tenants import Tenant
from server.store.jobs import JobRow
from server.store.runs import Run
from server.usecases.access.credentials import CreateCredential
from server.usecases.access.tenants import WINDOW_DAYS, CreateTenant, UpdateTenant
from server.usecases.clock import AdvanceClock

# The largest value of the proto's int64.
MOST_VALUE = 2**63 - 1

CHANGEABLE = frozenset({"display_name", "usage_window_days"})
OWN_TENANT = "tenants/-"
"""The name for the caller's own tenant, for callers that do not have its id."""


def create_tenant_from_pb(request: pb.CreateTenantRequest) -> CreateTenant:
    """Return the command to create a tenant. Raises InvalidArgument."""
    reader = RequestReader(request)
    tenant = reader.sub("tenant")
    command = CreateTenant(
        name=reader.code("tenant_id"),
        display_name=tenant.text("display_name"),
        clock=tenant.optional_time("clock_start_time"),
        usage_window_days=request.tenant.usage_window_days or WINDOW_DAYS,
        empty=request.empty_catalog,
    )
    reader.done()
    return command


def update_tenant_from_pb(request: pb.UpdateTenantRequest) -> tuple[str | None, UpdateTenant]:
    """Return the id of the tenant, None for the caller's own, and the command.

    Raises InvalidArgument.
    """
    reader = RequestReader(request)
    tenant, given = reader.sub("tenant"), request.tenant
    name = None if given.name == OWN_TENANT else tenant.name("name", names.TENANT)[0]
    paths = read_mask(request.update_mask, CHANGEABLE)
    days = given.usage_window_days or WINDOW_DAYS
    command = UpdateTenant(
        display_name=tenant.text("display_name") if "display_name" in paths else None,
        usage_window_days=days if "usage_window_days" in paths else None,
    )
    reader.done()
    return name, command


def create_credential_from_pb(
    request: pb.CreateCredentialRequest,
) -> tuple[str | None, CreateCredential]:
    """Return the id of the tenant, if one is named, and the command.

    Raises InvalidArgument.
    """
    reader = RequestReader(request)
    credential = reader.sub("credential")
    tenant = credential.optional_name("tenant", names.TENANT)
    command = CreateCredential(
        display_name=credential.text("display_name"),
        roles=tuple(Role(pb.Credential.Role.Name(role)) for role in request.credential.roles),
        expire_time=credential.optional_time("expire_time"),
    )
    reader.done()
    return (tenant[0] if tenant else None), command


def advance_clock_from_pb(request: pb.AdvanceClockRequest) -> AdvanceClock:
    """Return the command to advance a clock. Raises InvalidArgument."""
    reader = RequestReader(request)
    to = reader.time("to_time")
    reader.done()
    return AdvanceClock(to=to)


def tenant_to_pb(tenant: Tenant) -> pb.Tenant:
    """Return a tenant with its clock."""
    return pb.Tenant(
        name=names.TENANT.of(tenant.id),
        display_name=tenant.display_name,
        clock_start_time=optional_time_pb(tenant.clock_start_time),
        clock_time=time_pb(tenant.clock_time),
        usage_window_days=tenant.usage_window_days,
        **audit_pb(tenant.audit),
    )


def credential_to_pb(credential: Credential, tenant: str) -> pb.Credential:
    """Return a credential without its key."""
    return pb.Credential(
        name=names.CREDENTIAL.of(credential.id),
        display_name=credential.display_name,
        roles=[enum_pb(pb.Credential.Role, role) for role in credential.roles],
        tenant=tenant,
        expire_time=optional_time_pb(credential.expire_time),
        **audit_pb(credential.audit),
        revoke_time=optional_time_pb(credential.revoke_time),
    )


def run_to_pb(run: Run) -> pb.Run:
    """Return a run with its progress."""
    ended = run.state != "RUNNING"
    # After the run ended, later runs may have moved the clock beyond its target.
    current = min(run.clock_time, run.target_time) if ended else run.clock_time
    return pb.Run(
        name=names.RUN.of(run.run_id),
        kind=enum_pb(pb.Run.Kind, run.kind),
        state=enum_pb(pb.Run.State, run.state),
        clock_start_time=time_pb(run.start_time),
        clock_target_time=time_pb(run.target_time),
        clock_current_time=time_pb(current),
        done_counts=run.done_counts,
        error=job_status(run.error),
        failed_job=names.JOB.of(run.failed_job_id) if run.failed_job_id else "",
        **audit_pb(run.audit),
        end_time=optional_time_pb(run.end_time),
    )


def job_to_pb(job: JobRow) -> pb.Job:
    """Return a job with its state."""
    return pb.Job(
        name=names.JOB.of(job.job_id),
        kind=enum_pb(pb.Job.Kind, job.kind.upper()),
        account=names.ACCOUNT.of(job.account_id) if job.account_id else "",
        state=enum_pb(pb.Job.State, job.state),
        fire_time=time_pb(job.fire_time),
        attempt_count=job.attempts,
        error=job_status(job.error),
        **audit_pb(job.audit),
    )


def limit_to_pb(limit: Limit) -> pb.Limit:
    """Return a limit."""
    value = min(limit.value, MOST_VALUE)
    return pb.Limit(id=limit.id, value=value, unit=limit.unit, reason=limit.reason)
