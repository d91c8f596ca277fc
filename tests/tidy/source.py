"""The files that the house rules are about."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("server", "workers", "clients", "tests")
PYTHON = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
PROTOS = sorted((ROOT / "protos/usage_management").rglob("*.proto"))
QUERIES = sorted((ROOT / "server/store/sql").rglob("*.sql"))
