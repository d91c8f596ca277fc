"""Addresses to listen on: an IPv4 or IPv6 host with a port, or `unix:` and a path."""

import os
import socket
import stat
from pathlib import Path

from server.config import UNIX, Config, ConfigError
from server.runtime.tls_files import CERTIFICATE, KEY


def address_of(host: str, port: int) -> str:
    """Return the address in gRPC's form: `127.0.0.1:50051`, `[::]:50051`, `unix:/usage.sock`."""
    if host.startswith(UNIX):
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def refuse_taken_socket(config: Config) -> None:
    """Raise ConfigError if another server uses the path, or if it is not a socket.

    gRPC removes an existing socket file, so that a server can start after a kill. That would also
    cut off a running server.
    """
    if not config.host.startswith(UNIX):
        return
    path = Path(config.host.removeprefix(UNIX))
    if not path.parent.is_dir():
        raise ConfigError(f"USAGE_HOST: there is no directory {path.parent}")
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ConfigError(f"USAGE_HOST: {path} is there and is not a socket")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(os.fspath(path))
        except OSError:
            return
    raise ConfigError(f"USAGE_HOST: another program listens at {path}")


def refuse_plaintext(config: Config) -> None:
    """Raise ConfigError if clients would send keys unencrypted over a network."""
    if config.tls_certificate or config.allow_plaintext or config.is_local:
        return
    raise ConfigError(
        f"USAGE_HOST: {config.host} is reached from other machines, and without TLS they would send"
        f" their keys readable. Name a PEM certificate and its key in {CERTIFICATE} and {KEY};"
        " or set USAGE_ALLOW_PLAINTEXT=1, as behind a proxy that ends TLS; or set"
        " USAGE_HOST=127.0.0.1"
    )
