"""Populations: networks of one architecture, stacked along a leading dimension."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bimt_core.networks import Network
from bimt_core.relocate import Method, relocate
from bimt_core.wiring import parameter_order

MAX_VALUES = 2**26  # intermediate values that a prediction keeps at once


@dataclass(frozen=True, eq=False)
class Population:
    """Networks of one architecture, with their parameters and the assignment of inputs and outputs to places.

    Relocation moves input and output neurons too. The labels give the task's input (or output) at each place.

    Args:
        network: The architecture.
        flat: Parameters, shape (networks, n_parameters).
        input_labels: Index of the task's input at each place, int64, shape (networks, inputs).
        output_labels: Index of the task's output at each place, int64, shape (networks, outputs).
    """

    network: Network
    flat: Tensor
    input_labels: Tensor
    output_labels: Tensor

    def __len__(self) -> int:
        return len(self.flat)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Named views of the parameters, each with the leading dimension networks."""
        return self.network.wiring.tensors(self.flat)

    def select(self, networks: Sequence[int]) -> "Population":
        """Copies some of the networks.

        Args:
            networks: Indices of the networks, in any order; repeated ones are copied repeatedly.

        Examples:
            >>> from bimt_core import MLP
            >>> len(initialise(MLP((4, 6, 2)), seeds=[0, 1, 2]).select([2, 0]))
            2
        """
        index = torch.as_tensor(networks, device=self.flat.device)
        return self._map(lambda tensor: tensor[index])

    def part(self, networks: slice) -> "Population":
        """Returns some of the networks, sharing memory with this population.

        Args:
            networks: Slice of their indices.
        """
        return self._map(lambda tensor: tensor[networks])

    def rearrange(self, order: Mapping[str, Tensor]) -> "Population":
        """Moves neurons to other places. The functions that the networks compute stay the same.

        Args:
            order: Index of the neuron that goes to each place, for each set that moves; see `relocate`.
        """
        if not order:
            return self
        wiring = self.network.wiring
        labels = (
            old.gather(1, order[neurons.name]) if neurons.name in order else old
            for neurons, old in ((wiring.inputs, self.input_labels), (wiring.outputs, self.output_labels))
        )
        return Population(self.network, self.flat.gather(1, parameter_order(wiring, order)), *labels)

    def place_inputs(self, inputs: Tensor) -> Tensor:
        """Reorders a task's inputs by the places of each network's input neurons.

        The result has shape (networks, rows, [sequence_length,] inputs), with rows contiguous in memory as
        `MLP.forward` prefers. It is one copy for all networks if inputs never move. Tokens are returned unchanged:
        their embedding moves instead.

        Args:
            inputs: Shape (rows, [sequence_length,] inputs), or tokens of shape (rows, folds).
        """
        if self.network.takes_tokens:
            return inputs
        return _place(inputs, self.input_labels, movable=self.network.wiring.inputs.movable)

    def place_targets(self, targets: Tensor) -> Tensor:
        """Reorders a task's targets (or the mask of scored outputs) by the places of each network's output neurons.

        Args:
            targets: Values, shape (rows, [sequence_length,] outputs), or class numbers, int64, shape (rows,). The
                result has these dimensions after networks, with rows contiguous in memory.
        """
        if targets.dtype == torch.int64:
            return self.output_labels.argsort(1)[:, targets]
        return _place(targets, self.output_labels, movable=self.network.wiring.outputs.movable)

    @torch.no_grad()
    def predict(self, inputs: Tensor) -> Tensor:
        """Computes the outputs in the task's order, shape (networks, rows, [sequence_length,] outputs).

        Args:
            inputs: In the task's order, shape (rows, [sequence_length,] inputs), or tokens of shape (rows, folds).

        Examples:
            >>> from bimt_core import MLP
            >>> initialise(MLP((4, 6, 2)), seeds=[0, 1, 2]).predict(torch.zeros(10, 4)).shape
            torch.Size([3, 10, 2])
        """
        sequence_length = inputs.shape[1] if inputs.ndim == 3 else 1
        rows = max(1, MAX_VALUES // (len(self) * self.network.activation_values(sequence_length)))
        parts = [self.network.forward(self.tensors, self.place_inputs(part)) for part in inputs.split(rows)]
        values = torch.cat(parts, dim=1)
        places = self.output_labels.argsort(1)
        return values.gather(-1, places.view(len(self), *[1] * (values.ndim - 2), -1).expand_as(values))

    def relocate(self, method: Method = "assignment", *, rounds: int = 100) -> "Population":
        """Relocates neurons after training: connections get shorter, the functions stay the same.

        Args:
            method: See `relocate`.
            rounds: Maximal number of visits of all sets of neurons; relocation ends when a visit moves nothing.

        Examples:
            >>> from bimt_core import MLP, ConnectionCost
            >>> population = initialise(MLP((4, 6, 2)), seeds=[0])
            >>> length = ConnectionCost.from_wiring(population.network.wiring).wiring_length
            >>> assert length(population.relocate().flat) < length(population.flat)
        """
        top_k = max(len(neurons) for neurons in self.network.wiring.neurons)
        return self.rearrange(relocate(self.network.wiring, self.flat, method, top_k=top_k, rounds=rounds))

    def to(self, device: torch.device | str) -> "Population":
        """Copies the population to a device.

        Args:
            device: A torch device.
        """
        return self._map(lambda tensor: tensor.to(device))

    def _map(self, function: Callable[[Tensor], Tensor]) -> "Population":
        tensors = (self.flat, self.input_labels, self.output_labels)
        return Population(self.network, *map(function, tensors))


def _place(values: Tensor, labels: Tensor, *, movable: bool) -> Tensor:
    if not movable:
        return values.unsqueeze(0).expand(len(labels), *values.shape)
    return values.movedim(-1, 0)[labels].movedim(1, -1)


def initialise(
    network: Network, seeds: Sequence[int], *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
) -> Population:
    """Draws the initial parameters of one network per seed.

    They are drawn on the CPU, so a seed gives the same parameters on every device.

    Args:
        network: The architecture.
        seeds: One per network. The published seed gives the published initial parameters.
        dtype: Type of the parameters.
        device: Device of the population.

    Examples:
        >>> from bimt_core import MLP
        >>> initialise(MLP((4, 6, 2)), seeds=[0, 1]).tensors["weight0"].shape
        torch.Size([2, 6, 4])
    """
    flat = torch.stack([network.initial_parameters(torch.Generator().manual_seed(seed), dtype) for seed in seeds])
    ends = network.wiring.inputs, network.wiring.outputs
    labels = (torch.arange(len(neurons)).repeat(len(seeds), 1) for neurons in ends)
    return Population(network, flat, *labels).to(device)


def concatenate(populations: Sequence[Population]) -> Population:
    """Concatenates the networks of several populations.

    Args:
        populations: At least one, all of the same architecture.

    Raises:
        ValueError: If the architectures differ.
    """
    network = populations[0].network
    if any(other.network != network for other in populations):
        raise ValueError("populations of different architectures cannot be concatenated")
    tensors = zip(*((p.flat, p.input_labels, p.output_labels) for p in populations), strict=True)
    return Population(network, *map(torch.cat, tensors))
