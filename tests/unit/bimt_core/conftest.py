"""Fixtures for tests of the method: fixed random numbers, and networks relocated by the published code."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from bimt_core.geometry import grid, line, ring
from bimt_core.wiring import Axis, Neurons, Wire, Wiring

LAYERS = ("input", "hidden1", "hidden2", "hidden3", "output")


@dataclass(frozen=True)
class Recorded:
    """A network of reference/relocation.json: facts, weights before, and weights after (without an embedding)."""

    facts: dict[str, Any]
    wiring: Wiring
    flat: Tensor
    after: dict[str, Tensor]


@pytest.fixture(autouse=True)
def _fix_seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(params=["symbolic", "symbolic_deep", "modular_addition", "grid2d"])
def recorded(request, reference) -> Recorded:
    facts, arrays = reference("relocation")
    case, shape = facts[request.param], facts[request.param]["shape"]
    names = [*LAYERS[: len(shape) - 1], "output"]
    if request.param == "grid2d":
        positions = [grid(8, 8), grid(5, 5), grid(6, 6), ring(10)]
    else:
        positions = [line(n) for n in (shape[0] // case["in_fold"], *shape[1:])]
    neurons = tuple(
        Neurons(name, at, movable=(request.param, name) != ("grid2d", "input"))
        for name, at in zip(names, positions, strict=True)
    )
    wires = []
    for layer in range(len(shape) - 1):
        folds = case["in_fold"] if layer == 0 else 1
        wires.append(Wire(f"W{layer}", (Axis(names[layer + 1]), Axis(names[layer], folds))))
        wires.append(Wire(f"b{layer}", (Axis(names[layer + 1]),)))
    if case["in_fold"] > 1:
        wires.append(Wire("embedding", (len(arrays[f"{request.param}.embedding"]), Axis("input"))))
    wiring = Wiring(neurons, tuple(wires), case["reduction"])
    before, after = (
        {w.tensor: torch.from_numpy(arrays[key]) for w in wires if (key := prefix + w.tensor) in arrays}
        for prefix in (f"{request.param}.", f"{request.param}.after.")
    )
    return Recorded(case, wiring, wiring.flatten(before).unsqueeze(0), after)
