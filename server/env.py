"""Env: the parts of the process that a request uses; created once, passed on, never global.

It has no clock: a tenant's time comes from `server.store.access.tenants.now`, the database's from
SQL.
"""

import os
import time
from dataclasses import dataclass, field
from uuid import UUID

from server.config import Config
from server.runtime.heavy_work import HeavyWork
from server.runtime.job_signal import JobSignal
from server.runtime.token_seal import TokenSeal
from server.store.shares import SharedPool


@dataclass(frozen=True, slots=True)
class Env:
    """The pool, the settings, the job signal, the seal of tokens, and the heavy-work process."""

    pool: SharedPool
    config: Config
    job_signal: JobSignal
    seal: TokenSeal
    heavy_work: HeavyWork = field(default_factory=HeavyWork)


def new_id() -> UUID:
    """Return a UUIDv7: 48 bits of milliseconds, then random bits. No rule reads its time."""
    random = int.from_bytes(os.urandom(10))
    bits = (time.time_ns() // 1_000_000) << 80 | random
    bits = bits & ~(0xF << 76) | 0x7 << 76
    return UUID(int=bits & ~(0x3 << 62) | 0x2 << 62)
