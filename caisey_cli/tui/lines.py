"""A widget that shows rows as they are: header, side panel, message, footer, the text of a card."""

from __future__ import annotations

from collections.abc import Callable

from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from caisey_cli.tui.tone import Row, strip, width_of


class Rows(Widget):
    """Shows what `make` returns for its width; asked again by `update`. As high as its rows where the style says so."""

    def __init__(self, make: Callable[[int], list[Row]], name: str) -> None:
        super().__init__(id=name)
        self._make = make
        self._rows: list[Row] | None = None

    def update(self) -> None:
        """Makes the rows anew; draws them if they have changed."""
        width = self.size.width or (self.app.size.width if self.is_attached else 80)
        rows = self._make(width)
        if rows == self._rows:
            return
        taller = self._rows is None or len(rows) != len(self._rows)
        self._rows = rows
        wide = self.styles.width
        self.refresh(layout=taller or (wide is not None and wide.is_auto))

    def on_resize(self) -> None:
        """The width is another one."""
        self.update()

    def get_content_width(self, container: Size, viewport: Size) -> int:
        """As wide as the widest."""
        del viewport
        return max((width_of(row) for row in self._make(container.width)), default=0)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many as there are rows."""
        del container, viewport
        rows = self._make(width)
        if rows != self._rows:
            self._rows = rows
            self.refresh()  # `update` would find nothing new
        return len(self._rows)

    def render_line(self, y: int) -> Strip:
        """One row; all are made when the first is drawn, so that the first paint has them."""
        if self._rows is None:
            self._rows = self._make(self.size.width)
        row = self._rows[y] if y < len(self._rows) else ()
        return strip(row, self.size.width, self.rich_style)
