"""The server: the list of services, its port, its health, and its stop."""

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import asyncpg
import grpc
import structlog
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import start_http_server
from usage_management.v1 import (
    access_service_pb2,
    account_service_pb2,
    asset_service_pb2,
    catalog_service_pb2,
    consumption_service_pb2,
    order_service_pb2,
    policy_service_pb2,
    preview_service_pb2,
    procedure_service_pb2,
    quote_service_pb2,
    rate_service_pb2,
    reprice_service_pb2,
    setup_service_pb2,
    summary_service_pb2,
    usage_details_service_pb2,
    validation_service_pb2,
    wallet_service_pb2,
)

from server import metrics
from server.api.admission import Admission
from server.api.auth import Authenticator
from server.api.interceptors import Methods, SharedState
from server.api.services.access.access import AccessService
from server.api.services.billing.reprice_runs import RepriceService
from server.api.services.billing.summaries import SummaryService
from server.api.services.catalog_changes.setup import SetupService
from server.api.services.consumption.consumption import ConsumptionService
from server.api.services.modeling import kinds
from server.api.services.modeling.catalog import CatalogService
from server.api.services.modeling.kinds import OnWire
from server.api.services.modeling.policies import PolicyService
from server.api.services.rating import kinds as rate_kinds
from server.api.services.rating import procedures as procedure_kinds
from server.api.services.rating.procedures import ProcedureService
from server.api.services.rating.rates import RateService
from server.api.services.selling.accounts import AccountService
from server.api.services.selling.assets import AssetService
from server.api.services.selling.orders import OrderService
from server.api.services.selling.quotes import QuoteService
from server.api.services.selling.usage_details import UsageDetailsService
from server.api.services.validation.validator import ValidationService
from server.api.services.wallets.preview import PreviewService
from server.api.services.wallets.wallets import WalletService
from server.config import Config, ConfigError
from server.env import Env
from server.log import note_loop_error
from server.runtime.certificates import Certificates
from server.runtime.health import NOT_SERVING, SERVING, HealthServicer
from server.runtime.job_signal import JobSignal
from server.runtime.listening import address_of, refuse_plaintext, refuse_taken_socket
from server.runtime.rate_snapshots import RateSnapshots
from server.runtime.reflection import add_reflection
from server.runtime.startup import store_answers
from server.runtime.token_seal import TokenSeal
from server.store.access.tenants import token_secrets
from server.store.connection import ControlTransaction
from server.store.pool import open_pool, unsafe_settings
from server.store.transaction import finish_commits, read_control
from server.usecases.access.credentials import authenticate

log = structlog.get_logger("server")

WATCH_SECONDS = 2.0
STORE_FAULTS = (asyncpg.PostgresError, asyncpg.InterfaceError)
POOL_CLOSE_SECONDS = 5.0
MEBIBYTE = 1024 * 1024
HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name

