"""Training loop."""

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from bimt_core.cost import ConnectionCost
from bimt_core.hyperparameters import PerNetworkHyperparameters, SharedHyperparameters
from bimt_core.networks import Network
from bimt_core.optimiser import StepArguments, bias_corrections, prepare_step
from bimt_core.population import Population
from bimt_core.relocate import relocate
from bimt_core.rows import Rows
from bimt_core.tasks import Task
from bimt_core.weak_neurons import find_weak_neurons
from bimt_core.wiring import parameter_mask, parameter_order

CACHE_BYTES = 4 * 2**20  # values of a step that stay in a core's caches; measured, see docs/results.md
COMPILE_ABOVE = 1e10  # values a run computes: about half a minute of training, which compiling halves


@dataclass(frozen=True, eq=False)
class Moments:
    """AdamW's moments.

    Args:
        first: Running mean of the gradient, shape (networks, n_parameters).
        second: Running mean of its square, same shape.
    """

    first: Tensor
    second: Tensor


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Everything that training needs to continue.

    Args:
        step: Number of finished optimiser steps; the relocation due after the last one is done.
        population: The networks.
        moments: AdamW's moments.
    """

    step: int
    population: Population
    moments: Moments

    def select(self, networks: Sequence[int]) -> "Snapshot":
        """See `Population.select`."""
        index = torch.as_tensor(networks, device=self.moments.first.device)
        moments = Moments(self.moments.first[index], self.moments.second[index])
        return Snapshot(self.step, self.population.select(networks), moments)


def start(population: Population) -> Snapshot:
    """Creates the snapshot before the first step, with moments of 0.

    Args:
        population: The initial networks.

    Examples:
        >>> from bimt_core import MLP, initialise
        >>> start(initialise(MLP((4, 6, 2)), seeds=[0, 1])).step
        0
    """
    return Snapshot(0, population, Moments(torch.zeros_like(population.flat), torch.zeros_like(population.flat)))


def estimate_work(network: Network, task: Task, shared: SharedHyperparameters, networks: int) -> float:
    """Estimates the number of values that training computes, a measure of its length that is equal on all machines.

    Args:
        network: The architecture.
        task: The task.
        shared: The shared hyperparameters.
        networks: Size of the population.
    """
    rows = shared.batch_size or len(task.inputs)
    return float(shared.steps) * networks * network.activation_values(rows * task.sequence_length)


def train(
    snapshot: Snapshot,
    task: Task,
    per_network: Sequence[PerNetworkHyperparameters],
    shared: SharedHyperparameters,
    snapshot_at: Collection[int],
    *,
    compiled: bool | None = None,
) -> Iterator[Snapshot]:
    """Trains every network of a population with AdamW (weight decay 0).

    Each network minimises its own prediction loss + lambda * connection cost. Networks share only the arithmetic (and
    the order of batches), so a network that diverges does not change the others. Every S steps weak neurons are pruned
    and all are relocated. Evaluation, pictures and checkpoints belong in the caller's loop over the snapshots.

    Args:
        snapshot: Initial state; `start(population)` or any earlier snapshot.
        task: The task, on the population's device and in its dtype.
        per_network: Hyperparameters of each network.
        shared: Hyperparameters of all networks.
        snapshot_at: Numbers of finished steps after which to yield a snapshot, whose tensors never change afterwards.
        compiled: If True, the step is compiled on a CPU: about twice as fast after ten seconds of compiling, with
            different rounding. None compiles if the run is long enough, by a rule that is equal on all machines.

    Raises:
        ValueError: If there is not one entry of `per_network` per network, or a batch is larger than the data.

    Examples:
        >>> from bimt_core import initialise, load_task
        >>> task, shared = load_task("two_moons"), SharedHyperparameters(steps=20)
        >>> begin = start(initialise(task.network, seeds=[0, 1]))
        >>> [snapshot.step for snapshot in train(begin, task, [task.per_network] * 2, shared, snapshot_at={10, 20})]
        [10, 20]
    """
    n = len(snapshot.population)
    if len(per_network) != n:
        raise ValueError(f"per_network must have one entry per network: {n} networks, got {len(per_network)}")
    if compiled is None:
        compiled = estimate_work(snapshot.population.network, task, shared, n) > COMPILE_ABOVE
    size = _part_size(snapshot.population, task, shared)
    padding = [min(i, n - 1) for i in range(size * math.ceil(n / size))]  # all parts have the same size
    state = _State(snapshot.select(padding), task, [per_network[i] for i in padding], shared, size, compiled=compiled)

    relocations = range(shared.relocate_every, shared.steps + 1, shared.relocate_every)
    events = {shared.steps, *shared.penalty_changes(), *relocations, *snapshot_at}
    stops = sorted({snapshot.step} | {e for e in events if snapshot.step < e <= shared.steps})
    for begin, end in pairwise(stops):
        state.advance(begin, end)
        if end in relocations:
            state.prune_and_relocate()
        if end in snapshot_at:
            yield state.snapshot(end, n)


def _part_size(population: Population, task: Task, shared: SharedHyperparameters) -> int:
    """Number of networks that take a step at once: parts of equal size whose values fit into a core's caches."""
    n = len(population)
    if population.flat.is_cuda:
        return n
    rows = shared.batch_size or len(task.inputs)
    values = population.network.activation_values(rows * task.sequence_length)
    most = CACHE_BYTES * torch.get_num_threads() // (values * population.flat.element_size())
    return math.ceil(n / math.ceil(n / max(1, most)))


