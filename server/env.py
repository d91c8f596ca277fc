"""Env: what a request needs of the process it runs in; made once, passed on, never global.

Time is not here: a tenant's comes from `server.store.access.tenants.now`, the database's from SQL.
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
    """The pool, the settings, what wakes the workers after a commit, and the seal of tokens."""

    pool: SharedPool
    config: Config
    job_signal: JobSignal
    seal: TokenSeal
    heavy_work: HeavyWork = field(default_factory=HeavyWork)


def new_id() -> UUID:
    """A UUIDv7: 48 bits of milliseconds, then chance. Only ever an id; no rule reads its time."""
    random = int.from_bytes(os.urandom(10))
    bits = (time.time_ns() // 1_000_000) << 80 | random
    bits = bits & ~(0xF << 76) | 0x7 << 76
    return UUID(int=bits & ~(0x3 << 62) | 0x2 << 62)
