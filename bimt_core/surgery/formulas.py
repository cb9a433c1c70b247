"""Formulas of small networks."""

import keyword
from collections.abc import Iterable
from itertools import count
from typing import Any

import torch
from torch import Tensor

from bimt_core.networks import MLP
from bimt_core.population import Population
from bimt_core.surgery.evaluation import finite_network
from bimt_core.surgery.pruning import prune
from bimt_core.tasks import Task

READABLE = 60  # parameters
RESERVED = {"silu", "exp"}  # names with a meaning in formulas

Expression = Any  # of sympy, which has no types and is imported on first use


def formula(
    population: Population,
    task: Task,
    network: int = 0,
    threshold: float = 0.0,
    digits: int | None = None,
    max_parameters: int = READABLE,
) -> dict[str, Expression]:
    """Writes a small perceptron as sympy expressions of the task's inputs.

    Hidden neurons that reach no output are left out. Those that depend on no input are constants, which are added to
    the next biases. SiLU stays a function (see `bimt_core.surgery.silu.silu`); `expression.doit()` replaces it by its
    definition. For classes, an output is a logit.

    Args:
        population: Networks trained on the task.
        task: The task, for the names of inputs and outputs.
        network: Index in the population.
        threshold: Parameters of at most this size are left out; see `prune`.
        digits: Significant digits of the coefficients, at least 1; None for all.
        max_parameters: Largest number of parameters that the outputs may depend on.

    Returns:
        An expression for each output's name, in the task's order. Its symbols are the names of the inputs as
        identifiers, such as pixel_0_1 for "pixel 0,1".

    Raises:
        ValueError: If the network is not an `MLP` without an embedding or not of the task, there is no such network,
            its parameters are not finite or too many, or the threshold is negative or not finite.

    Examples:
        >>> from bimt_core import initialise, load_task
        >>> formula(initialise(MLP((2, 2)), seeds=[0]), load_task("two_moons"), digits=2)
        {'upper moon': -0.0053*x1 + 0.38*x2 - 0.27, 'lower moon': -0.58*x1 - 0.52*x2 + 0.19}
    """
    hidden, outputs = _lines(population, task, network, threshold, digits, max_parameters)
    known: dict[Expression, Expression] = {}
    for symbol, value in hidden.items():
        known[symbol] = value.xreplace(known)
    return {name: value.xreplace(known) for name, value in outputs.items()}


def formula_text(
    population: Population,
    task: Task,
    network: int = 0,
    threshold: float = 0.0,
    digits: int | None = 3,
    max_parameters: int = READABLE,
) -> str:
    """Writes a small perceptron as text, one line per hidden neuron in use and per output.

    Args:
        population: Networks trained on the task.
        task: The task, for the names of inputs and outputs.
        network: Index in the population.
        threshold: Parameters of at most this size are left out; see `prune`.
        digits: Significant digits of the coefficients, at least 1; None for all that sympy prints, 15.
        max_parameters: Largest number of parameters that the outputs may depend on.

    Returns:
        The definition of silu, and lines such as "h1_4 = silu(1.5*x1 - 0.2)" for the neuron at place 4 of "hidden1".

    Raises:
        ValueError: As for `formula`.

    Examples:
        >>> from bimt_core import initialise, load_task
        >>> print(formula_text(initialise(MLP((2, 1, 2)), seeds=[0]), load_task("two_moons"), digits=2))
        silu(z) = z/(1 + exp(-z))
        h1_0 = silu(-0.0053*x1 + 0.38*x2 - 0.58)
        upper moon = 0.27 - 0.74*h1_0
        lower moon = -0.39*h1_0 - 0.02
    """
    import sympy

    hidden, outputs = _lines(population, task, network, threshold, digits, max_parameters)
    text = ["silu(z) = z/(1 + exp(-z))"] if hidden else []
    text += [f"{name} = {sympy.sstr(value, full_prec=False)}" for name, value in (hidden | outputs).items()]
    return "\n".join(text)


