"""Trained networks of a trial."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure

from bimt_core import Population, Task, plot_connectivity


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """One network of a trial.

    Args:
        population: The network, as a population of one.
        task: The task it was trained on.
        seed: Seed of its replicate.

    Examples:
        >>> from bimt_core import initialise, load_task
        >>> task = load_task("two_moons")
        >>> network = TrainedNetwork(initialise(task.network, [0]), task, seed=0)
        >>> network.predict([[0.5, 0.25], [1.0, -0.5]]).shape
        (2, 2)
    """

    population: Population
    task: Task
    seed: int

    def predict(self, inputs: torch.Tensor | npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Computes outputs, shape (rows, outputs), in the task's order.

        Args:
            inputs: Shape (rows, inputs) in the task's order, or tokens of shape (rows, folds).
        """
        rows = torch.as_tensor(np.asarray(inputs)).to(self.task.inputs.dtype)
        outputs: npt.NDArray[np.float64] = self.population.predict(rows)[0].double().numpy()
        return outputs

    def score(self) -> float:
        """Computes accuracy or R² on the task's test rows, as the sweep measured it."""
        outputs = self.population.predict(self.task.test_inputs)
        return self.task.score(outputs, self.task.test_targets).item()

    def diagram(self) -> Figure:
        """Draws the network's neurons and weights."""
        return plot_connectivity(self.population, self.task)
