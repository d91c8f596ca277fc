"""The global options."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Options:
    """Whom to call as whom (None: as `resolve` of the session finds), and for whom to print."""

    address: str | None = None
    key: str | None = None
    as_json: bool = False
    # Those of TLS, by the names of `clients.tls.SETTINGS`.
    tls: Mapping[str, str | None] = field(default_factory=dict)
