"""One optimiser step of a population: gradients of the prediction losses, the penalty in closed form, AdamW."""

import math
import warnings
from collections.abc import Callable, Hashable
from typing import NamedTuple

import torch
from torch import Tensor

from bimt_core.hyperparameters import PenaltyStep
from bimt_core.networks import Network
from bimt_core.tasks.definition import Loss, prediction_loss

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8
MAX_COMPILED = 8  # torch silently stops compiling a function after this many kinds of arguments


class StepArguments(NamedTuple):
    """Tensors that one step reads and changes. Their memory stays the same from step to step.

    Args:
        flat: Parameters, shape (networks, n_parameters); changed in place.
        first: AdamW's running mean of the gradient, same shape; changed in place.
        second: AdamW's running mean of its square, same shape; changed in place.
        inputs: Inputs ordered by place; see `Population.place_inputs`.
        targets: Targets ordered by place; see `Population.place_targets`.
        scored: Mask of the outputs that count, ordered by place, or None.
        coefficients: lambda * cost of one unit of each parameter, shape (networks, n_parameters).
        learning_rate: Shape (networks, 1).
        corrections: AdamW's 1 - beta1^t and sqrt(1 - beta2^t), t counted from 1, shape (2,).
    """

    flat: Tensor
    first: Tensor
    second: Tensor
    inputs: Tensor
    targets: Tensor
    scored: Tensor | None
    coefficients: Tensor
    learning_rate: Tensor
    corrections: Tensor


Step = Callable[..., None]


def bias_corrections(step: int) -> tuple[float, float]:
    """Computes AdamW's corrections 1 - beta1^t and sqrt(1 - beta2^t) of its running means, which start at 0.

    Args:
        step: t, counted from 1.
    """
    return 1 - BETA1**step, math.sqrt(1 - BETA2**step)


def make_step(network: Network, loss: Loss, penalty_step: PenaltyStep) -> Step:
    """Builds the function of `StepArguments` that takes one step.

    AdamW is written out (weight decay 0) because torch's optimisers take one learning rate per tensor, and here each
    row has its own. The penalty lambda * sum of cost * |parameter| enters in one of two ways:

    - "subgradient", as published: lambda * cost * sign(parameter) is added to the gradient and enters AdamW's moments.
    - "proximal": the moments are those of the prediction loss only. After the step every parameter is shrunk towards 0
      by lambda * cost times its step size, learning rate / (sqrt(second moment) + eps), and stops at 0. This is the
      proximal operator of the penalty in AdamW's metric (Yun, Lozano, Yang: "Adaptive proximal gradient methods for
      structured neural networks", NeurIPS 2021).

    Args:
        network: The architecture.
        loss: The prediction loss.
        penalty_step: "subgradient" or "proximal".
    """
    wiring = network.wiring
    _ = wiring.sizes  # fills the cache: the lock of functools.cached_property cannot be compiled

    def step(
        flat: Tensor,
        first: Tensor,
        second: Tensor,
        inputs: Tensor,
        targets: Tensor,
        scored: Tensor | None,
        coefficients: Tensor,
        learning_rate: Tensor,
        corrections: Tensor,
    ) -> None:
        def total_loss(parameters: Tensor) -> Tensor:
            outputs = network.forward(wiring.tensors(parameters), inputs)
            return prediction_loss(loss, outputs, targets, scored).sum()

        gradient = _compute_gradient(total_loss, flat)
        with torch.no_grad():
            if penalty_step == "subgradient":
                gradient.addcmul_(flat.sign(), coefficients)
            first.lerp_(gradient, 1 - BETA1)
            second.mul_(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
            scale = second.sqrt().div_(corrections[1]).add_(EPS)
            flat.sub_(first.div(scale).mul_(learning_rate / corrections[0]))
            if penalty_step == "proximal":
                shrink = coefficients.mul(learning_rate).div_(scale)
                flat.sub_(flat.clamp(-shrink, shrink))

    return step


def _compute_gradient(function: Callable[[Tensor], Tensor], parameters: Tensor) -> Tensor:
    if torch.compiler.is_compiling():
        gradient: Tensor = torch.func.grad(function)(parameters)  # autograd.grad is faster but cannot be compiled
    else:
        parameters = parameters.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(function(parameters), parameters)
    return gradient


def prepare_step(
    network: Network, loss: Loss, penalty_step: PenaltyStep, arguments: StepArguments, *, compiled: bool
) -> Callable[[], None]:
    """Builds the fastest function that takes a step with the present contents of the arguments.

    On CUDA the step is captured as a graph and replayed. On a CPU it is compiled on request; if that fails (for example
    without a C++ compiler), a warning is issued and the step runs uncompiled.

    Args:
        network: The architecture.
        loss: The prediction loss.
        penalty_step: "subgradient" or "proximal".
        arguments: Tensors of the step, which every call reads and changes.
        compiled: If True, the step is compiled on a CPU.
    """
    step = make_step(network, loss, penalty_step)
    if arguments.flat.is_cuda:
        return _capture_graph(step, arguments)
    if compiled:
        shapes = tuple(a if a is None else (a.shape, a.stride(), a.dtype) for a in arguments)
        step = _compile(step, (network, loss, penalty_step, torch.get_num_threads(), shapes))
    return lambda: step(*arguments)


def _capture_graph(step: Step, arguments: StepArguments) -> Callable[[], None]:
    """Captures the step as a CUDA graph, after a few steps for warming up, which are undone."""
    state = arguments.flat, arguments.first, arguments.second
    before = [tensor.clone() for tensor in state]
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step(*arguments)
    torch.cuda.current_stream().wait_stream(stream)
    for tensor, value in zip(state, before, strict=True):
        tensor.copy_(value)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step(*arguments)
    return graph.replay


_COMPILED: dict[Hashable, Step] = {}


def _compile(step: Step, key: Hashable) -> Step:
    """Compiles the step, or returns an earlier compiled step for arguments of the same kind."""
    if key not in _COMPILED:
        if len(_COMPILED) == MAX_COMPILED:
            torch.compiler.reset()
            _COMPILED.clear()
        _COMPILED[key] = _with_fallback(torch.compile(step, dynamic=False, fullgraph=True), step)
    return _COMPILED[key]


def _with_fallback(fast: Step, plain: Step) -> Step:
    """Chooses the fast step if its first call, which compiles it, succeeds, else the plain one."""
    # The only private torch name: errors of compiling have no public class, and RuntimeError would hide others.
    from torch._dynamo.exc import TorchDynamoException

    chosen: Step | None = None

    def step(*arguments: Tensor | None) -> None:
        nonlocal chosen
        if chosen is not None:
            chosen(*arguments)
            return
        try:
            fast(*arguments)
            chosen = fast
        except TorchDynamoException as error:
            reason = str(error).splitlines()[0]
            warnings.warn(f"training is not compiled and takes about twice as long: {reason}", stacklevel=2)
            plain(*arguments)
            chosen = plain

    return step
