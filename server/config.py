"""Config: the settings of a process from the environment; an error names the variable.

Every variable begins with `DATABASE_`, `REDIS_` or `USAGE_`.
"""

import socket
from ipaddress import ip_address
from typing import Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

UNIX = "unix:"
# The path of a socket may have 108 bytes on Linux and 104 on macOS, including a final zero byte.
MOST_SOCKET_BYTES = 103


class ConfigError(Exception):
    """A setting that cannot be used; the message names the variable."""


class Config(BaseSettings):
    """The settings of a server or a worker, fixed at the start."""

    model_config = SettingsConfigDict(
        env_prefix="USAGE_", frozen=True, extra="ignore", populate_by_name=True
    )

    database_url: str = Field(validation_alias="DATABASE_URL", min_length=1)
    # The login of `usage migrate`, which may create roles and tables; by default DATABASE_URL.
    # Servers and workers do not read it.
    database_owner_url: str | None = Field(default=None, validation_alias="DATABASE_OWNER_URL")
    # Without Redis there are no job signals; workers poll every second and find the same jobs.
    redis_url: str | None = Field(default=None, validation_alias="REDIS_URL")
    # `transaction`: a pooler assigns a connection for each transaction, so sessions have no state.
    database_pooler: Literal["none", "transaction"] = Field(
        default="none", validation_alias="DATABASE_POOLER"
    )
    # A name, an IPv4 or an IPv6 address (`::` means all of both), or `unix:/path` without a port.
    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=50051, ge=0, le=65535)
    # PEM files: the certificate with its chain, its key, and the authorities whose certificates
    # clients must show. They are read again when they change.
    tls_certificate: str | None = Field(default=None, min_length=1)
    tls_key: str | None = Field(default=None, min_length=1)
    tls_client_ca: str | None = Field(default=None, min_length=1)
    # Without TLS only loopback addresses and unix sockets are served, unless this allows others.
    allow_plaintext: bool = False
    # Other processes listen on the port too; the kernel distributes the connections.
    shares_port: bool = False
    metrics_host: str = "127.0.0.1"
    metrics_port: int = Field(default=9464, ge=0, le=65535)
    pool_size: int = Field(default=8, ge=1, le=200)
    # The most lines of a quote, and so of an order.
    quote_lines: int = Field(default=200, ge=1, le=1000)
    # The most entries and tiers of a rate card.
    rate_card_entries: int = Field(default=1_200, ge=1, le=100_000)
    rate_card_tiers: int = Field(default=3_000, ge=1, le=1_000_000)
    # The largest quantity of a record, in the unit of its wallet.
    record_quantity: int = Field(default=10**18, ge=1, lt=10**26)
    # The most accounts whose records are written in one transaction. None means all of a request;
    # use 1 on a database that distributes accounts.
    record_accounts_per_transaction: int | None = Field(default=None, ge=1)
    # The most active calls in one process, in total and of one tenant; more are refused at once.
    calls_in_flight: int = Field(default=1_000, ge=1, le=100_000)
    tenant_calls_in_flight: int = Field(default=500, ge=1, le=100_000)
    worker_concurrency: int = Field(default=4, ge=1, le=64)
    # The time that a starting program waits for Postgres to answer.
    store_wait_seconds: float = Field(default=60.0, ge=0, le=3600)
    sweep_seconds: float = Field(default=1.0, gt=0, le=60)
    # The time after which housekeeping deletes jobs that were done or waived.
    ended_job_hours: float = Field(default=168.0, ge=1, le=100_000)
    # The time after which housekeeping deletes a request id with its answer.
    request_days: int = Field(default=400, ge=1, le=10_000)
    # Serves server reflection; by default on loopback addresses and unix sockets only.
    reflection: bool | None = None
    allow_unsafe_store: bool = False
    stop_seconds: float = Field(default=20.0, ge=0, le=600)
    drain_seconds: float = Field(default=2.0, ge=0, le=60)
    log_format: Literal["json", "text"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("host")
    @classmethod
    def _host(cls, text: str) -> str:
        """Return the host without the brackets of IPv6; refuse an invalid path of a socket."""
        if text.startswith(UNIX):
            path = text.removeprefix(UNIX)
            if not path.startswith("/") or len(path.encode()) > MOST_SOCKET_BYTES:
                raise ValueError(
                    f"a unix socket is written unix:/path, with at most {MOST_SOCKET_BYTES} bytes"
                    " of path"
                )
        elif text.startswith("[") and text.endswith("]"):
            return text[1:-1]
        return text

    @field_validator("metrics_host")
    @classmethod
    def _metrics_host(cls, text: str) -> str:
        return text[1:-1] if text.startswith("[") and text.endswith("]") else text

    @property
    def is_local(self) -> bool:
        """True if only this machine can reach the port."""
        return is_local(self.host)

    @property
    def reflects(self) -> bool:
        """True if the server offers reflection."""
        return self.is_local if self.reflection is None else self.reflection

    @property
    def limits(self) -> dict[str, int]:
        """The limits that are settings, by their ids."""
        return {
            "call.in_flight": self.calls_in_flight,
            "call.tenant_in_flight": self.tenant_calls_in_flight,
            "quote.lines": self.quote_lines,
            "rate.card_entries": self.rate_card_entries,
            "rate.card_tiers": self.rate_card_tiers,
            "record.quantity": self.record_quantity,
            "request_id.days": self.request_days,
        }


def is_local(host: str) -> bool:
    """Return True if a host is a unix socket, or a name or address of loopback."""
    if host.startswith(UNIX):
        return True
    try:
        # A name may have several addresses, and a server listens on all of them.
        addresses = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    ips = (ip_address(str(address[0]).partition("%")[0]) for *_, address in addresses)
    return all(ip.is_loopback for ip in ips)


def read_config(**overrides: object) -> Config:
    """Return the settings of the environment; `overrides` take precedence, by field.

    Raises ConfigError, which names the variable and the reason.
    """
    try:
        return Config(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        faults = [f"{_variable(fault['loc'])}: {fault['msg']}" for fault in error.errors()]
        raise ConfigError("; ".join(faults)) from None


def _variable(location: tuple[int | str, ...]) -> str:
    name = str(location[0]) if location else "?"
    return name if name.isupper() else f"USAGE_{name.upper()}"
