"""Tables that fit the console: words fold, and nothing is cut."""

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import replace

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Column, Table

# Wider than anything that is measured.
WIDE = 100_000


class FittingTable(Table):
    """A table none of whose cells is cut, however narrow the console is.

    Columns of words fold first, between words. If the table is still too wide, it is printed in
    parts, one below the other, each of which begins with the first column. Numbers and columns with
    `no_wrap` stay whole; only one that is wider than the console alone folds too.
    """

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Print the table, or its parts."""
        width = self.width or options.max_width
        for part in self._parts(console, options.update(width=WIDE), width):
            yield from Table.__rich_console__(part, console, options)

    def _parts(
        self, console: Console, wide: ConsoleOptions, width: int
    ) -> Iterator["FittingTable"]:
        """Return the parts, each with as many columns as fit, but at least one beside the first."""
        key, left = self.columns[:1], self.columns[1:]
        title = self.title
        while True:
            count = len(left)
            while count > 1 and self._with([*key, *left[:count]])._need(console, wide) > width:
                count -= 1
            part = self._with([*key, *left[:count]])
            part.title, title = title, None
            yield part._narrowed(console, wide, width)
            left = left[count:]
            if not left:
                return

    def _with(self, columns: Sequence[Column]) -> "FittingTable":
        """Return the table with some of its columns."""
        part = copy(self)
        part.columns = [
            replace(one, _index=place, no_wrap=_is_whole(one), overflow="fold")
            for place, one in enumerate(columns)
        ]
        return part

    def _need(self, console: Console, wide: ConsoleOptions) -> int:
        """Return the width below which a word would fold."""
        sizes = [_size(console, wide, one) for one in self.columns]
        return self._whole(console, wide) - sum(one.span for one in sizes)

    def _whole(self, console: Console, wide: ConsoleOptions) -> int:
        """Return the width at which nothing folds."""
        return Table.__rich_measure__(self, console, wide).maximum

    def _narrowed(self, console: Console, wide: ConsoleOptions, width: int) -> "FittingTable":
        """Return the table with columns that are as narrow as it takes."""
        if self._whole(console, wide) <= width:
            return self
        spare = width - self._need(console, wide)
        if spare < 0:
            return self._with([replace(one, no_wrap=False, justify="left") for one in self.columns])
        sizes = [_size(console, wide, one) for one in self.columns]
        columns = list(self.columns)
        by_span = sorted(range(len(sizes)), key=lambda place: sizes[place].span)
        for behind, place in enumerate(by_span):
            given = min(sizes[place].span, spare // (len(by_span) - behind))
            columns[place] = replace(columns[place], width=sizes[place].minimum + given)
            spare -= given
        return self._with(columns)


def _is_whole(column: Column) -> bool:
    """Return whether the cells of a column stay on one line: numbers do."""
    return column.no_wrap or column.justify == "right"


def _size(console: Console, wide: ConsoleOptions, column: Column) -> Measurement:
    """Return the width of a column if its cells fold between words, and if they do not."""
    cells = [column.header, *column.cells, column.footer]
    found = [Measurement.get(console, wide, cell) for cell in cells]
    most = max(one.maximum for one in found)
    return Measurement(most if column.no_wrap else max(one.minimum for one in found), most)
