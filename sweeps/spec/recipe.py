"""Recipes: a task's published set-up with the hyperparameters of a trial filled in."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, get_type_hints

from bimt_core import Network, PerNetworkHyperparameters, SharedHyperparameters, Task

PER_NETWORK = tuple(field.name for field in dataclasses.fields(PerNetworkHyperparameters))
SHARED = tuple(field.name for field in dataclasses.fields(SharedHyperparameters))
ARCHITECTURE = ("hidden_width", "hidden_layers")
HYPERPARAMETERS: dict[str, Any] = {
    **get_type_hints(PerNetworkHyperparameters),
    **get_type_hints(SharedHyperparameters),
    **dict.fromkeys(ARCHITECTURE, int),
}
"""Name of each hyperparameter to its type."""

DEFAULTS: dict[str, Any] = {"relocation": "assignment", "move_moments": True}  # which differ from the published set-up

Params = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Everything that decides how a network is trained, except its seed and the data.

    Args:
        network: Architecture.
        per_network: Hyperparameters that may differ between the networks of a population.
        shared: Hyperparameters that all networks of a population have in common.
    """

    network: Network
    per_network: PerNetworkHyperparameters
    shared: SharedHyperparameters

    @property
    def shape(self) -> tuple[Network, SharedHyperparameters]:
        """The part that is equal for all networks of a population."""
        return self.network, self.shared


def recipe(task: Task, params: Params) -> Recipe:
    """Fills hyperparameters into the published set-up of a task.

    Relocation is by assignment with moments moved unless `params` say otherwise.

    Args:
        task: Task.
        params: Values by name of hyperparameter, one of `HYPERPARAMETERS`; other names are ignored.

    Raises:
        ValueError: If a value breaks a rule of the method or of the task.
    """
    given = DEFAULTS | dict(params)
    per_network = dataclasses.replace(task.per_network, **{k: v for k, v in given.items() if k in PER_NETWORK})
    shared = dataclasses.replace(task.shared, **{k: v for k, v in given.items() if k in SHARED})
    if shared.batch_size > len(task.inputs):
        raise ValueError(
            f"batch_size must be at most the {len(task.inputs)} training rows of {task.name}, got {shared.batch_size}"
        )
    network = task.network.resize(params.get("hidden_width"), params.get("hidden_layers"))
    return Recipe(network, per_network, shared)


def published_params(task: Task, names: Iterable[str]) -> dict[str, Any]:
    """Returns the published values of some hyperparameters, without those of the architecture, which has no one number.

    Args:
        task: Task.
        names: Hyperparameters.
    """
    published = {**vars(task.per_network), **vars(task.shared)}
    return {name: published[name] for name in names if name not in ARCHITECTURE}
