"""TLS of a client: whose certificates it trusts, and the certificate that it shows.

The files are read when a connection object is made; a client that runs for longer than its
certificate is valid makes another `UsageClient`.
"""

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc

# Instead of a file: the authorities that gRPC brings along.
PUBLIC = "public"
# As the options of the command line and `.usage/credentials` have them; USAGE_CA and so on.
SETTINGS = ("ca", "client_certificate", "client_key", "server_name")


class TlsError(Exception):
    """Settings that cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Tls:
    """The files and the name that make a connection TLS.

    `ca` is a PEM file of the authorities that are trusted, or of the server's own certificate;
    "public" trusts the authorities that gRPC brings along. `certificate` and `key` are PEM files
    for servers that want a client certificate. `server_name` is the name in the server's
    certificate, when it is not that of the address.
    """

    ca: str = PUBLIC
    certificate: str | None = None
    key: str | None = None
    server_name: str | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        """Read the files. Raises TlsError."""
        if (self.certificate is None) != (self.key is None):
            missing = "key" if self.key is None else "certificate"
            raise TlsError(
                f"a client certificate and its key go together; the {missing} is missing"
            )
        if self.certificate is not None and self.key is not None:
            _check_pair(self.certificate, self.key)
        made: grpc.ChannelCredentials = grpc.ssl_channel_credentials(
            None if self.ca == PUBLIC else _pem(self.ca),
            None if self.key is None else _pem(self.key),
            None if self.certificate is None else _pem(self.certificate),
        )
        return made

    @classmethod
    def of(cls, settings: Mapping[str, str]) -> "Tls | None":
        """Return what `ca`, `client_certificate`, `client_key`, `server_name` say; None if none.

        Raises TlsError.
        """
        if not any(settings.get(name) for name in SETTINGS):
            return None
        if not settings.get("ca"):
            raise TlsError(
                "TLS needs an authority to trust: name its PEM file by --ca or USAGE_CA;"
                f" {PUBLIC!r} stands for the public authorities"
            )
        return cls(
            ca=settings["ca"],
            certificate=settings.get("client_certificate") or None,
            key=settings.get("client_key") or None,
            server_name=settings.get("server_name") or None,
        )

    @property
    def options(self) -> tuple[tuple[str, str], ...]:
        """The options of a channel."""
        if self.server_name is None:
            return ()
        return (("grpc.ssl_target_name_override", self.server_name),)


def open_channel(
    address: str, tls: Tls | None = None, options: Sequence[tuple[str, object]] = ()
) -> grpc.aio.Channel:
    """Open a channel, with TLS if that is given. Raises TlsError."""
    if tls is None:
        return grpc.aio.insecure_channel(address, options=options)
    options = (*options, *tls.options)
    return grpc.aio.secure_channel(address, tls.credentials(), options=options)


def _pem(path: str) -> bytes:
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise TlsError(f"{path}: {error.strerror}") from None
    # gRPC takes any bytes and then fails each handshake without saying why.
    if b"-----BEGIN " not in content:
        raise TlsError(f"{path} is no PEM file")
    return content


def _check_pair(certificate: str, key: str) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(
            certificate, key, password=_no_password
        )
    except FileNotFoundError:
        _pem(certificate)
        _pem(key)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise TlsError(f"{certificate} and {key} cannot be used together: {reason}") from None


def _no_password() -> str:
    raise ValueError("the key is encrypted")
