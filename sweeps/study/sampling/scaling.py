"""Scale: values made nearly normal for a model."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import PowerTransformer

Floats = NDArray[np.float64]
FARTHEST = 1e3  # value, in interquartile ranges from the median


@dataclass(frozen=True, eq=False)
class Scale:
    """A rising function that gives values a mean of 0, a variance of 1 and little skew.

    Losses and costs are skewed, and a diverged trial is far from all others, which a Gaussian process cannot follow.

    Args:
        middle: Median of the values.
        width: Their interquartile range.
        power: Yeo-Johnson transformation of (value - middle) / width.
    """

    middle: float
    width: float
    power: PowerTransformer

    @staticmethod
    def fit(values: Floats) -> "Scale":
        """Fits a scale.

        Args:
            values: Shape (values,).
        """
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
        width = float(high - low) or float(values.max() - values.min()) or 1.0
        scale = Scale(float(middle), width, PowerTransformer())
        scale.power.fit(scale._center(values))
        return scale

    def __call__(self, values: Floats) -> Floats:
        """Transforms values.

        Args:
            values: Shape (values,).
        """
        transformed: Floats = self.power.transform(self._center(values))[:, 0]
        return transformed

    def _center(self, values: Floats) -> Floats:
        return np.clip((values - self.middle) / self.width, -FARTHEST, FARTHEST)[:, None]
