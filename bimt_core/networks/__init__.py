"""Architectures: functions of named tensors that declare their wiring."""

from collections.abc import Mapping
from typing import Any

from bimt_core.networks.mlp import MLP
from bimt_core.networks.module import ModuleNetwork
from bimt_core.networks.network import Network
from bimt_core.networks.rnn import RNN
from bimt_core.networks.transformer import Transformer

KINDS: dict[str, type[MLP] | type[RNN] | type[Transformer]] = {"mlp": MLP, "rnn": RNN, "transformer": Transformer}


def to_dict(network: Network) -> dict[str, Any]:
    """Converts an architecture to plain data, including its kind.

    Args:
        network: The architecture.

    Examples:
        >>> to_dict(RNN(2, (3, 3), 1))
        {'kind': 'rnn', 'inputs': 2, 'hidden': [3, 3], 'outputs': 1, 'reduction': 'mean'}
    """
    names: dict[type, str] = {architecture: kind for kind, architecture in KINDS.items()}
    return {"kind": names.get(type(network), "module"), **network.as_dict()}


def from_dict(data: Mapping[str, Any]) -> Network:
    """Builds the architecture that `to_dict` described.

    Args:
        data: Result of `to_dict`.

    Raises:
        ValueError: If it describes a `ModuleNetwork`, or no architecture.
    """
    kind = data.get("kind")
    if kind == "module":
        raise ValueError(f"it holds networks of the module {data.get('build')!r}: pass network= to read them")
    if kind not in KINDS:
        raise ValueError(f"network kind must be one of {', '.join(KINDS)}, got {kind!r}")
    return KINDS[kind].from_dict({name: value for name, value in data.items() if name != "kind"})


__all__ = ["MLP", "RNN", "ModuleNetwork", "Network", "Transformer", "from_dict", "to_dict"]
