"""Ports to listen on: free, or refused with the way to another."""

import os
import socket

from server.local.binaries import LocalStoreError

MOST = 65535


def chosen(variable: str, usual: int, host: str = "127.0.0.1") -> int:
    """The port that `variable` names, `usual` if unset, any free one for 0.

    Raises LocalStoreError when it is taken or is no port; the text says how to change it.
    """
    text = os.environ.get(variable) or str(usual)
    if not text.isascii() or not text.isdecimal() or int(text) > MOST:
        raise LocalStoreError(f"{variable}={text} is not a port: 0 to {MOST}")
    port = int(text)
    if port and not is_free(host, port):
        raise LocalStoreError(
            f"port {port} on {host} is in use by another program; choose another:"
            f" {variable}={any_free(host, port)} usage up"
        )
    return port or any_free(host)


def is_free(host: str, port: int) -> bool:
    """Whether one could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def any_free(host: str, near: int | None = None) -> int:
    """A free port: one of the ten behind `near`, if that is given, or what the system says."""
    if near is not None:
        for port in range(near + 1, min(near + 11, MOST)):
            if is_free(host, port):
                return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1" if ":" in host else host, 0))
        found: int = probe.getsockname()[1]
    return found
