"""Tables in Markdown."""

from collections.abc import Iterable, Sequence
from typing import Any


def format_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table.

    Args:
        columns: Headings.
        rows: Cells; numbers with a fraction get four digits, None an empty cell.
    """
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    return "\n".join(lines + ["| " + " | ".join(map(_cell, row)) + " |" for row in rows]) + "\n"


def _cell(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)
    return text.replace("|", "\\|")
