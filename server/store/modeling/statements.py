"""The SQL statements of a kind of catalog record, made from its table and columns.

All kinds are stored in the same way, so their statements are written once, here. A test prepares
all of them against the migrated schema.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

AUDIT = ("create_time", "created_by", "update_time", "updated_by")


@dataclass(frozen=True, slots=True)
class ListStatement:
    """A list of records by key, after the last `keys` parts of the key of the last one seen."""

    text: str
    keys: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Statements:
    """The statements of a kind. The tenant is $1, the parts of the key follow.

    `save`, `drop` and `move` end with the revision that the caller has seen, and change no row if
    the record has another one.
    """

    add: str
    find: str
    list_of_parent: ListStatement
    list_all: ListStatement
    save: str
    drop: str
    move: str
    lock: str

    def texts(self) -> Iterator[str]:
        """Return all statements."""
        yield from (self.add, self.find, self.list_of_parent.text, self.list_all.text)
        yield from (self.save, self.drop, self.move, self.lock)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The table of a kind, whose first `keys` columns are the key beside the tenant."""

    name: str
    columns: Sequence[str]
    keys: int
    filters: Sequence[str]
    has_states: bool
    is_versioned: bool
    marks_changes: bool


def statements(table: Table) -> Statements:
    """Return the statements of a table."""
    name, columns, keys = table.name, table.columns, table.keys
    key, content = columns[:keys], columns[keys:]
    shown = (*columns, "state" if table.has_states else "'ACTIVE' AS state", "revision", *AUDIT)
    if table.is_versioned:
        shown = (*shown, "version")
    select = f"SELECT {', '.join(shown)} FROM {name}"
    own = " AND ".join(("tenant_id = $1", *_equal(key, 2)))
    # An active record is marked with the revision that this transaction has given to the catalog.
    mark = (
        ", catalog_revision = (SELECT t.catalog_revision FROM tenants AS t WHERE t.tenant_id = $1)"
        if table.marks_changes
        else ""
    )
    conditions = (*(("state",) if table.has_states else ()), *table.filters)
    # Ids are compared without case, because two ids may not differ in case alone.
    parents = " AND ".join(("tenant_id = $1", *_equal(key[:-1], 2)))
    return Statements(
        add=f"INSERT INTO {name} (tenant_id, {', '.join(columns)})"
        f" VALUES ({', '.join(f'${n}' for n in range(1, len(columns) + 2))})"
        " ON CONFLICT DO NOTHING",
        find=f"{select} WHERE {parents} AND lower({key[-1]}) = lower(${keys + 1}::text)",
        list_of_parent=_list(select, key[:-1], key[-1:], conditions),
        list_all=_list(select, (), key, conditions),
        save=f"UPDATE {name} SET {', '.join(_equal(content, keys + 2))},"
        f" revision = revision + 1{mark} WHERE {own} AND revision = ${len(columns) + 2}",
        drop=f"DELETE FROM {name} WHERE {own} AND revision = ${keys + 2}",
        move=f"UPDATE {name} SET state = ${keys + 2}, revision = revision + 1{mark}"
        f" WHERE {own} AND revision = ${keys + 3}",
        lock=f"SELECT 1 FROM {name} WHERE {own} FOR UPDATE",
    )


def _list(
    select: str, parent: Sequence[str], key: Sequence[str], conditions: Sequence[str]
) -> ListStatement:
    """Return a list in the order of the key, within a parent if there is one.

    The parameters are the tenant, the parent, the key of the last record, the limit, then one for
    each condition; null means any.
    """
    last = 2 + len(parent)
    limit = last + len(key)
    where = ["tenant_id = $1", *_equal(parent, 2)]
    where.append(
        f"({', '.join(key)}) > ({', '.join(f'${last + n}::text' for n in range(len(key)))})"
    )
    for number, condition in enumerate(conditions, limit + 1):
        test = condition if "{}" in condition else f"{condition} = {{}}::text"
        kind = test.partition("{}::")[2].partition(" ")[0]
        where.append(f"(${number}::{kind} IS NULL OR {test.format(f'${number}')})")
    text = f"{select} WHERE {' AND '.join(where)} ORDER BY {', '.join(key)} LIMIT ${limit}"
    return ListStatement(text, len(key))


def _equal(columns: Sequence[str], first: int) -> list[str]:
    return [f"{column} = ${number}" for number, column in enumerate(columns, first)]
