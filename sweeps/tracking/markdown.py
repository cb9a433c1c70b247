"""Tables in Markdown."""

from collections.abc import Iterable, Sequence
from typing import Any


def format_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Formats a table.

    Args:
        columns: Headings.
        rows: Cells; a float gets four significant digits, None an empty cell.

    Examples:
        >>> print(format_table(["trial", "score"], [["trial 003", 0.98765], ["trial 004", None]]), end="")
        | trial | score |
        | --- | --- |
        | trial 003 | 0.9877 |
        | trial 004 |  |
    """
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    return "\n".join(lines + ["| " + " | ".join(map(_format_cell, row)) + " |" for row in rows]) + "\n"


def _format_cell(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)
    return text.replace("|", "\\|")
