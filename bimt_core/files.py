"""Files: atomic writes, and populations in the safetensors format."""

import json
import os
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from bimt_core.networks import Network, from_dict, to_dict
from bimt_core.population import Population


def write_atomically(path: Path, data: bytes) -> None:
    """Writes a file completely or not at all, through a temporary file in the same folder.

    Args:
        path: The file; an existing one is replaced.
        data: Its content.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(data)
    temporary.replace(path)


def serialize_population(population: Population, **more: Tensor) -> bytes:
    """Converts a population to the content of a safetensors file whose header holds the architecture as JSON.

    Args:
        population: The networks.
        more: Further tensors of the file, which `deserialize_population` ignores.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in population.tensors.items()}
    labels = {"input_labels": population.input_labels.cpu(), "output_labels": population.output_labels.cpu()}
    return save(tensors | labels | more, metadata={"network": json.dumps(to_dict(population.network))})


def deserialize_population(data: bytes, network: Network | None = None, *, source: str = "the data") -> Population:
    """Converts the content of a safetensors file back to a population. Nothing is unpickled.

    Args:
        data: Result of `serialize_population`.
        network: The architecture; None for the one that the file describes. Required for a `ModuleNetwork`.
        source: Name of the data in errors.

    Raises:
        ValueError: If the data are not a population.
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


def save_population(population: Population, path: Path) -> None:
    """Writes a population to a safetensors file, completely or not at all.

    Args:
        population: The networks.
        path: The file; an existing one is replaced.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> from bimt_core import MLP, initialise
        >>> with TemporaryDirectory() as folder:
        ...     save_population(initialise(MLP((4, 6, 2)), seeds=[0, 1]), Path(folder, "weights.safetensors"))
    """
    write_atomically(path, serialize_population(population))


def load_population(path: Path, network: Network | None = None) -> Population:
    """Reads a population from a file of `save_population`.

    Args:
        path: The file.
        network: The architecture; None for the one that the file describes. Required for a `ModuleNetwork`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not a population.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> from bimt_core import MLP, initialise
        >>> with TemporaryDirectory() as folder:
        ...     save_population(initialise(MLP((4, 6, 2)), seeds=[0, 1]), Path(folder, "weights.safetensors"))
        ...     population = load_population(Path(folder, "weights.safetensors"))
    """
    return deserialize_population(path.read_bytes(), network, source=str(path))
