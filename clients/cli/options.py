"""What the global options say."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """Whom to call as whom (None: as `resolve` of the session finds), and for whom to print."""

    address: str | None = None
    key: str | None = None
    as_json: bool = False
