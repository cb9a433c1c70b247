"""Reference of the benchmarks: one network, written and trained as the paper describes its notebooks."""

from collections.abc import Callable, Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from bimt_core import MLP, Population, Task, initialise


class ReferenceNetwork(nn.Module):
    """An ordinary module that computes its connection cost from positions, connection by connection.

    Args:
        task: Source of the shape, the folds, the embedding and the cost's constants.
        population: Source of the weights.
        member: Index of the network in the population.
    """

    def __init__(self, task: Task, population: Population, member: int = 0) -> None:
        super().__init__()
        mlp = task.network
        assert isinstance(mlp, MLP)
        first, *rest = mlp.widths
        self.folds, self.mean = mlp.folds, mlp.reduction == "mean"
        self.weight_factor, self.layer_distance = task.per_network.weight_factor, task.per_network.layer_distance
        widths = pairwise([first * self.folds, *rest])
        self.layers = nn.ModuleList(nn.Linear(n_in, n_out, dtype=task.dtype) for n_in, n_out in widths)
        self.embedding = None
        if mlp.vocabulary:
            self.embedding = nn.Embedding(mlp.vocabulary, first, dtype=task.dtype)
        self.activation = nn.SiLU()
        tensors = population.tensors
        with torch.no_grad():
            for number, layer in enumerate(self.layers):
                layer.weight.copy_(tensors[f"weight{number}"][member])
                layer.bias.copy_(tensors[f"bias{number}"][member])
            if self.embedding is not None:
                self.embedding.weight.copy_(tensors["embedding"][member])

    def forward(self, x: Tensor) -> Tensor:
        """Computes the values of the output neurons, shape (rows, outputs)."""
        if self.embedding is not None:
            x = self.embedding(x).flatten(1)
        for layer in self.layers[:-1]:
            x = self.activation(layer(x))
        return self.layers[-1](x)

    def cost(self) -> Tensor:
        """Computes the connection cost."""
        total = torch.zeros(())
        for number, layer in enumerate(self.layers):
            n_out, n_in = layer.weight.shape
            folds = self.folds if number == 0 else 1
            source = _positions(n_in // folds, layer.weight.dtype).repeat(folds)
            distance = (_positions(n_out, layer.weight.dtype).unsqueeze(1) - source).abs()
            total = total + self._reduce(layer.weight.abs() * (self.weight_factor * distance + self.layer_distance))
            total = total + self._reduce(layer.bias.abs() * self.layer_distance)
        if self.embedding is not None:
            total = total + self._reduce(self.embedding.weight.abs() * self.layer_distance)
        return total

    def _reduce(self, costs: Tensor) -> Tensor:
        return costs.mean() if self.mean else costs.sum()

    @torch.no_grad()
    def exchange(self, row: int, one: int, other: int) -> None:
        """Exchanges two neurons of a row (0: inputs), in place."""
        if row > 0:
            before = self.layers[row - 1]
            for tensor in (before.weight, before.bias):
                tensor[[one, other]] = tensor[[other, one]]
        if row < len(self.layers):
            after, folds = self.layers[row].weight, self.folds if row == 0 else 1
            n = after.shape[1] // folds
            for fold in range(folds):
                a, b = fold * n + one, fold * n + other
                after[:, [a, b]] = after[:, [b, a]]
        if row == 0 and self.embedding is not None:
            self.embedding.weight[:, [one, other]] = self.embedding.weight[:, [other, one]]

    @torch.no_grad()
    def strengths(self, row: int) -> Tensor:
        """Sums the absolute incoming and outgoing weights of each neuron of a row."""
        strength = torch.zeros(())
        if row > 0:
            strength = strength + self.layers[row - 1].weight.abs().sum(1)
        if row < len(self.layers):
            folds = self.folds if row == 0 else 1
            strength = strength + self.layers[row].weight.abs().sum(0).view(folds, -1).sum(0)
        return strength


def train_steps(network: ReferenceNetwork, task: Task, n: int) -> Iterator[None]:
    """Trains with AdamW, differentiates the cost automatically, and evaluates the test loss at every step."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=task.per_network.learning_rate, weight_decay=0.0)
    loss_function: Callable[..., Tensor] = mse_loss if task.loss_name == "mse" else cross_entropy
    for _ in range(n):
        optimizer.zero_grad()
        with torch.no_grad():
            loss_function(network(task.test_inputs), task.test_targets).item()
        loss = loss_function(network(task.inputs), task.targets) + task.per_network.cost_weight * network.cost()
        loss.backward()
        optimizer.step()
        yield


def train_new_network(task: Task, n: int) -> None:
    """Trains a new network for n steps."""
    for _ in train_steps(ReferenceNetwork(task, initialise(task.network, [0], dtype=task.dtype)), task, n):
        pass


@torch.no_grad()
def relocate(network: ReferenceNetwork, task: Task) -> None:
    """Runs the published round of relocation.

    The strongest neurons of each row are exchanged with every place of the row in turn, the cost of the whole network
    is computed, and the exchange is undone. The best exchange is kept.
    """
    mlp = task.network
    assert isinstance(mlp, MLP)
    for row, n in enumerate(mlp.widths):
        for one in network.strengths(row).argsort(descending=True, stable=True)[: task.shared.relocate_top_k].tolist():
            costs = []
            for other in range(n):
                network.exchange(row, one, other)
                costs.append(network.cost().item())
                network.exchange(row, one, other)
            network.exchange(row, one, costs.index(min(costs)))


def _positions(n: int, dtype: torch.dtype) -> Tensor:
    return (2 * torch.arange(n, dtype=dtype) + 1) / (2 * n)
