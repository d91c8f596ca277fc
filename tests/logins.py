"""The logins that tests connect with: fixtures name a database as its superuser."""

from server.store.migrate import SERVICE
from server.store.service_login import as_login


def as_service(dsn: str) -> str:
    """Return the DSN with the login that server and workers have."""
    return as_login(dsn, SERVICE)
