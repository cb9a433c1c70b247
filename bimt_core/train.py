"""The training loop: a population in, snapshots out."""

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
from bimt_core.wiring import parameter_order, parameters_at

CACHE_BYTES = 4 * 2**20  # values of a step that stay near a core; measured, see docs/results.md
WORTH_COMPILING = 1e10  # values a run computes; half a minute of training or so, which compiling halves


@dataclass(frozen=True, eq=False)
class Moments:
    """AdamW's running means of the gradient and of its square, both of shape (networks, n_parameters)."""

    first: Tensor
    second: Tensor


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Training after `step` optimiser steps (and the relocation due then): all that is needed to go on."""

    step: int
    population: Population
    moments: Moments

    def select(self, networks: Sequence[int]) -> "Snapshot":
        """The networks with these indices (a copy)."""
        index = torch.as_tensor(networks, device=self.moments.first.device)
        moments = Moments(self.moments.first[index], self.moments.second[index])
        return Snapshot(self.step, self.population.select(networks), moments)


def start(population: Population) -> Snapshot:
    """The snapshot before the first step."""
    return Snapshot(0, population, Moments(torch.zeros_like(population.flat), torch.zeros_like(population.flat)))


def estimate_work(network: Network, task: Task, shared: SharedHyperparameters, networks: int) -> float:
    """Values that training computes in all; a measure of its length that is the same on every machine."""
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

    Each network minimises its own prediction loss + lambda * connection cost; nothing is shared but the arithmetic (and
    the order of the rows, where they come in batches), so a network that diverges leaves its neighbours as they are.
    Every S steps small neurons are pruned and all are relocated. The caller's loop over the snapshots is the place for
    evaluation, pictures and checkpoints; none happens in here.

    Args:
        snapshot: Where to start; `start(population)` or any earlier snapshot.
        task: The task, on the population's device and in its type of numbers.
        knobs: One a network.
        schedule: Shared by all.
        report_at: Numbers of finished steps after which to yield.
        compiled: Whether to compile the step, on a CPU: about twice as fast after some ten seconds of compiling, and
            with other rounding. None for where the run is long enough, whatever the machine.

    Yields:
        Snapshots, whose tensors are never changed afterwards.

    Raises:
        ValueError: If there is not one `PerNetworkHyperparameters` a network, or a batch has more rows than there are.
    """
    n = len(snapshot.population)
    if len(per_network) != n:
        raise ValueError(f"knobs must be one a network: {n} networks, got {len(per_network)}")
    if compiled is None:
        compiled = estimate_work(snapshot.population.network, task, shared, n) > WORTH_COMPILING
    size = _together(snapshot.population, task, shared)
    padding = [min(i, n - 1) for i in range(size * math.ceil(n / size))]  # all parts are of one size
    state = _State(snapshot.select(padding), task, [per_network[i] for i in padding], shared, size, compiled=compiled)

    relocations = range(shared.relocate_every, shared.steps + 1, shared.relocate_every)
    events = {shared.steps, *shared.penalty_changes(), *relocations, *snapshot_at}
    stops = sorted({snapshot.step} | {e for e in events if snapshot.step < e <= shared.steps})
    for begin, end in pairwise(stops):
        state.advance(begin, end)
        if end in relocations:
            state.rearrange()
        if end in snapshot_at:
            yield state.snapshot(end, n)


def _together(population: Population, task: Task, shared: SharedHyperparameters) -> int:
    """How many networks to take a step with at once: parts of equal size whose values fit a core's caches."""
    n = len(population)
    if population.flat.is_cuda:
        return n
    rows = shared.batch_size or len(task.inputs)
    values = population.network.activation_values(rows * task.sequence_length)
    most = CACHE_BYTES * torch.get_num_threads() // (values * population.flat.element_size())
    return math.ceil(n / math.ceil(n / max(1, most)))


class _State:
    """A population in training: tensors that change in place, and the parts that take steps together."""

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
        self.shared = shared
        self.wiring = shared.penalty_wiring(self.population.network.wiring)
        self.penalty = _Penalty(ConnectionCost.from_wiring(self.wiring, local_last=shared.local_last), per_network, shared)
        self.coefficients = torch.zeros_like(self.population.flat)
        rate = _column([k.learning_rate for k in per_network], self.population.flat)
        self.parts = []
        for first in range(0, len(per_network), size):
            part = slice(first, first + size)
            step = self.population.flat[part], self.moments.first[part], self.moments.second[part]
            rows = Rows(task, self.population.part(part), shared.batch_size)
            arguments = StepArguments(
                *step,
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

    def advance(self, begin: int, end: int) -> None:
        """Takes the steps from `begin` (counted from 0) to before `end`, between which the penalty does not change."""
        flat = self.population.flat
        self.coefficients.copy_(self.penalty.coefficients(begin, flat))
        corrected = [bias_corrections(step + 1) for step in range(begin, end)]
        table = torch.tensor(corrected, dtype=flat.dtype, device=flat.device)
        for part in self.parts:
            for step, correction in zip(range(begin, end), table, strict=True):
                part.rows.load(step)
                part.corrections.copy_(correction)
                part.run()

    def rearrange(self) -> None:
        """Prunes and relocates."""
        flat, first, second = self.population.flat, self.moments.first, self.moments.second
        if self.shared.prune_below:
            dead = parameters_at(self.wiring, find_weak_neurons(self.wiring, flat, self.shared.prune_below))
            for tensor in (flat, first, second):
                tensor.masked_fill_(dead, 0.0)
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
            part.rows.place(self.population.part(part.networks))

    def snapshot(self, step: int, networks: int) -> Snapshot:
        """A copy of where the first networks are."""
        return Snapshot(step, self.population, self.moments).select(range(networks))


@dataclass(frozen=True, eq=False)
class _Part:
    """Networks that take a step together: which they are, their rows, the step's corrections, and what takes it."""

    networks: slice
    rows: Rows
    corrections: Tensor
    run: Callable[[], None]


class _Penalty:
    """lambda * (cost of one unit of each parameter), for the phase a step lies in."""

    def __init__(
        self, cost: ConnectionCost, per_network: Sequence[PerNetworkHyperparameters], shared: SharedHyperparameters
    ) -> None:
        self.cost, self.per_network, self.shared = cost, per_network, shared

    def coefficients(self, step: int, like: Tensor) -> Tensor:
        """Shape (networks, n_parameters), in the type and on the device of `like`."""
        weight_factor, layer_distance, cost_weight = (
            _column([getattr(k, name) for k in self.per_network], like)
            for name in ("weight_factor", "layer_distance", "cost_weight")
        )
        unit = self.cost.coefficients(
            weight_factor.squeeze(1), layer_distance.squeeze(1), penalise_bias=self.shared.penalises_bias(step)
        )
        return unit * cost_weight * self.shared.cost_factor(step)


def _column(values: Sequence[float], like: Tensor) -> Tensor:
    return torch.tensor(values, dtype=like.dtype, device=like.device).unsqueeze(1)
