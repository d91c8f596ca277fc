"""Advice, as text, for changing from one powerful login to a separate one for the service."""

import secrets
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from server.store.migrate import SERVICE
from server.store.pool import DangerousRole

# The parameters of a DSN that name the login.
OF_A_LOGIN = frozenset({"user", "password", "passfile"})


def advice(dsn: str, dangerous: DangerousRole) -> str:
    """Return the statements and settings that give the service a login with fewer rights.

    The password is new at every call, and takes effect only when the statement is run.
    """
    password = secrets.token_urlsafe(24)
    return (
        f"server and worker will refuse this login: {dangerous}.\n"
        f"To give them {SERVICE}, which `usage migrate` has made, run in the database:\n"
        f"    ALTER ROLE {SERVICE} LOGIN PASSWORD '{password}';\n"
        "and set in their environment:\n"
        f"    DATABASE_URL={as_login(dsn, SERVICE, password)}\n"
        "Keep the login of today for `usage migrate`, as DATABASE_OWNER_URL."
    )


def as_login(dsn: str, user: str, password: str | None = None) -> str:
    """Return `dsn` with another login, without the user and password that it had."""
    parts = urlsplit(dsn)
    query = urlencode(
        [pair for pair in parse_qsl(parts.query) if pair[0] not in OF_A_LOGIN], safe="/:"
    )
    place = parts.netloc.rpartition("@")[2]
    login = quote(user, safe="")
    if password is not None:
        login += f":{quote(password, safe='')}"
    return urlunsplit(parts._replace(netloc=f"{login}@{place}", query=query))
