"""The training loop: a population in, snapshots out."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bimt_core.hyperparameters import Knobs, Schedule
from bimt_core.population import Population
from bimt_core.relocate import relocate
from bimt_core.tasks import Task
from bimt_core.wiring import ConnectionCost, parameter_order


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


def start(population: Population) -> Snapshot:
    """The snapshot before the first step."""
    return Snapshot(0, population, Moments(torch.zeros_like(population.flat), torch.zeros_like(population.flat)))


def train(
    snapshot: Snapshot, task: Task, knobs: Sequence[Knobs], schedule: Schedule, report_at: Collection[int]
) -> Iterator[Snapshot]:
    """Trains every network of a population on all training rows, with AdamW (weight decay 0).

    Each network minimises its own prediction loss + lambda * connection cost; nothing is shared but the arithmetic, so
    a network that diverges leaves its neighbours as they are. Every S steps the neurons are relocated. The caller's
    loop over the snapshots is the place for evaluation, pictures and checkpoints; none happens in here.

    Args:
        snapshot: Where to start; `start(population)` or any earlier snapshot.
        task: The task, on the population's device.
        knobs: One a network.
        schedule: Shared by all.
        report_at: Numbers of finished steps after which to yield.

    Yields:
        Snapshots, whose tensors are never changed afterwards.

    Raises:
        ValueError: If there is not one `Knobs` a network.
    """
    population, moments = snapshot.population, snapshot.moments
    if len(knobs) != len(population):
        raise ValueError(f"knobs must be one a network: {len(population)} networks, got {len(knobs)}")
    wiring = population.network.wiring
    penalty = _Penalty(ConnectionCost.of(wiring, local_last=schedule.local_last), knobs, population.flat)
    learning_rate = penalty.column([k.learning_rate for k in knobs])
    changes = schedule.changes()

    flat = population.flat.detach().clone().requires_grad_()
    first, second = moments.first.clone(), moments.second.clone()
    inputs, targets = population.place_inputs(task.inputs), population.place_targets(task.targets)
    coefficients = penalty.coefficients(schedule, snapshot.step)
    for step in range(snapshot.step, schedule.steps):
        if step in changes:
            coefficients = penalty.coefficients(schedule, step)
        outputs = population.network.forward(wiring.tensors(flat), inputs)
        (gradient,) = torch.autograd.grad(task.loss(outputs, targets).sum(), flat)
        with torch.no_grad():
            gradient.addcmul_(flat.sign(), coefficients)
            _adam_step(flat, gradient, first, second, step + 1, learning_rate)

        done = step + 1
        if done % schedule.relocate_every == 0:
            population = Population(
                population.network, flat.detach(), population.input_labels, population.output_labels
            )
            order = relocate(wiring, flat, schedule.relocation, top_k=schedule.relocate_top_k)
            if order:
                population = population.arranged(order)
                flat = population.flat.clone().requires_grad_()
                moved = parameter_order(wiring, order, embeddings_only=not schedule.move_moments)
                first, second = first.gather(1, moved), second.gather(1, moved)
                inputs, targets = population.place_inputs(task.inputs), population.place_targets(task.targets)
        if done in report_at:
            now = Population(
                population.network, flat.detach().clone(), population.input_labels, population.output_labels
            )
            yield Snapshot(done, now, Moments(first.clone(), second.clone()))


class _Penalty:
    """lambda * (cost of one unit of each parameter), for the phase a step lies in."""

    def __init__(self, cost: ConnectionCost, knobs: Sequence[Knobs], like: Tensor) -> None:
        self.cost, self.like = cost, like
        self.cost_weight = self.column([k.cost_weight for k in knobs])
        self.weight_factor = self.column([k.weight_factor for k in knobs]).squeeze(1)
        self.layer_distance = self.column([k.layer_distance for k in knobs]).squeeze(1)

    def column(self, values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=self.like.dtype, device=self.like.device).unsqueeze(1)

    def coefficients(self, schedule: Schedule, step: int) -> Tensor:
        unit = self.cost.coefficients(
            self.weight_factor, self.layer_distance, penalise_bias=schedule.penalises_bias(step)
        )
        return unit * self.cost_weight * schedule.cost_factor(step)


def _adam_step(flat: Tensor, gradient: Tensor, first: Tensor, second: Tensor, step: int, learning_rate: Tensor) -> None:
    """One AdamW step in place, as torch.optim.AdamW takes it (beta 0.9 and 0.999, eps 1e-8, weight decay 0).

    Written out because torch's optimisers take one learning rate a tensor, and here each row has its own.
    """
    first.lerp_(gradient, 0.1)
    second.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
    scale = second.sqrt().div_((1 - 0.999**step) ** 0.5).add_(1e-8)
    flat.sub_(first.div(scale).mul_(learning_rate / (1 - 0.9**step)))
