"""Config: the settings of a process, from the environment; a bad value is refused by its name.

Every variable is `DATABASE_URL`, `REDIS_URL` or begins with `USAGE_`.
"""

from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from server.domain.consuming.intake import MOST_QUANTITY
from server.domain.exact import INTEGER_DIGITS


class ConfigError(Exception):
    """A setting that cannot be used; the message names the variable."""


class Config(BaseSettings):
    """What a server or a worker is told. Nothing changes after the start."""

    model_config = SettingsConfigDict(
        env_prefix="USAGE_", frozen=True, extra="ignore", populate_by_name=True
    )

    database_url: str = Field(validation_alias="DATABASE_URL", min_length=1)
    # Without Redis nobody rings; the workers look every second and find the same work.
    redis_url: str | None = Field(default=None, validation_alias="REDIS_URL")
    # `transaction`: a pooler hands out a connection for each transaction, so no session is ours.
    database_pooler: Literal["none", "transaction"] = Field(
        default="none", validation_alias="DATABASE_POOLER"
    )
    host: str = "127.0.0.1"
    port: int = Field(default=50051, ge=0, le=65535)
    # Other processes listen on the port too; the kernel shares the connections out.
    shares_port: bool = False
    metrics_host: str = "127.0.0.1"
    metrics_port: int = Field(default=9464, ge=0, le=65535)
    pool_size: int = Field(default=8, ge=1, le=200)
    # How many lines a quote, and so an order, may have.
    quote_lines: int = Field(default=200, ge=1, le=1000)
    # How many entries and tiers a rate card may have.
    rate_card_entries: int = Field(default=1_200, ge=1, le=100_000)
    rate_card_tiers: int = Field(default=3_000, ge=1, le=1_000_000)
    # The largest quantity of a record, as it is counted in the unit of its wallet.
    record_quantity: int = Field(default=int(MOST_QUANTITY), ge=1, lt=10**INTEGER_DIGITS)
    # Of how many accounts records are kept in one transaction. None is of all in a request; on a
    # database that distributes accounts, 1.
    record_accounts_per_transaction: int | None = Field(default=None, ge=1)
    worker_concurrency: int = Field(default=4, ge=1, le=64)
    sweep_seconds: float = Field(default=1.0, gt=0, le=60)
    # How long jobs that were done or given up are kept before housekeeping deletes them.
    ended_job_hours: float = Field(default=168.0, ge=1, le=100_000)
    reflection: bool = True
    allow_unsafe_store: bool = False
    stop_seconds: float = Field(default=20.0, ge=0, le=600)
    drain_seconds: float = Field(default=2.0, ge=0, le=60)
    log_format: Literal["json", "text"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def limits(self) -> dict[str, int]:
        """The limits that are settings, by their ids."""
        return {
            "quote.lines": self.quote_lines,
            "rate.card_entries": self.rate_card_entries,
            "rate.card_tiers": self.rate_card_tiers,
            "record.quantity": self.record_quantity,
        }


def read_config(**overrides: object) -> Config:
    """The settings of the environment; `overrides` go before it, by field.

    Raises ConfigError, which says which variable and why.
    """
    try:
        return Config(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        faults = [f"{_variable(fault['loc'])}: {fault['msg']}" for fault in error.errors()]
        raise ConfigError("; ".join(faults)) from None


def _variable(location: tuple[int | str, ...]) -> str:
    name = str(location[0]) if location else "?"
    return name if name.isupper() else f"USAGE_{name.upper()}"
