"""Any torch module as a network."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call, vmap

from bimt_core.wiring import Wiring


@dataclass(frozen=True, eq=False)
class ModuleNetwork:
    """A `torch.nn.Module` whose parameters are all attached to neurons.

    Wires have the names of the parameters; `linear_wires` gives those of a linear layer. The module must be a function
    of its parameters, its constant buffers and its inputs: no dropout, no batch norm. Exchanging two neurons of a set
    must not matter to it: all neurons of a set have the same activation function, and nothing depends on their index.
    If neurons are pruned, that function must be 0 at 0.

    Args:
        build: Builds the module; a class or function without arguments.
        wiring: Attaches every parameter once.
        takes_tokens: If True, the module's inputs are token numbers.

    Raises:
        ValueError: If a parameter is attached to no neurons, a wire names no parameter, or shapes do not match.

    Examples:
        >>> from bimt_core import Neurons, linear_wires
        >>> from bimt_core.geometry import line
        >>> neurons = Neurons("input", line(3)), Neurons("output", line(2))
        >>> wiring = Wiring(neurons, linear_wires("0", "input", "output"))
        >>> network = ModuleNetwork(lambda: nn.Sequential(nn.Linear(3, 2)), wiring)
    """

    build: Callable[[], nn.Module]
    wiring: Wiring
    takes_tokens: bool = False
    _module: nn.Module = field(init=False, repr=False)
    _buffers: dict[tuple[str, torch.dtype], dict[str, Tensor]] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_module", self._build(0))
        parameters = dict(self._module.named_parameters())
        wires = {wire.tensor: wire for wire in self.wiring.wires}
        for name in sorted(parameters.keys() - wires.keys()):
            raise ValueError(f"parameter {name!r} is attached to no neurons, attached are {', '.join(wires)}")
        for name, wire in wires.items():
            if name not in parameters:
                raise ValueError(f"the module has no parameter {name!r}, it has {', '.join(parameters)}")
            shape = tuple(parameters[name].shape)
            if shape != self.wiring.shape(wire):
                raise ValueError(f"parameter {name!r} has shape {shape}, its wire says {self.wiring.shape(wire)}")

    def forward(self, tensors: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        """See `Network.forward`; the module gets the inputs of one network."""
        buffers = self._buffers_like(next(iter(tensors.values())))

        def one(parameters: dict[str, Tensor], values: Tensor) -> Any:
            return functional_call(self._module, parameters | buffers, (values,))

        outputs: Tensor = vmap(one, in_dims=(0, None if self.takes_tokens else 0))(dict(tensors), inputs)
        return outputs

    def _buffers_like(self, parameter: Tensor) -> dict[str, Tensor]:
        """Buffers on the parameters' device and in their precision; copied only once, as CUDA graphs require."""
        key = str(parameter.device), parameter.dtype
        if key not in self._buffers:
            self._buffers[key] = {
                name: buffer.to(parameter.device, parameter.dtype if buffer.is_floating_point() else None)
                for name, buffer in self._module.named_buffers()
            }
        return self._buffers[key]

    def initial_parameters(self, generator: Generator, dtype: torch.dtype) -> Tensor:
        """See `Network.initial_parameters`; the module draws them, with the generator's initial seed as torch's."""
        module = self._build(generator.initial_seed())
        return self.wiring.flatten({name: p.detach().to(dtype) for name, p in module.named_parameters()})

    def _build(self, seed: int) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            return self.build()

    def activation_values(self, rows: int) -> int:
        """See `Network.activation_values`; two values per neuron."""
        return 2 * rows * sum(len(neurons) for neurons in self.wiring.neurons)

    def resize(self, hidden_width: int | None, hidden_layers: int | None) -> "ModuleNetwork":
        """See `Network.resize`; a module has one size, so every number is an error."""
        for name, size in (("hidden_width", hidden_width), ("hidden_layers", hidden_layers)):
            if size is not None:
                raise ValueError(f"{name} of a ModuleNetwork cannot be changed, got {size}")
        return self
