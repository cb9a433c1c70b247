"""A torch module of a user's own as a network."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call, vmap

from bimt_core.wiring import Wiring


@dataclass(frozen=True, eq=False)
class ModuleNetwork:
    """Any `torch.nn.Module` whose parameters are all attached to neurons.

    Its wires are called as its parameters; `linear("fc1", "input", "hidden")` gives those of a linear layer. The module
    must be a function of its parameters, its buffers, which stay as they are, and its inputs: no dropout, no batch
    norm. It must not matter to it where neurons are: neurons of a set go through the same activation function, and
    nothing else happens to them by their number. Where neurons are pruned, that function must be 0 at 0.

    Args:
        build: Makes the module; a class without arguments, or a function.
        wiring: Attaches every parameter, once.
        takes_tokens: Whether the module's input is token numbers.

    Raises:
        ValueError: If a parameter is attached to no neurons, a wire names no parameter, or shapes do not match.
    """

    build: Callable[[], nn.Module]
    wiring: Wiring
    takes_tokens: bool = False
    _module: nn.Module = field(init=False, repr=False)
    _buffers: dict[tuple[str, torch.dtype], dict[str, Tensor]] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_module", self._built(0))
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
        """What the module gives, for every network.

        Args:
            tensors: One population's parameters, each with the leading dimension networks.
            inputs: Values, shape (networks, rows, [places,] inputs); or tokens, int64, shape (rows, folds). The module
                sees those of one network.
        """
        buffers = self._buffers_like(next(iter(tensors.values())))

        def one(parameters: dict[str, Tensor], values: Tensor) -> Any:
            return functional_call(self._module, parameters | buffers, (values,))

        outputs: Tensor = vmap(one, in_dims=(0, None if self.takes_tokens else 0))(dict(tensors), inputs)
        return outputs

    def _buffers_like(self, parameter: Tensor) -> dict[str, Tensor]:
        """The module's buffers where and in what precision its parameters are; copied once, for CUDA graphs."""
        key = str(parameter.device), parameter.dtype
        if key not in self._buffers:
            self._buffers[key] = {
                name: buffer.to(parameter.device, parameter.dtype if buffer.is_floating_point() else None)
                for name, buffer in self._module.named_buffers()
            }
        return self._buffers[key]

    def initial(self, generator: Generator, dtype: torch.dtype) -> Tensor:
        """Flat parameters as the module draws them when torch's global seed is the generator's."""
        module = self._built(generator.initial_seed())
        return self.wiring.flatten({name: p.detach().to(dtype) for name, p in module.named_parameters()})

    def _built(self, seed: int) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            return self.build()

    def activation_values(self, rows: int) -> int:
        """Numbers kept for the backward pass of one network on `rows` rows; a guess of two a neuron."""
        return 2 * rows * sum(len(neurons) for neurons in self.wiring.neurons)

    def resized(self, hidden_width: int | None, hidden_layers: int | None) -> "ModuleNetwork":
        """The same network; it has one size.

        Raises:
            ValueError: If another size is asked for.
        """
        for name, given in (("hidden_width", hidden_width), ("hidden_layers", hidden_layers)):
            if given is not None:
                raise ValueError(f"{name} cannot be changed in a module of one's own, got {given}")
        return self

    def as_dict(self) -> dict[str, Any]:
        """What the module is called. `from_dict` cannot make it again: nothing is imported because a file says so."""
        return {"build": getattr(self.build, "__qualname__", repr(self.build))}
