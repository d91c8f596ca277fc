"""Tables: whatever the width of the console, every figure is whole and every word is there."""

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.text import Text
from rich.tree import Tree
from usage_management.v1 import summary_service_pb2 as summaries
from usage_management.v1 import wallet_service_pb2 as wallets

from clients import screens
from clients.cli.corrections.listing import line_table
from clients.tables import FittingTable
from clients.values import decimal_pb

FIGURE = "-12,345,678,901.123456"
NAMES = ("used", "drawn", "beyond", "amount", "exact")


def shown(what: object, width: int) -> str:
    console = Console(width=width)
    with console.capture() as captured:
        console.print(what)
    text = captured.get()
    assert max(map(len, text.splitlines())) <= width
    return text


@pytest.mark.parametrize("width", [34, 40, 80, 120])
def test_figures_are_whole_at_any_width(width: int) -> None:
    table = FittingTable(box=SIMPLE_HEAD)
    table.add_column("id", no_wrap=True)
    for name in NAMES:
        table.add_column(name, justify="right")
    for row in ("a", "b"):
        table.add_row(row, *(f"{place}{FIGURE}" for place in range(len(NAMES))))

    text = shown(table, width)

    for place, name in enumerate(NAMES):
        assert text.count(f"{place}{FIGURE}") == 2
        assert text.count(name) == 1
    # Each part begins with the first column, so that a figure can be told from its neighbors.
    assert text.count("id") == sum("─" in part for part in text.splitlines())
    assert "…" not in text


def test_what_is_wider_than_the_console_goes_on_below() -> None:
    table = FittingTable("id", box=SIMPLE_HEAD)
    table.add_column("amount", justify="right")
    table.add_row("a", FIGURE)

    text = shown(table, 16)

    rows = [line.strip().removeprefix("a").strip() for line in text.splitlines()[3:]]
    assert "".join(rows) == FIGURE


def test_words_fold_before_a_table_is_parted() -> None:
    table = FittingTable("key", "because", box=SIMPLE_HEAD)
    table.add_column("amount", justify="right")
    table.add_row("a", "voided usage, amended usage and a sale of a day that is past", FIGURE)

    text = shown(table, 50)

    assert text.count("key") == 1
    assert FIGURE in text
    for word in ("voided", "usage,", "amended", "and", "sale", "day", "that", "past"):
        assert word in text


@given(
    st.lists(st.lists(st.text("ab ", max_size=40), min_size=4, max_size=4), min_size=1, max_size=3),
    st.integers(30, 100),
)
def test_nothing_of_any_table_is_lost(cells: list[list[str]], width: int) -> None:
    table = screens.rows(("one", "two", "name", "three"), cells, right="two")

    text = shown(table, width)

    for column in zip(*cells, strict=True):
        assert text.count("a") >= sum(cell.count("a") for cell in column)
    assert "…" not in text


def corrected() -> summaries.CorrectedLine:
    line = summaries.RatableSummary(
        usage_resource="usageResources/minutes-abroad", currency_code="EUR"
    )
    line.start_time.FromJsonString("2026-02-01T12:30:00Z")
    line.origin_start_time.FromJsonString("2026-01-01T12:30:00Z")
    line.amount.CopyFrom(decimal_pb(98_765_432))
    return summaries.CorrectedLine(
        before=line,
        after=line,
        used_difference=decimal_pb(-12_345_678),
        drawn_difference=decimal_pb(-2_345_678),
        overage_difference=decimal_pb(-10_000_001),
        amount_difference=decimal_pb(-123_456_789),
    )


def test_the_lines_of_a_correction_are_whole_at_eighty_columns() -> None:
    text = shown(line_table([corrected()], "Lines that changed", "Europe/Berlin"), 80)

    for part in (
        *("minutes-abroad", "-12,345,678", "-2,345,678", "-10,000,001", "-123,456,789 EUR"),
        *("2026-01-01 13:30", "2026-02-01 13:30", "98,765,432"),
    ):
        assert part in text


def test_a_table_in_a_tree_is_whole_too() -> None:
    entry = wallets.WalletEntry(
        name="accounts/a/wallets/w/entries/12",
        amount=decimal_pb(-12_345_678_901),
        opening_balance=decimal_pb(112_345_678_901),
        closing_balance=decimal_pb(100_000_000_000),
        kind=wallets.WalletEntry.CORRECTION,
        cause="accounts/a/corrections/0123456789",
    )
    tree = Tree(Text("a line"))
    tree.add("its entries").add(screens.entry_table([entry], "Entries"))

    text = shown(tree, 80)

    for part in ("-12,345,678,901", "112,345,678,901", "100,000,000,000", "corrections/01234567"):
        assert part in text


def test_no_table_is_made_that_cuts_its_cells() -> None:
    """All tables are made by the class that fits them."""
    modules = list(Path(screens.__file__).parent.rglob("*.py"))

    found = [
        f"{module.name}:{node.lineno}"
        for module in modules
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Table"
    ]

    assert len(modules) > 40
    assert found == []
