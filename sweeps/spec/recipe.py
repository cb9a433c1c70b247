"""From a trial's hyperparameters to what is trained: the task's published set-up with some of it replaced."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from bimt_core import Network, PerNetworkHyperparameters, SharedHyperparameters, Task

KNOBS = tuple(field.name for field in dataclasses.fields(PerNetworkHyperparameters))
SCHEDULE = tuple(field.name for field in dataclasses.fields(SharedHyperparameters))
ARCHITECTURE = ("hidden_width", "hidden_layers")
HYPERPARAMETERS = (*KNOBS, *SCHEDULE, *ARCHITECTURE)
INTEGERS = frozenset({"steps", "batch_size", "relocate_every", "relocate_top_k", "relocate_rounds", *ARCHITECTURE})
SWITCHES = frozenset({"local_last", "move_moments"})
WORDS = frozenset({"reduction", "distance", "penalty_step", "relocation"})

Value = float | int | bool | str
Params = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Everything that decides how one network is trained, but its seed and data.

    Networks with equal `network` and `shared` can be trained as one population.
    """

    network: Network
    per_network: PerNetworkHyperparameters
    shared: SharedHyperparameters

    @property
    def shape(self) -> tuple[Network, SharedHyperparameters]:
        """What the networks of one population must have in common."""
        return self.network, self.shared


def recipe(task: Task, params: Params) -> Recipe:
    """The published set-up of a task, with our relocation, and with some hyperparameters replaced.

    Args:
        task: The task. Relocation is by assignment with moments moved unless `params` say otherwise.
        params: Hyperparameter name, one of `HYPERPARAMETERS`, to value.

    Raises:
        ValueError: If a value breaks the rules of `PerNetworkHyperparameters`, `SharedHyperparameters` or the task.
    """
    ours: dict[str, Any] = {"relocation": "assignment", "move_moments": True}
    per_network = dataclasses.replace(task.per_network, **{k: v for k, v in params.items() if k in KNOBS})
    shared = dataclasses.replace(task.shared, **ours | {k: v for k, v in params.items() if k in SCHEDULE})
    if shared.batch_size > len(task.inputs):
        raise ValueError(
            f"batch_size must be at most the {len(task.inputs)} training rows of {task.name}, got {shared.batch_size}"
        )
    network = task.network.resized(params.get("hidden_width"), params.get("hidden_layers"))
    return Recipe(network, per_network, shared)
