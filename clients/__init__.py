"""The Python client of usage management: one class, one error.

They are loaded when first asked for, because `usage --help` has no need of gRPC.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clients.client import UsageClient
    from clients.errors import UsageError
    from clients.tls import Tls

__all__ = ["Tls", "UsageClient", "UsageError"]

_MODULES = {
    "Tls": "clients.tls",
    "UsageClient": "clients.client",
    "UsageError": "clients.errors",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'clients' has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)
