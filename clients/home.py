"""Files that `usage up` keeps in `.usage/` for its callers: its address, and the keys."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

USUAL_ADDRESS = "127.0.0.1:50051"


def home() -> Path:
    """The directory of `usage up`: `.usage` here, or USAGE_HOME."""
    return Path(os.environ.get("USAGE_HOME") or ".usage")


def program() -> str:
    """Return the command that starts `usage` from here: its name, or its path."""
    if shutil.which("usage"):
        return "usage"
    return near(Path(sys.executable).with_name("usage"))


def near(path: Path) -> str:
    """A path as seen from here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def credentials() -> dict[str, str]:
    """`operator_key`, `demo_key` and `address`, as far as they are there."""
    return {key: str(value) for key, value in _read(home() / "credentials").items()}


def keep(**values: str) -> None:
    """Write `values` beside what the credentials file holds, for its owner only; whole or not."""
    path = home() / "credentials"
    making = path.with_name(f"{path.name}.making")
    making.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with os.fdopen(os.open(making, flags, 0o600), "w") as file:
        json.dump({**_read(path), **values}, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    making.replace(path)


def state() -> dict[str, Any]:
    """The state of the supervisor: its process, its stores, its ports."""
    return _read(home() / "state.json")


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
