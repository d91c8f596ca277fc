"""The TLS settings of callers on this machine, stored beside their keys."""

import os
from pathlib import Path

from server.config import read_config
from server.local.binaries import LocalStoreError
from server.runtime.listening import refuse_plaintext
from server.runtime.tls_files import CERTIFICATE, CLIENT_CA, CertificateError, tls_files

CLIENT_CERTIFICATE, CLIENT_KEY = "USAGE_CLIENT_CERTIFICATE", "USAGE_CLIENT_KEY"


def for_callers() -> dict[str, str | None]:
    """Return the TLS values for the credentials file; None removes a value.

    Checks the server's settings first. Raises ConfigError, LocalStoreError.
    """
    config = read_config(database_url=os.environ.get("DATABASE_URL") or "postgresql://")
    refuse_plaintext(config)
    files = tls_files(config)
    names = ("ca", "client_certificate", "client_key", "server_name")
    if files is None:
        return dict.fromkeys(names)
    try:
        files.read()
    except CertificateError as error:
        raise LocalStoreError(str(error)) from None
    values = {name: os.environ.get(f"USAGE_{name.upper()}") for name in names}
    if files.client_ca is not None and not (values["client_certificate"] and values["client_key"]):
        raise LocalStoreError(
            f"{CLIENT_CA}: `usage up` calls its server too, and so shows a certificate; name one of"
            f" that authority in {CLIENT_CERTIFICATE} and its key in {CLIENT_KEY}"
        )
    # Without another authority, callers trust the server's own certificate.
    values["ca"] = values["ca"] or os.environ[CERTIFICATE]
    for name in ("ca", "client_certificate", "client_key"):
        values[name] = _absolute(values[name])
    return values


def _absolute(path: str | None) -> str | None:
    # `public` stands for the public authorities and is not a path.
    return str(Path(path).absolute()) if path and path != "public" else path
