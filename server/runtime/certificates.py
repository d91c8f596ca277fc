"""TLS of the port: certificate, key and client authorities from files, reloaded on change."""

import threading
import time
from dataclasses import dataclass, field

import grpc
import structlog

from server import metrics
from server.config import Config, ConfigError
from server.runtime.tls_files import (
    CERTIFICATE,
    CLIENT_CA,
    KEY,
    CertificateError,
    Files,
    Stamp,
    tls_files,
)

log = structlog.get_logger("certificates")

# Faulty files are read again after this time, even if their stamps are unchanged.
RETRY_SECONDS = 1.0


@dataclass(slots=True)
class Certificates:
    """The certificate of a port; new connections get replaced files."""

    files: Files
    _current: grpc.ServerCertificateConfiguration
    _stamp: Stamp
    _refused: Stamp | None = None
    _retry: float = 0.0
    _is_new: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def open(cls, config: Config) -> "Certificates | None":
        """Return the certificates that the settings name; None if they name none.

        Raises ConfigError.
        """
        files = tls_files(config)
        if files is None:
            return None
        try:
            stamp = files.stamp()
            return cls(files, _configuration(files), stamp)
        except CertificateError as error:
            raise ConfigError(str(error)) from None

    def credentials(self) -> grpc.ServerCredentials:
        """Return the credentials of a port. gRPC serves TLS 1.2 and 1.3 only."""
        credentials: grpc.ServerCredentials = grpc.dynamic_ssl_server_credentials(
            self._current,
            self._fetch,  # type: ignore[arg-type] # None is allowed, and means no change
            self.files.client_ca is not None,
        )
        return credentials

    def look(self) -> None:
        """Reload the files if they changed; faulty files are logged and ignored."""
        with self._lock:
            stamp = self.files.stamp()
            if stamp == self._stamp:
                return
            if stamp == self._refused and time.monotonic() < self._retry:
                return
            try:
                self._current = _configuration(self.files)
            except CertificateError as error:
                if stamp != self._refused:
                    metrics.TLS_RELOADS.labels(outcome="refused").inc()
                    log.warning("certificate_refused", reason=str(error))
                self._refused, self._retry = stamp, time.monotonic() + RETRY_SECONDS
                return
            self._stamp, self._refused, self._is_new = stamp, None, True
            metrics.TLS_RELOADS.labels(outcome="loaded").inc()
            log.info("certificate_loaded", path=str(self.files.certificate))

    def _fetch(self) -> grpc.ServerCertificateConfiguration | None:
        """Return a new certificate once, else None. gRPC calls it before every handshake.

        Several threads of gRPC may call it at once.
        """
        self.look()
        with self._lock:
            if not self._is_new:
                return None
            self._is_new = False
            return self._current


def _configuration(files: Files) -> grpc.ServerCertificateConfiguration:
    """Return the files as a gRPC configuration. Raises CertificateError."""
    contents = files.read()
    return grpc.ssl_server_certificate_configuration(
        [(contents[KEY], contents[CERTIFICATE])], root_certificates=contents.get(CLIENT_CA)
    )
