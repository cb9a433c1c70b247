"""Formulas: what a small network computes, written down."""

import keyword
from collections.abc import Iterable
from dataclasses import dataclass
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
RESERVED = {"silu", "exp"}  # names that a formula uses itself

Expression = Any  # of sympy, which has no types and is imported late


def formula(
    population: Population,
    task: Task,
    network: int = 0,
    threshold: float = 0.0,
    digits: int | None = None,
    most: int = READABLE,
) -> dict[str, Expression]:
    """What a small perceptron computes, as sympy expressions of the task's inputs.

    A hidden neuron that reaches no output is left out; one that depends on no input is a constant, and added to the
    biases behind it. SiLU stays a function (see `bimt_core.surgery.silu.silu`): `expression.doit()` writes it out. Of
    classes, an output is what the softmax is taken of.

    Args:
        population: Networks trained on the task.
        task: The task, for the names of inputs and outputs.
        network: Which network of the population.
        threshold: Parameters of at most this size are left out; see `prune`.
        digits: Significant digits of the coefficients in the result, at least 1; None for all.
        most: How many parameters the outputs may depend on.

    Returns:
        An expression for each output's name, in the task's order. Its symbols are the names of the inputs, made
        identifiers: "pixel 0,1" is pixel_0_1.

    Raises:
        ValueError: If the network is no `MLP` without an embedding or not of the task, there is no such network, its
            parameters are not finite, more of them than `most` count, or the threshold is negative or not finite.
    """
    lines = _lines(population, task, network, threshold, digits, most)
    known: dict[Expression, Expression] = {}
    for symbol, value in lines.hidden.items():
        known[symbol] = value.xreplace(known)
    return {name: value.xreplace(known) for name, value in lines.outputs.items()}


def formula_text(
    population: Population,
    task: Task,
    network: int = 0,
    threshold: float = 0.0,
    digits: int | None = 3,
    most: int = READABLE,
) -> str:
    """The `formula` in lines of text: one a hidden neuron in use, one an output.

    Args:
        population: Networks trained on the task.
        task: The task, for the names of inputs and outputs.
        network: Which network of the population.
        threshold: Parameters of at most this size are left out; see `prune`.
        digits: Significant digits of the coefficients, at least 1; None for as many as sympy prints, 15.
        most: How many parameters the outputs may depend on.

    Returns:
        What silu is, and lines such as "h1_4 = silu(1.5*x1 - 0.2)": the neuron at place 4 of "hidden1".

    Raises:
        ValueError: As `formula` does.
    """
    import sympy

    lines = _lines(population, task, network, threshold, digits, most)
    definition = ["silu(z) = z/(1 + exp(-z))"] if lines.hidden else []
    told = [f"{name} = {sympy.sstr(value, full_prec=False)}" for name, value in (lines.hidden | lines.outputs).items()]
    return "\n".join(definition + told)


def identifiers(names: Iterable[str]) -> list[str]:
    """Names that differ and that Python takes for variables: "x1" stays, "pixel 0,1" becomes pixel_0_1, "7" x_7."""
    made = []
    for name in names:
        word = "".join(sign if f"_{sign}".isidentifier() else " " for sign in name)
        word = "_".join(word.replace("_", " ").split())
        if not word.isidentifier():
            word = f"x_{word}".rstrip("_")
        made.append(f"{word}_" if keyword.iskeyword(word) or word in RESERVED else word)
    return _distinct(made)


def _distinct(names: Iterable[str]) -> list[str]:
    """The names, those that have been there before with a number behind."""
    made: list[str] = []
    for name in names:
        numbered = (f"{name}_{number}" for number in count(2))
        made.append(name if name not in made else next(other for other in numbered if other not in made))
    return made


@dataclass(frozen=True)
class _Lines:
    """A network in lines: its hidden neurons in use, each of the ones before, and its outputs of all these."""

    hidden: dict[Expression, Expression]
    outputs: dict[str, Expression]


def _lines(population: Population, task: Task, network: int, threshold: float, digits: int | None, most: int) -> _Lines:
    import sympy

    from bimt_core.surgery.silu import silu

    if digits is not None and digits < 1:
        raise ValueError(f"digits must be at least 1, got {digits}")
    _check_kind(population, task)
    one = prune(finite_network(population, network), threshold)
    *layers, last = _in_use(one, most)
    names = identifiers(task.input_names)
    values = [sympy.Symbol(names[label]) for label in one.input_labels[0].tolist()]
    hidden: dict[Expression, Expression] = {}
    for number, layer in enumerate(layers, start=1):
        values = [silu(value) for value in _sums(layer, values)]
        for place, value in enumerate(values):
            if value.free_symbols:
                values[place] = sympy.Symbol(_distinct([*names, f"h{number}_{place}"])[-1])
                hidden[values[place]] = _rounded(value, digits)
    named = dict(zip(one.output_labels[0].tolist(), _sums(last, values), strict=True))
    outputs = {name: _rounded(named[label], digits) for label, name in enumerate(_distinct(task.output_names))}
    return _Lines(hidden, outputs)


def _check_kind(population: Population, task: Task) -> None:
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


def _in_use(one: Population, most: int) -> list[Layer]:
    """The layers of a perceptron, with zeros for the neurons that reach no output."""
    tensors = one.tensors
    reaching = torch.ones_like(one.output_labels[0], dtype=torch.bool)
    layers: list[Layer] = []
    for number in reversed(range(len(one.network.wiring.weights))):
        weight, bias = (tensors[f"{name}{number}"][0] for name in ("weight", "bias"))
        layers.insert(0, (weight * reaching.unsqueeze(1), bias * reaching))
        reaching = layers[0][0].any(0)
    n = sum(int(tensor.count_nonzero()) for layer in layers for tensor in layer)
    if n > most:
        raise ValueError(f"a formula has at most {most} parameters, got {n}: prune more, or raise `most`")
    return layers


def _sums(layer: Layer, values: list[Expression]) -> list[Expression]:
    """What goes into each neuron of a layer."""
    import sympy

    rows = zip(*(tensor.tolist() for tensor in layer), strict=True)
    terms = (
        [sympy.Float(w) * v for w, v in zip(row, values, strict=True) if w] + [bias] * (bias != 0) for row, bias in rows
    )
    return [sympy.Add(*term) for term in terms]


def _rounded(value: Expression, digits: int | None) -> Expression:
    """An expression with rounded coefficients."""
    import sympy

    if digits is None:
        return value
    return value.xreplace({f: sympy.Float(float(f"{float(f):.{digits}g}")) for f in value.atoms(sympy.Float)})
