"""Scale: positions of a column's values on an axis from 0 to 1."""

import math
from typing import Any

import pandas as pd

from sweeps.spec.search_space import Choices, Parameter, Range

TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
MAX_LABEL = 24  # characters


def is_missing(value: Any) -> bool:
    """Returns whether a frame lacks a value.

    Args:
        value: Cell of a frame.
    """
    return value is None or (isinstance(value, float) and math.isnan(value))


class Scale:
    """Scale of one column: numbers by size or by logarithm, other values in order.

    It reaches from end to end of the search space, and further where a value is beyond it.

    Args:
        values: The column.
        searched: Its entry in the search space, if any.
    """

    def __init__(self, values: pd.Series, searched: Parameter | None = None) -> None:
        known = [v for v in values.tolist() if not is_missing(v)]
        is_choice = isinstance(searched, Choices)
        self._names: list[str] | None = None
        if is_choice or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in known):
            choices = map(str, searched.choices) if isinstance(searched, Choices) else ()
            self._names = list(dict.fromkeys([*choices, *sorted({str(v) for v in known})]))
        else:
            ends = [*known, searched.low, searched.high] if isinstance(searched, Range) else known
            self._low, self._high = min(ends, default=0.0), max(ends, default=1.0)
            self._log = isinstance(searched, Range) and searched.log and self._low > 0

    def at(self, value: Any) -> float | None:
        """Returns the position of a value, from 0 to 1; None if it is missing.

        Args:
            value: Cell of the column.

        Examples:
            >>> Scale(pd.Series([2.0, 4.0])).at(3.0)
            0.5
        """
        if is_missing(value):
            return None
        if self._names is not None:
            return self._names.index(str(value)) / max(len(self._names) - 1, 1)
        if self._high == self._low:
            return 0.5
        low, high, v = (math.log(x) if self._log else x for x in (self._low, self._high, value))
        return (v - low) / (high - low)

    def ticks(self) -> list[tuple[float, str]]:
        """Returns positions from 0 to 1 with their labels."""
        if self._names is not None:
            return [(i / max(len(self._names) - 1, 1), name[:MAX_LABEL]) for i, name in enumerate(self._names)]
        if self._high == self._low:
            return [(0.5, f"{self._low:.3g}")]
        low, high = self._low, self._high
        values = [low * (high / low) ** part if self._log else low + part * (high - low) for part in TICKS]
        return [(part, f"{value:.3g}") for part, value in zip(TICKS, values, strict=True)]
