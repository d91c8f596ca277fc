"""Connections within a transaction: of one tenant, or of the service itself."""

from collections.abc import Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from server.domain.ids import TenantId

if TYPE_CHECKING:
    from asyncpg import Record

Connection = asyncpg.Connection | PoolConnectionProxy


class _Statements:
    """The methods that run statements."""

    __slots__ = ("connection",)

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def execute(self, query: str, *arguments: object) -> Coroutine[Any, Any, str]:
        """Run a statement; the result is its command tag."""
        return self.connection.execute(query, *arguments)

    def executemany(
        self, query: str, arguments: Iterable[Sequence[object]]
    ) -> Coroutine[Any, Any, None]:
        """Run a statement once for each tuple of arguments."""
        return self.connection.executemany(query, arguments)

    def fetch(self, query: str, *arguments: object) -> "Coroutine[Any, Any, list[Record]]":
        """Run a query; the result is its rows."""
        return self.connection.fetch(query, *arguments)

    def fetchrow(self, query: str, *arguments: object) -> "Coroutine[Any, Any, Record | None]":
        """Run a query; the result is its first row, if it has one."""
        return self.connection.fetchrow(query, *arguments)

    def fetchval(self, query: str, *arguments: object) -> Coroutine[Any, Any, Any]:
        """Run a query; the result is the first value of its first row."""
        return self.connection.fetchval(query, *arguments)


class Transaction(_Statements):
    """A transaction of one tenant: `tenant_id` is the only tenant that a query can name.

    The class wraps the connection because asyncpg's proxy has slots and cannot carry an attribute.
    """

    __slots__ = ("tenant_id",)

    def __init__(self, connection: Connection, tenant_id: TenantId) -> None:
        super().__init__(connection)
        self.tenant_id = tenant_id


class ControlTransaction(_Statements):
    """A transaction of no tenant; row-level security hides the rows of all tenants from it.

    Only due jobs, the look-up of keys, revisions, housekeeping and the list of tenants use it.
    """

    __slots__ = ()
