"""Populations: networks of equal shapes, stacked along a leading dimension."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from bimt_core.networks import Network, from_dict, to_dict
from bimt_core.relocate import Method, relocate
from bimt_core.wiring import parameter_order

AT_ONCE = 2**26  # numbers of intermediate values that a prediction keeps at most


@dataclass(frozen=True, eq=False)
class Population:
    """Networks of one architecture with their parameters and where their inputs and outputs now sit.

    Relocation moves input and output neurons too, so the labels remember which input (or output) of the task sits at
    each place.

    Args:
        network: The architecture.
        flat: Parameters, shape (networks, n_parameters).
        input_labels: Which input sits at each place, int64, shape (networks, inputs).
        output_labels: Which output sits at each place, int64, shape (networks, outputs).
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
        """The networks with these indices, as a population of their own (a copy)."""
        index = torch.as_tensor(networks, device=self.flat.device)
        return Population(self.network, self.flat[index], self.input_labels[index], self.output_labels[index])

    def part(self, networks: slice) -> "Population":
        """Some networks as a population that shares memory with this one."""
        return replace(
            self,
            flat=self.flat[networks],
            input_labels=self.input_labels[networks],
            output_labels=self.output_labels[networks],
        )

    def rearrange(self, order: Mapping[str, Tensor]) -> "Population":
        """The same functions with neurons rearranged.

        Args:
            order: Which neuron goes to each place, for each set that moves; see `relocate`.
        """
        if not order:
            return self
        wiring, labels = self.network.wiring, {}
        for name, old in ((wiring.inputs.name, self.input_labels), (wiring.outputs.name, self.output_labels)):
            labels[name] = old.gather(1, order[name]) if name in order else old
        flat = self.flat.gather(1, parameter_order(wiring, order))
        return Population(self.network, flat, labels[wiring.inputs.name], labels[wiring.outputs.name])

    def place_inputs(self, inputs: Tensor) -> Tensor:
        """A task's inputs as each network's input neurons see them.

        Args:
            inputs: Shape (rows, [places,] inputs), or tokens of shape (rows, folds).

        Returns:
            Shape (networks, rows, [places,] inputs), rows next to each other in memory as `MLP.forward` likes it; not
            copied for each network where inputs never move. Tokens are returned as they are, since their embedding
            moves instead.
        """
        if self.network.takes_tokens:
            return inputs
        return _place(inputs, self.input_labels, movable=self.network.wiring.inputs.movable)

    def place_targets(self, targets: Tensor) -> Tensor:
        """A task's targets (or which of them are scored) as each network's output neurons should give them.

        Args:
            targets: Values, shape (rows, [places,] outputs), or class numbers, int64, shape (rows,).

        Returns:
            Shape (networks, rows, [places,] outputs), rows next to each other in memory, or (networks, rows).
        """
        if targets.dtype == torch.int64:
            return self.output_labels.argsort(1)[:, targets]
        return _place(targets, self.output_labels, movable=self.network.wiring.outputs.movable)

    @torch.no_grad()
    def predict(self, inputs: Tensor) -> Tensor:
        """Outputs in the task's own order.

        Args:
            inputs: Inputs in the task's own order, shape (rows, [places,] inputs), or tokens of shape (rows, folds).

        Returns:
            Shape (networks, rows, [places,] outputs).
        """
        points = inputs.shape[1] if inputs.ndim == 3 else 1
        rows = max(1, AT_ONCE // (len(self) * self.network.activation_values(points)))
        parts = [self.network.forward(self.tensors, self.place_inputs(part)) for part in inputs.split(rows)]
        values = torch.cat(parts, dim=1)
        places = self.output_labels.argsort(1)
        return values.gather(-1, places.view(len(self), *[1] * (values.ndim - 2), -1).expand_as(values))

    def relocate(self, method: Method = "assignment", *, rounds: int = 100) -> "Population":
        """The same functions with neurons moved to where their connections are short: relocation after training.

        Args:
            method: See `relocate`.
            rounds: How many times all sets of neurons are visited at most; it ends when nothing moves.
        """
        top_k = max(len(neurons) for neurons in self.network.wiring.neurons)
        return self.rearrange(relocate(self.network.wiring, self.flat, method, top_k=top_k, rounds=rounds))

    def to(self, device: torch.device | str) -> "Population":
        """The same population on a device."""
        return replace(
            self,
            flat=self.flat.to(device),
            input_labels=self.input_labels.to(device),
            output_labels=self.output_labels.to(device),
        )


def _place(values: Tensor, labels: Tensor, *, movable: bool) -> Tensor:
    if not movable:
        return values.unsqueeze(0).expand(len(labels), *values.shape)
    return values.movedim(-1, 0)[labels].movedim(1, -1)


def initialise(
    network: Network, seeds: Sequence[int], *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
) -> Population:
    """Draws one network a seed, always on the CPU, so that a seed means the same weights on every device.

    Args:
        network: The architecture.
        seeds: One seed a network. The published seed gives the published initial weights.
        dtype: Of the parameters.
        device: Where the population goes.
    """
    flat = torch.stack([network.initial(torch.Generator().manual_seed(seed), dtype) for seed in seeds])
    inputs, outputs = (
        torch.arange(len(n)).repeat(len(seeds), 1) for n in (network.wiring.inputs, network.wiring.outputs)
    )
    return Population(network, flat, inputs, outputs).to(device)


def concatenate(populations: Sequence[Population]) -> Population:
    """One population of all networks of several populations of equal architecture.

    Raises:
        ValueError: If the architectures differ.
    """
    network = populations[0].network
    if any(other.network != network for other in populations):
        raise ValueError("populations of different architectures cannot be put together")
    return Population(
        network,
        torch.cat([p.flat for p in populations]),
        torch.cat([p.input_labels for p in populations]),
        torch.cat([p.output_labels for p in populations]),
    )


def write_atomically(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all: to a neighbour first, then renamed."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(data)
    temporary.replace(path)


def serialize_population(population: Population, **more: Tensor) -> bytes:
    """The population as a safetensors file whose header holds the architecture as JSON.

    Args:
        population: What to write.
        more: Further tensors of the file; `deserialize_population` passes over them.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in population.tensors.items()}
    labels = {"input_labels": population.input_labels.cpu(), "output_labels": population.output_labels.cpu()}
    return save(tensors | labels | more, metadata={"network": json.dumps(to_dict(population.network))})


def save_population(population: Population, path: Path) -> None:
    """Writes `serialize_population` to a file, whole or not at all."""
    write_atomically(path, serialize_population(population))


def load_population(path: Path, network: Network | None = None) -> Population:
    """Reads a population that `save_population` wrote; see `deserialize_population`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not a population.
    """
    return deserialize_population(path.read_bytes(), network, source=str(path))


def deserialize_population(data: bytes, network: Network | None = None, *, source: str = "the data") -> Population:
    """The population that `serialize_population` wrote; nothing is unpickled.

    Args:
        data: A safetensors file.
        network: The architecture; None for the one that the file describes. Needed for a module of one's own.
        source: What an error calls it.

    Raises:
        ValueError: If it is not a population.
    """
    try:
        tensors = load(data)
        if network is None:
            header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
            network = from_dict(json.loads(header["__metadata__"]["network"]))
        flat = network.wiring.flatten(tensors)
        if flat.shape[1] != network.wiring.n_parameters:
            raise ValueError(f"{flat.shape[1]} parameters, the network has {network.wiring.n_parameters}")
        return Population(network, flat, tensors["input_labels"], tensors["output_labels"])
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise ValueError(f"{source} holds no population: {error}") from error
