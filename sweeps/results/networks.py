"""One network of a trial, to use."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from bimt_core import Population, Task, plot_connectivity

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """One network of a trial.

    Args:
        population: The network, as a population of one.
        task: The task it was trained on.
        seed: Its replicate's seed.
    """

    population: Population
    task: Task
    seed: int

    def predict(self, inputs: torch.Tensor | npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Outputs for inputs in the task's order.

        Args:
            inputs: Shape (rows, inputs), or tokens of shape (rows, folds).

        Returns:
            Shape (rows, outputs).
        """
        given = torch.as_tensor(np.asarray(inputs)).to(self.task.inputs.dtype)
        outputs: npt.NDArray[np.float64] = self.population.predict(given)[0].double().numpy()
        return outputs

    def score(self) -> float:
        """Accuracy or R^2 on the task's test rows, as the sweep logged it."""
        outputs = self.population.predict(self.task.test_inputs)
        return self.task.score(outputs, self.task.test_targets).item()

    def diagram(self) -> "Figure":
        """Its connectivity diagram."""
        return plot_connectivity(self.population, self.task)
