"""Trained networks of a trial, and the entries of the study whose runs hold them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure

from bimt_core import Population, Task, plot_connectivity
from sweeps.errors import BadInputError
from sweeps.study.trial import Trial

Phase = Literal["search", "confirmation"]


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
        """Computes accuracy or R² on the task's test rows, as the sweep measured it (`test_score`)."""
        outputs = self.population.predict(self.task.test_inputs)
        return self.task.score(outputs, self.task.test_targets).item()

    def diagram(self) -> Figure:
        """Draws the network's neurons and weights."""
        return plot_connectivity(self.population, self.task)


def list_parts(entries: Sequence[Trial], trial: int, phase: Phase, data_seed: int | None = None) -> list[Trial]:
    """Lists the entries that hold a trial's networks, in the order of its networks.

    Args:
        entries: Everything that the study holds.
        trial: Number of the trial.
        phase: Networks of the "search", later additions included, or of the "confirmation".
        data_seed: Seed of the confirmation's data; None for the sweep's own.
    """
    complete = [entry for entry in entries if entry.state == "COMPLETE"]
    if phase == "search":
        added = [entry for entry in complete if entry.of == trial and entry.role == "replicates"]
        return [entry for entry in complete if entry.number == trial] + added
    return [e for e in complete if e.of == trial and e.role == "confirmation" and e.data_seed == data_seed]


def find_network(
    entries: Sequence[Trial], trial: int, replicate: int, seed: int | None, data_seed: int | None
) -> tuple[Trial, int]:
    """Finds the entry that holds a network, and the network's index in it; see `Sweep.network`.

    Args:
        entries: Everything that the study holds.
        trial: Number of the trial.
        replicate: Index among the networks of the search, or of the confirmation on other data.
        seed: Seed of the network; None to go by `replicate`.
        data_seed: Seed of the data of a confirmation on other data; None for the sweep's own.

    Raises:
        BadInputError: If there is no such network.
    """
    parts = list_parts(entries, trial, "search" if data_seed is None else "confirmation", data_seed)
    if seed is not None and data_seed is None:
        parts += list_parts(entries, trial, "confirmation")
    networks = [(part, index) for part in parts for index in range(len(part.seeds))]
    seeds = [part.seeds[index] for part, index in networks]
    if not seeds:
        raise BadInputError(f"data_seed must be that of a confirmation of trial {trial}, got {data_seed}")
    if seed is not None:
        if seed not in seeds:
            known = ", ".join(map(str, seeds))
            raise BadInputError(f"seed must be that of a network of trial {trial}, one of {known}, got {seed}")
        return networks[seeds.index(seed)]
    if not 0 <= replicate < len(networks):
        raise BadInputError(f"replicate must be between 0 and {len(networks) - 1}, got {replicate}")
    return networks[replicate]


def check_complete(entries: Sequence[Trial], number: int) -> None:
    """Checks that a trial of the search, or the baseline, has networks.

    Args:
        entries: Everything that the study holds.
        number: Number of the trial.

    Raises:
        BadInputError: If it has none.
    """
    found = next((entry for entry in entries if entry.number == number), None)
    if found is None:
        raise BadInputError(f"trial must be between 0 and {len(entries) - 1}, got {number}")
    if found.of is not None:
        raise BadInputError(f"trial must not be one that adds networks to another, got {number}: see trial {found.of}")
    if found.state != "COMPLETE":
        raise BadInputError(f"trial must be complete, got trial {number}, which is {found.state}")
