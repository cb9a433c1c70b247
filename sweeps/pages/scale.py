"""Where values of a column stand on an axis from 0 to 1."""

import math
from typing import Any

import pandas as pd

from sweeps.spec.search_space import Choices, Parameter, Range

TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)


def is_missing(value: Any) -> bool:
    """Whether a frame has no value there."""
    return value is None or (isinstance(value, float) and math.isnan(value))


class Scale:
    """Where values of one column stand between 0 and 1: numbers by size (or its logarithm), others in order.

    Args:
        values: The column.
        tried: Its range or choices, if it has any.
    """

    def __init__(self, values: pd.Series, tried: Parameter | None = None) -> None:
        known = [v for v in values.tolist() if not is_missing(v)]
        self._names = list(map(str, tried.choices)) if isinstance(tried, Choices) else None
        if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in known):
            self._names = self._names or sorted({str(v) for v in known})
        if self._names is None:
            ends = known if not isinstance(tried, Range) else [tried.low, tried.high]
            self._low, self._high = min(ends, default=0.0), max(ends, default=1.0)
        self._log = isinstance(tried, Range) and tried.log

    def at(self, value: Any) -> float | None:
        """From 0 to 1; None for what is missing."""
        if is_missing(value):
            return None
        if self._names is not None:
            return self._names.index(str(value)) / max(len(self._names) - 1, 1)
        if self._high == self._low:
            return 0.5
        low, high, here = (math.log(v) if self._log else v for v in (self._low, self._high, value))
        return (here - low) / (high - low)

    def ticks(self) -> list[tuple[float, str]]:
        """Places from 0 to 1 and what stands there."""
        if self._names is not None:
            return [(i / max(len(self._names) - 1, 1), name[:24]) for i, name in enumerate(self._names)]
        if self._high == self._low:
            return [(0.5, f"{self._low:.3g}")]
        return [(part, f"{self._value(part):.3g}") for part in TICKS]

    def _value(self, part: float) -> float:
        if self._log:
            return float(self._low * (self._high / self._low) ** part)
        return float(self._low + part * (self._high - self._low))