@dataclass(frozen=True, eq=False)
class _Part:
    """Networks that take a step at once, with their rows, the corrections of the step, and the step itself."""

    networks: slice
    rows: Rows
    corrections: Tensor
    run: Callable[[], None]


class _State:
    """A population in training: tensors that change in place, and the parts of the population."""

    def __init__(
        self,
        snapshot: Snapshot,
        task: Task,
        per_network: Sequence[PerNetworkHyperparameters],
        shared: SharedHyperparameters,
        size: int,
        *,
        compiled: bool,
    ) -> None:
        self.population = replace(snapshot.population, flat=snapshot.population.flat.detach().clone())
        self.moments = Moments(snapshot.moments.first.clone(), snapshot.moments.second.clone())
        self.shared, self.per_network = shared, per_network
        self.wiring = shared.penalty_wiring(self.population.network.wiring)
        self.cost = ConnectionCost.from_wiring(self.wiring, local_last=shared.local_last)
        self.coefficients = torch.zeros_like(self.population.flat)
        rate = self._column("learning_rate")
        self.parts = []
        for first in range(0, len(per_network), size):
            part = slice(first, first + size)
            rows = Rows(task, self.population.part(part), shared.batch_size)
            arguments = StepArguments(
                self.population.flat[part],
                self.moments.first[part],
                self.moments.second[part],
                rows.inputs,
                rows.targets,
                rows.scored,
                self.coefficients[part],
                rate[part],
                torch.zeros(2).to(self.population.flat),
            )
            network, loss = self.population.network, task.loss_name
            run = prepare_step(network, loss, shared.penalty_step, arguments, compiled=compiled)
            self.parts.append(_Part(part, rows, arguments.corrections, run))

    def _column(self, name: str) -> Tensor:
        """Values of a per-network hyperparameter, shape (networks, 1)."""
        flat, values = self.population.flat, [getattr(one, name) for one in self.per_network]
        return torch.tensor(values, dtype=flat.dtype, device=flat.device).unsqueeze(1)

    def advance(self, begin: int, end: int) -> None:
        """Takes the steps from `begin` (counted from 0) to before `end`, between which the penalty does not change."""
        self._update_coefficients(begin)
        flat = self.population.flat
        corrections = [bias_corrections(step + 1) for step in range(begin, end)]
        table = torch.tensor(corrections, dtype=flat.dtype, device=flat.device)
        for part in self.parts:
            for step, correction in zip(range(begin, end), table, strict=True):
                part.rows.load(step)
                part.corrections.copy_(correction)
                part.run()

    def _update_coefficients(self, step: int) -> None:
        """Sets lambda * (cost of one unit of each parameter) for the phase of a step."""
        unit = self.cost.coefficients(
            self._column("weight_factor").squeeze(1),
            self._column("layer_distance").squeeze(1),
            penalise_bias=self.shared.penalises_bias(step),
        )
        self.coefficients.copy_(unit * self._column("cost_weight") * self.shared.cost_factor(step))

    def prune_and_relocate(self) -> None:
        flat, first, second = self.population.flat, self.moments.first, self.moments.second
        if self.shared.prune_below:
            weak = parameter_mask(self.wiring, find_weak_neurons(self.wiring, flat, self.shared.prune_below))
            for tensor in (flat, first, second):
                tensor.masked_fill_(weak, 0.0)
        s = self.shared
        order = relocate(self.wiring, flat, s.relocation, top_k=s.relocate_top_k, rounds=s.relocate_rounds)
        if not order:
            return
        moved = self.population.rearrange(order)
        flat.copy_(moved.flat)
        self.population = replace(moved, flat=flat)
        index = parameter_order(self.wiring, order, embeddings_only=not self.shared.move_moments)
        for moment in (first, second):
            moment.copy_(moment.gather(1, index))
        for part in self.parts:
            part.rows.update(self.population.part(part.networks))

    def snapshot(self, step: int, networks: int) -> Snapshot:
        """Copies the first networks."""
        return Snapshot(step, self.population, self.moments).select(range(networks))
