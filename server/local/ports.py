"""Ports to listen on: free ones, or an error that suggests another."""

import errno
import os
import socket

from server.local.binaries import LocalStoreError

MOST = 65535


def chosen(variable: str, usual: int, host: str = "127.0.0.1") -> int:
    """Return the port that `variable` names, `usual` if unset, any free one for 0.

    Raises LocalStoreError if it is in use or invalid; the text tells how to change it.
    """
    text = os.environ.get(variable) or str(usual)
    if not text.isascii() or not text.isdecimal() or int(text) > MOST:
        raise LocalStoreError(f"{variable}={text} is not a port: 0 to {MOST}")
    port = int(text)
    refused = _refusal(host, port)
    if refused is not None and refused.errno != errno.EADDRINUSE:
        name = variable.replace("PORT", "HOST")
        raise LocalStoreError(
            f"cannot listen at {host}, port {port}: {refused.strerror}; {name} is a name or an"
            " address of this machine, such as 127.0.0.1, 0.0.0.0 or ::"
        )
    if refused is not None:
        raise LocalStoreError(
            f"port {port} on {host} is in use by another program; choose another:"
            f" {variable}={any_free(host, port)} usage up"
        )
    return port or any_free(host)


def is_free(host: str, port: int) -> bool:
    """Return True if the port can be listened on now."""
    return _refusal(host, port) is None


def any_free(host: str, near: int | None = None) -> int:
    """Return a free port: one of the ten after `near`, if given, or one that the system chooses."""
    if near is not None:
        for port in range(near + 1, min(near + 11, MOST)):
            if is_free(host, port):
                return port
    with socket.socket(_family(host)) as probe:
        probe.bind((host, 0))
        found: int = probe.getsockname()[1]
    return found


def _refusal(host: str, port: int) -> OSError | None:
    """Return the error of listening on the port now, if any."""
    try:
        with socket.socket(_family(host)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            probe.listen(1)
    except OSError as error:
        return error
    return None


def _family(host: str) -> int:
    return socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][0]
