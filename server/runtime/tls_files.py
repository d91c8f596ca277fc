"""The PEM files of TLS: the settings that name them, and checks that they fit together."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from server.config import Config, ConfigError

CERTIFICATE, KEY = "USAGE_TLS_CERTIFICATE", "USAGE_TLS_KEY"
CLIENT_CA = "USAGE_TLS_CLIENT_CA"

Stamp = tuple[tuple[int, int, int] | None, ...]


class CertificateError(Exception):
    """Files that cannot be used together; the message names the settings."""


@dataclass(frozen=True, slots=True)
class Files:
    """The paths that the settings name, by setting."""

    certificate: Path
    key: Path
    client_ca: Path | None

    @property
    def by_setting(self) -> dict[str, Path]:
        """The paths in the order in which they are checked."""
        paths = {CERTIFICATE: self.certificate, KEY: self.key}
        return paths if self.client_ca is None else {**paths, CLIENT_CA: self.client_ca}

    def stamp(self) -> Stamp:
        """Return a value that changes when a file is changed or replaced."""
        return tuple(_stamp(path) for path in self.by_setting.values())

    def read(self) -> dict[str, bytes]:
        """Return the checked contents by setting. Raises CertificateError."""
        contents = self._contents()
        self._check(contents)
        # The check reads the files again, so a change in between would serve unchecked files.
        if self._contents() != contents:
            raise CertificateError(f"{', '.join(self.by_setting)}: changed while they were read")
        return contents

    def _contents(self) -> dict[str, bytes]:
        contents = {}
        for setting, path in self.by_setting.items():
            try:
                contents[setting] = path.read_bytes()
            except OSError as error:
                raise CertificateError(f"{setting}: {path}: {error.strerror}") from None
        return contents

    def _check(self, contents: dict[str, bytes]) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        _check_certificates(CERTIFICATE, self.certificate, contents[CERTIFICATE])
        try:
            # Without this, OpenSSL would prompt for the password of an encrypted key.
            context.load_cert_chain(self.certificate, self.key, password=_no_password)
        except (ssl.SSLError, ValueError, OSError) as error:
            reason = getattr(error, "reason", None) or "is encrypted, or is no PEM"
            if reason == "KEY_VALUES_MISMATCH":
                raise CertificateError(
                    f"{CERTIFICATE}, {KEY}: {self.key} is not the key of {self.certificate}"
                ) from None
            raise CertificateError(f"{KEY}: {self.key} cannot be used: {reason}") from None
        if self.client_ca is not None:
            _check_certificates(CLIENT_CA, self.client_ca, contents[CLIENT_CA])


def tls_files(config: Config) -> Files | None:
    """Return the files that the settings name, or None. Raises ConfigError for contradictions."""
    certificate, key, client_ca = config.tls_certificate, config.tls_key, config.tls_client_ca
    if certificate is None and key is not None:
        raise ConfigError(f"{KEY}: a key needs its certificate; name it in {CERTIFICATE}")
    if certificate is None and client_ca is not None:
        raise ConfigError(
            f"{CLIENT_CA}: clients show certificates only over TLS; set {CERTIFICATE} and {KEY}"
        )
    if certificate is None:
        return None
    if key is None:
        raise ConfigError(f"{CERTIFICATE}: a certificate needs its key; name it in {KEY}")
    return Files(Path(certificate), Path(key), Path(client_ca) if client_ca else None)


def _check_certificates(setting: str, path: Path, content: bytes) -> None:
    """Raise CertificateError if a file has no certificate, or a truncated one."""
    begun, ended = (
        content.count(b"-----%b CERTIFICATE-----" % word) for word in (b"BEGIN", b"END")
    )
    try:
        if begun != ended:
            raise ValueError
        # Text beside the certificates may have any encoding, but `ssl` accepts ASCII only.
        text = content.decode("ascii", "backslashreplace")
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError):
        raise CertificateError(f"{setting}: {path} is no PEM file of certificates") from None


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _no_password() -> str:
    raise ValueError("encrypted")