# A test proves the effect of each option, because gRPC silently ignores a misspelled one.
OPTIONS = (
    # Four times the size of the largest batch, so that `server.api.interceptors` refuses a larger
    # batch with the limit, and not the transport with a text.
    ("grpc.max_receive_message_length", 16 * MEBIBYTE),
    ("grpc.max_metadata_size", 8 * 1024),
    ("grpc.absolute_max_metadata_size", 16 * 1024),
    # With overload protection the transport refuses streams (REFUSED_STREAM) that a client opened
    # before it received the limit. Without it, clients wait for a stream to end, as in HTTP/2.
    ("grpc.max_concurrent_streams", 2_000),
    ("grpc.http.overload_protection", 0),
    # Limits of calls that wait for their start. Measured at three times the capacity (`make load`):
    # without these limits almost every call waits until its deadline and is answered in vain; with
    # them 80 to 94 % of the capacity are answered in time. The transport refuses the other calls
    # with CANCELLED, without an ErrorInfo, at no cost; clients retry those like UNAVAILABLE.
    ("grpc.server.max_pending_requests", 300),
    ("grpc.server.max_pending_requests_hard_limit", 600),
    ("grpc.server_max_unrequested_time_in_server", 1),
    # A client may ping every 10 seconds, even without calls. The interval is that between two pings
    # with nothing sent to the client in between. Without the third option, the interval on a
    # connection without calls is two hours, whatever the second option is.
    ("grpc.http2.max_ping_strikes", 2),
    ("grpc.http2.min_ping_interval_without_data_ms", 9_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.max_connection_idle_ms", 300_000),
    ("grpc.server_handshake_timeout_ms", 5_000),
    ("grpc.keepalive_time_ms", 60_000),
)

Maker = Callable[[Env, RateSnapshots], object]


def _plain(service: Callable[[Env], object]) -> Maker:
    return lambda env, _: service(env)


ALL_KINDS = (*kinds.ALL, *rate_kinds.ALL, *procedure_kinds.ALL)


def _with_kinds(service: Callable[[Env, Sequence[OnWire[Any, Any]]], object]) -> Maker:
    return lambda env, _: service(env, ALL_KINDS)


def _service(module: object, name: str) -> ServiceDescriptor:
    descriptor: ServiceDescriptor = module.DESCRIPTOR.services_by_name[name]  # type: ignore[attr-defined]
    return descriptor


SERVICES: tuple[tuple[ServiceDescriptor, Maker], ...] = (
    (_service(access_service_pb2, "AccessService"), _plain(AccessService)),
    (_service(account_service_pb2, "AccountService"), _plain(AccountService)),
    (_service(asset_service_pb2, "AssetService"), _plain(AssetService)),
    (_service(catalog_service_pb2, "CatalogService"), _with_kinds(CatalogService)),
    (_service(consumption_service_pb2, "ConsumptionService"), _plain(ConsumptionService)),
    (_service(order_service_pb2, "OrderService"), _plain(OrderService)),
    (_service(policy_service_pb2, "PolicyService"), _plain(PolicyService)),
    (_service(preview_service_pb2, "PreviewService"), _plain(PreviewService)),
    (_service(procedure_service_pb2, "ProcedureService"), ProcedureService),
    (_service(quote_service_pb2, "QuoteService"), _plain(QuoteService)),
    (_service(rate_service_pb2, "RateService"), RateService),
    (_service(reprice_service_pb2, "RepriceService"), _plain(RepriceService)),
    (_service(setup_service_pb2, "SetupService"), _plain(SetupService)),
    (_service(summary_service_pb2, "SummaryService"), _plain(SummaryService)),
    (_service(usage_details_service_pb2, "UsageDetailsService"), _plain(UsageDetailsService)),
    (_service(validation_service_pb2, "ValidationService"), _plain(ValidationService)),
    (_service(wallet_service_pb2, "WalletService"), _plain(WalletService)),
)


@dataclass(frozen=True, slots=True)
class Running:
    """A running server, and the parts needed to stop it."""

    port: int
    grpc: grpc.aio.Server
    health: HealthServicer
    shared: SharedState


@asynccontextmanager
async def open_env(config: Config) -> AsyncIterator[Env]:
    """Connect to the stores; at the end, wait for the active commits and close."""
    pins = config.database_pooler == "none"
    pool = await open_pool(config.database_url, size=config.pool_size, pins=pins)
    job_signal = JobSignal(config.redis_url) if config.redis_url else JobSignal.silent()
    await job_signal.start()
    try:
        seal = TokenSeal(await read_control(pool, token_secrets))
        env = Env(pool, config, job_signal, seal)
        try:
            yield env
        finally:
            env.heavy_work.close()
    finally:
        await job_signal.close()
        await finish_commits()
        try:
            async with asyncio.timeout(POOL_CLOSE_SECONDS):
                await pool.close()
        except TimeoutError:
            # A connection that hangs must not delay the end of the process.
            pool.terminate()


@asynccontextmanager
async def running(env: Env) -> AsyncIterator[Running]:
    """Serve on the configured port (0 means any free one) until the context ends."""
    snapshots = RateSnapshots(env.pool)
    logs_all = env.config.log_level == "debug"
    admission = Admission(
        most=env.config.calls_in_flight, most_per_tenant=env.config.tenant_calls_in_flight
    )
    authenticator = Authenticator(partial(authenticate, env.pool))
    shared = SharedState(authenticator, admission, logs_all=logs_all)
    sharing = ("grpc.so_reuseport", int(env.config.shares_port))
    server = grpc.aio.server(options=(*OPTIONS, sharing))
    services = [(descriptor, make(env, snapshots)) for descriptor, make in SERVICES]
    server.add_generic_rpc_handlers((Methods(services, shared),))
    names = [HEALTH, *(descriptor.full_name for descriptor, _ in SERVICES)]
    checks = HealthServicer(names)
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    if env.config.reflects:
        add_reflection(names, server)
    refuse_plaintext(env.config)
    certificates = Certificates.open(env.config)
    port = _listen(server, env.config, certificates)
    await snapshots.start()
    await server.start()
    watchers = [
        asyncio.create_task(_watch(env, shared, checks, certificates)),
        asyncio.create_task(admission.end_overdue_for_ever()),
    ]
    try:
        yield Running(port, server, checks, shared)
    finally:
        for watcher in watchers:
            watcher.cancel()
        await asyncio.gather(*watchers, return_exceptions=True)
        # Open watches would delay the stop.
        checks.end()
        await server.stop(env.config.stop_seconds)
        await snapshots.stop()


def _listen(server: grpc.aio.Server, config: Config, certificates: Certificates | None) -> int:
    refuse_taken_socket(config)
    address = address_of(config.host, config.port)
    try:
        if certificates is not None:
            return server.add_secure_port(address, certificates.credentials())
        return server.add_insecure_port(address)
    except RuntimeError:
        raise ConfigError(
            f"USAGE_HOST, USAGE_PORT: cannot listen at {address}; it is in use, or is no address"
            " of this machine"
        ) from None


def tune_garbage_collector() -> None:
    """Exclude imported objects from garbage collection, and collect less often.

    A call creates thousands of short-lived values and no cycles.
    """
    # First, so that garbage is not frozen.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


async def serve(config: Config) -> None:
    """Serve until SIGTERM or SIGINT, then finish active calls. A second signal ends at once."""
    tune_garbage_collector()
    try:
        start_http_server(config.metrics_port, config.metrics_host)
    except OSError as error:
        raise ConfigError(
            f"USAGE_METRICS_HOST, USAGE_METRICS_PORT: cannot listen at {config.metrics_host}"
            f" port {config.metrics_port}: {error.strerror}"
        ) from None
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(note_loop_error)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop_or_end, stopping, number)
    if not await store_answers(config, stopping):
        return
    async with open_env(config) as env, running(env) as server:
        address = address_of(config.host, server.port)
        log.info("serving", address=address, metrics=config.metrics_port)
        await stopping.wait()
        log.info("stopping", seconds=config.stop_seconds)
        server.health.drain()
        # Load balancers need this time to see NOT_SERVING and stop sending calls.
        await asyncio.sleep(config.drain_seconds)
    log.info("stopped")