def to_identifiers(names: Iterable[str]) -> list[str]:
    """Converts names to different Python identifiers.

    Args:
        names: Any names, such as "x1", "pixel 0,1" and "7", which become x1, pixel_0_1 and x_7.
    """
    words = []
    for name in names:
        word = "_".join("".join(sign if f"_{sign}".isidentifier() else " " for sign in name).replace("_", " ").split())
        if not word.isidentifier():
            word = f"x_{word}".rstrip("_")
        words.append(f"{word}_" if keyword.iskeyword(word) or word in RESERVED else word)
    return _make_distinct(words)


def _make_distinct(names: Iterable[str]) -> list[str]:
    """Appends a number to names that occurred before."""
    distinct: list[str] = []
    for name in names:
        numbered = (f"{name}_{number}" for number in count(2))
        distinct.append(name if name not in distinct else next(other for other in numbered if other not in distinct))
    return distinct


def _lines(
    population: Population, task: Task, network: int, threshold: float, digits: int | None, max_parameters: int
) -> tuple[dict[Expression, Expression], dict[str, Expression]]:
    """Hidden neurons in use, as expressions of earlier ones and of the inputs, and outputs as expressions of both."""
    import sympy

    from bimt_core.surgery.silu import silu

    if digits is not None and digits < 1:
        raise ValueError(f"digits must be at least 1, got {digits}")
    _check_network(population, task)
    one = prune(finite_network(population, network), threshold)
    *layers, last = _layers_in_use(one, max_parameters)
    names = to_identifiers(task.input_names)
    values = [sympy.Symbol(names[label]) for label in one.input_labels[0].tolist()]
    hidden: dict[Expression, Expression] = {}
    for number, layer in enumerate(layers, start=1):
        values = [silu(value) for value in _weighted_sums(layer, values)]
        for place, value in enumerate(values):
            if value.free_symbols:
                values[place] = sympy.Symbol(_make_distinct([*names, f"h{number}_{place}"])[-1])
                hidden[values[place]] = _round(value, digits)
    by_label = dict(zip(one.output_labels[0].tolist(), _weighted_sums(last, values), strict=True))
    names = _make_distinct(task.output_names)
    return hidden, {name: _round(by_label[label], digits) for label, name in enumerate(names)}


def _check_network(population: Population, task: Task) -> None:
    network = population.network
    if not isinstance(network, MLP):
        raise ValueError(f"a formula needs an MLP, got a network of type {type(network).__name__}")
    if network.takes_tokens:
        raise ValueError(f"a formula needs an MLP without an embedding, got one of {network.vocabulary} tokens")
    ours, theirs = (network.widths[0], network.widths[-1]), (len(task.input_names), len(task.output_names))
    if ours != theirs:
        raise ValueError(
            f"task {task.name!r} has {theirs[0]} inputs and {theirs[1]} outputs, the network {ours[0]} and {ours[1]}"
        )


Layer = tuple[Tensor, Tensor]  # weight and bias


def _layers_in_use(one: Population, max_parameters: int) -> list[Layer]:
    """Returns the layers of a perceptron, with zeros for the neurons that reach no output."""
    tensors = one.tensors
    reaching = torch.ones_like(one.output_labels[0], dtype=torch.bool)
    layers: list[Layer] = []
    for number in reversed(range(len(one.network.wiring.weights))):
        weight, bias = (tensors[f"{name}{number}"][0] for name in ("weight", "bias"))
        layers.insert(0, (weight * reaching.unsqueeze(1), bias * reaching))
        reaching = layers[0][0].any(0)
    n = sum(int(tensor.count_nonzero()) for layer in layers for tensor in layer)
    if n > max_parameters:
        raise ValueError(
            f"a formula has at most {max_parameters} parameters, got {n}: prune more, or raise max_parameters"
        )
    return layers


def _weighted_sums(layer: Layer, values: list[Expression]) -> list[Expression]:
    import sympy

    rows = zip(*(tensor.tolist() for tensor in layer), strict=True)
    terms = (
        [sympy.Float(w) * v for w, v in zip(row, values, strict=True) if w] + [bias] * (bias != 0) for row, bias in rows
    )
    return [sympy.Add(*term) for term in terms]


def _round(value: Expression, digits: int | None) -> Expression:
    import sympy

    if digits is None:
        return value
    return value.xreplace({f: sympy.Float(float(f"{float(f):.{digits}g}")) for f in value.atoms(sympy.Float)})
