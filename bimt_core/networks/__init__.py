"""Architectures: functions of named tensors that declare their wiring."""

from collections.abc import Mapping
from typing import Any

from bimt_core.networks.mlp import MLP
from bimt_core.networks.module import ModuleNetwork
from bimt_core.networks.network import Network
from bimt_core.networks.rnn import RNN
from bimt_core.networks.transformer import Transformer

DESCRIBED: dict[str, type[MLP] | type[RNN] | type[Transformer]] = {"mlp": MLP, "rnn": RNN, "transformer": Transformer}


def to_dict(network: Network) -> dict[str, Any]:
    """Plain data that describes an architecture, its kind included."""
    kinds: dict[type, str] = {made: kind for kind, made in DESCRIBED.items()}
    return {"kind": kinds.get(type(network), "module"), **network.as_dict()}


def from_dict(data: Mapping[str, Any]) -> Network:
    """The architecture that `to_dict` described.

    Raises:
        ValueError: If it is a module of somebody's own, or no architecture.
    """
    kind = data.get("kind")
    if kind == "module":
        raise ValueError(f"it holds networks of the module {data.get('build')!r}: pass network= to read them")
    if kind not in DESCRIBED:
        raise ValueError(f"network kind must be one of {', '.join(DESCRIBED)}, got {kind!r}")
    return DESCRIBED[kind].from_dict({name: value for name, value in data.items() if name != "kind"})


__all__ = ["MLP", "RNN", "ModuleNetwork", "Network", "Transformer", "from_dict", "to_dict"]
