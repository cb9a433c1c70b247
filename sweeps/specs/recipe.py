"""From a trial's hyperparameters to what is trained: the task's published set-up with some of it replaced."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from bimt_core import Knobs, Network, Schedule, Task

KNOBS = tuple(field.name for field in dataclasses.fields(Knobs))
SCHEDULE = tuple(field.name for field in dataclasses.fields(Schedule))
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

    Networks with equal `network` and `schedule` can be trained as one population.
    """

    network: Network
    knobs: Knobs
    schedule: Schedule

    @property
    def shape(self) -> tuple[Network, Schedule]:
        """What the networks of one population must have in common."""
        return self.network, self.schedule


def recipe(task: Task, params: Params) -> Recipe:
    """The published set-up of a task, with our relocation, and with some hyperparameters replaced.

    Args:
        task: The task. Relocation is by assignment with moments moved unless `params` say otherwise.
        params: Hyperparameter name, one of `HYPERPARAMETERS`, to value.

    Raises:
        ValueError: If a value breaks the rules of `Knobs`, `Schedule` or the task.
    """
    ours: dict[str, Any] = {"relocation": "assignment", "move_moments": True}
    knobs = dataclasses.replace(task.knobs, **{k: v for k, v in params.items() if k in KNOBS})
    schedule = dataclasses.replace(task.schedule, **ours | {k: v for k, v in params.items() if k in SCHEDULE})
    if schedule.batch_size > len(task.inputs):
        raise ValueError(
            f"batch_size must be at most the {len(task.inputs)} training rows of {task.name}, got {schedule.batch_size}"
        )
    network = task.network.resized(params.get("hidden_width"), params.get("hidden_layers"))
    return Recipe(network, knobs, schedule)
