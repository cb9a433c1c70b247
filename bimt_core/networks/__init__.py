"""Architectures: functions of named tensors that declare their wiring."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from bimt_core.networks.mlp import MLP
from bimt_core.networks.module import ModuleNetwork
from bimt_core.networks.network import Network
from bimt_core.networks.rnn import RNN
from bimt_core.networks.transformer import Transformer

KINDS: dict[str, type[MLP] | type[RNN] | type[Transformer]] = {"mlp": MLP, "rnn": RNN, "transformer": Transformer}


def to_dict(network: Network) -> dict[str, Any]:
    """Converts an architecture to plain data, including its kind.

    A `ModuleNetwork` is only named: files must not cause imports.

    Args:
        network: The architecture.

    Examples:
        >>> to_dict(RNN(2, (3, 3), 1))
        {'kind': 'rnn', 'inputs': 2, 'hidden': (3, 3), 'outputs': 1, 'reduction': 'mean'}
    """
    if isinstance(network, MLP | RNN | Transformer):
        return {"kind": type(network).__name__.lower(), **asdict(network)}
    build = getattr(network, "build", type(network))
    return {"kind": "module", "build": getattr(build, "__qualname__", repr(build))}


def from_dict(data: Mapping[str, Any]) -> Network:
    """Builds the architecture that `to_dict` described.

    Args:
        data: Result of `to_dict`, possibly with lists for tuples, as JSON has them.

    Raises:
        ValueError: If it describes a `ModuleNetwork`, or no architecture.
    """
    kind = data.get("kind")
    if kind == "module":
        raise ValueError(f"it holds networks of the module {data.get('build')!r}: pass network= to read them")
    if kind not in KINDS:
        raise ValueError(f"network kind must be one of {', '.join(KINDS)}, got {kind!r}")
    return KINDS[kind](**{name: _to_tuples(value) for name, value in data.items() if name != "kind"})


def _to_tuples(value: Any) -> Any:
    return tuple(map(_to_tuples, value)) if isinstance(value, list) else value


__all__ = ["MLP", "RNN", "ModuleNetwork", "Network", "Transformer", "from_dict", "to_dict"]
