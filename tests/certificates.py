"""Certificates for tests of TLS, as PEM files."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import trustme
from cryptography import x509

EXPIRED = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key."""

    certificate: Path
    key: Path
    serial: int

    def copy_to(self, other: "Pair") -> None:
        """Put these contents into the files of another pair."""
        other.key.write_bytes(self.key.read_bytes())
        other.certificate.write_bytes(self.certificate.read_bytes())

    @property
    def settings(self) -> dict[str, str]:
        """The settings of a server in this process."""
        return {"tls_certificate": str(self.certificate), "tls_key": str(self.key)}

    @property
    def variables(self) -> dict[str, str]:
        """The settings of a server as a process."""
        return {f"USAGE_{name.upper()}": value for name, value in self.settings.items()}


class Authority:
    """Issues certificates into files of a directory."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._authority = trustme.CA()
        self.file = directory / "ca.pem"
        self._authority.cert_pem.write_to_path(str(self.file))

    def issue(self, name: str, *, expired: bool = False) -> Pair:
        """Issue a certificate of this machine's names into files that begin with `name`."""
        made = self._authority.issue_cert(
            "localhost", "127.0.0.1", "::1", not_after=EXPIRED if expired else None
        )
        certificate, key = (self._directory / f"{name}.{kind}.pem" for kind in ("cert", "key"))
        certificate.write_bytes(b"".join(pem.bytes() for pem in made.cert_chain_pems))
        made.private_key_pem.write_to_path(str(key))
        serial = x509.load_pem_x509_certificate(made.cert_chain_pems[0].bytes()).serial_number
        return Pair(certificate, key, serial)