def _stop_or_end(stopping: asyncio.Event, number: int) -> None:
    if stopping.is_set():
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)
    stopping.set()


async def _watch(
    env: Env, shared: SharedState, checks: HealthServicer, certificates: Certificates | None
) -> None:
    """Set the health state: the store must answer and keep what it acknowledges.

    It uses its own connection, because a busy pool is no reason to redirect calls.
    """
    connection: asyncpg.Connection | None = None
    try:
        while True:
            if certificates is not None:
                certificates.look()
            try:
                if connection is None or connection.is_closed():
                    connection = await asyncpg.connect(
                        env.config.database_url, timeout=WATCH_SECONDS, statement_cache_size=0
                    )
                async with asyncio.timeout(WATCH_SECONDS):
                    await _look(env, shared, connection)
                checks.set(SERVING)
            except (OSError, TimeoutError, asyncpg.InternalClientError, *STORE_FAULTS) as error:
                log.warning("store_unavailable", error=type(error).__name__)
                checks.set(NOT_SERVING)
                if connection is not None:
                    connection.terminate()
            await asyncio.sleep(WATCH_SECONDS)
    finally:
        if connection is not None:
            connection.terminate()


async def _look(env: Env, shared: SharedState, connection: asyncpg.Connection) -> None:
    settings = await unsafe_settings(connection)
    env.seal.replace(await token_secrets(ControlTransaction(connection)))
    metrics.STORE_IS_SAFE.set(0 if settings else 1)
    if settings and settings != shared.unsafe_settings:
        log.warning("unsafe_store", settings=settings, allowed=env.config.allow_unsafe_store)
    shared.unsafe_settings = () if env.config.allow_unsafe_store else settings
