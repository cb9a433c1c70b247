"""Cohort: networks of several trials that one worker trains as a population."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bimt_core import Task
from sweeps.spec.recipe import Params, Recipe
from sweeps.spec.sweep import SweepSpec


@dataclass(frozen=True)
class Member:
    """Networks of one trial in a cohort.

    Args:
        params: Hyperparameters that all of them have.
        seeds: Seed of each network.
    """

    params: Params
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class SavedCheckpoint:
    """Checkpoint of a cohort of an earlier launch.

    Args:
        uri: Its folder or address.
        step: Finished optimiser steps.
        members: Numbers of its trials.
    """

    uri: str
    step: int
    members: tuple[int, ...]


@dataclass(frozen=True)
class Cohort:
    """Trials that one worker trains as a population.

    Args:
        spec: The sweep.
        members: Members by trial number; their recipes have the same shape.
        data_seed: Seed of the data, which is the spec's unless a confirmation asks for other data.
        compiled: Whether the training is compiled; see `bimt_core.train`.
        saved: Checkpoint to continue from, its members in the same order; None to start at step 0.
    """

    spec: SweepSpec
    members: Mapping[int, Member]
    data_seed: int | None = None
    compiled: bool = False
    saved: SavedCheckpoint | None = None

    def load_task(self) -> Task:
        """Loads the task with the cohort's data, on the CPU and in the sweep's precision."""
        return self.spec.load_task(self.data_seed)

    @property
    def recipes(self) -> list[Recipe]:
        """Recipe of each member."""
        return [self.spec.recipe(member.params) for member in self.members.values()]

    @property
    def seeds(self) -> list[int]:
        """Seed of each network."""
        return [seed for member in self.members.values() for seed in member.seeds]

    @property
    def slices(self) -> list[slice]:
        """Networks of each member in the population."""
        ends, end = [], 0
        for member in self.members.values():
            ends.append(slice(end, end := end + len(member.seeds)))
        return ends

    def to_dict(self) -> dict[str, Any]:
        """Returns the cohort as plain data, which travels to the worker."""
        members = {number: asdict(member) for number, member in self.members.items()}
        return {
            "spec": self.spec.model_dump(),
            "members": members,
            "data_seed": self.data_seed,
            "compiled": self.compiled,
            "saved": self.saved and asdict(self.saved),
        }

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> "Cohort":
        """Restores the cohort that `to_dict` described.

        Args:
            data: Plain data.
        """
        members = {  # JSON has text for keys and lists for tuples
            int(number): Member(member["params"], tuple(member["seeds"])) for number, member in data["members"].items()
        }
        saved = data["saved"] and SavedCheckpoint(**data["saved"] | {"members": tuple(data["saved"]["members"])})
        spec = SweepSpec.model_validate(data["spec"])
        return Cohort(spec, members, data["data_seed"], data["compiled"], saved)
