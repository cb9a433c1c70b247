"""Formulas, against the outputs of the networks."""

from dataclasses import replace

import numpy as np
import pytest
import sympy
import torch
from hypothesis import given
from hypothesis import strategies as st

from bimt_core import MLP, Population, Task, formula, formula_text, initialise, load_task, prune
from bimt_core.surgery.formulas import to_identifiers
from bimt_core.surgery.silu import silu


def task_of(network: MLP, inputs: tuple[str, ...] = (), outputs: tuple[str, ...] = ()) -> Task:
    n_in, n_out = network.widths[0], network.widths[-1]
    x, y, base = torch.randn(9, n_in, dtype=torch.float64), torch.zeros(9, n_out).double(), load_task("independence")
    names = inputs or tuple(f"x{i + 1}" for i in range(n_in)), outputs or tuple(f"y{i + 1}" for i in range(n_out))
    return Task("some", "Some.", *(x, y) * 3, network, base.per_network, base.shared, 0, *names)


def sparse_population(network: MLP, seed: int, kept: float) -> Population:
    """Two networks with few parameters and permuted neurons."""
    random = torch.Generator().manual_seed(seed)
    population = initialise(network, [seed, seed + 1], dtype=torch.float64)
    keep = torch.rand(population.flat.shape, generator=random) < kept
    population = replace(population, flat=3 * population.flat * keep)
    sets = [neurons for neurons in network.wiring.neurons if neurons.movable]
    orders = {n.name: torch.stack([torch.randperm(len(n), generator=random) for _ in range(2)]) for n in sets}
    return population.rearrange(orders)


def evaluate(expressions: dict[str, sympy.Expr], of: Task, inputs: torch.Tensor) -> np.ndarray:
    """Values of all outputs, shape (rows, outputs)."""
    symbols = [sympy.Symbol(name) for name in to_identifiers(of.input_names)]
    assert all(expression.free_symbols <= set(symbols) for expression in expressions.values())
    columns = [sympy.lambdify(symbols, expression)(*inputs.numpy().T) for expression in expressions.values()]
    return np.stack([np.broadcast_to(column, len(inputs)) for column in columns], axis=1)


NETWORKS = [
    MLP((3, 2)),
    MLP((3, 4, 2)),
    MLP((2, 3, 3, 2)),
    MLP((2, 3, 2, 3, 1)),
    MLP(((1, 3), (2, 2), 3), ring_outputs=True, fixed_inputs=True),
]


@given(network=st.sampled_from(NETWORKS), seed=st.integers(0, 10**6), kept=st.floats(0, 1), data=st.data())
def test_formula_matches_the_network(network: MLP, seed: int, kept: float, data: st.DataObject) -> None:
    population, of = sparse_population(network, seed, kept), task_of(network)
    which, threshold = data.draw(st.integers(0, 1)), data.draw(st.sampled_from([0.0, 0.3]))
    found = formula(population, of, which, threshold)
    assert list(found) == list(of.output_names)
    expected = prune(population, threshold).predict(of.test_inputs)[which].numpy()
    np.testing.assert_allclose(evaluate(found, of, of.test_inputs), expected, rtol=1e-9, atol=1e-9)


@given(network=st.sampled_from(NETWORKS), seed=st.integers(0, 10**6), kept=st.floats(0, 1))
def test_text_matches_the_network(network: MLP, seed: int, kept: float) -> None:
    population, of = sparse_population(network, seed, kept), task_of(network)
    lines = dict(line.split(" = ") for line in formula_text(population, of, 1, digits=None).splitlines())
    defined = lines.pop("silu(z)", None)
    assert (defined is not None) == any(name.startswith("h") for name in lines)
    columns = []
    for row in of.test_inputs.tolist():
        known = dict(zip(of.input_names, row, strict=True))
        for name, text in lines.items():
            known[name] = float(eval(text, {"silu": lambda z: z / (1 + np.exp(-z))}, known))
        columns.append([known[name] for name in of.output_names])
    expected = population.predict(of.test_inputs)[1].numpy()
    np.testing.assert_allclose(columns, expected, rtol=1e-9, atol=1e-9)


def set_tensors(**tensors: list) -> tuple[Population, Task]:
    network = MLP((2, 3, 3, 2))
    population = initialise(network, [0], dtype=torch.float64)
    population.flat.zero_()
    for name, values in tensors.items():
        population.tensors[name][0] = torch.tensor(values, dtype=torch.float64)
    return population, task_of(network, ("width", "pixel 0,1"), ("area", "lower moon"))


def test_idle_neurons_are_left_out_and_constants_are_added_up() -> None:
    population, of = set_tensors(
        weight0=[
            [
                1.5,
                0,
            ],
            [0, 0],
            [2, 2],
        ],
        bias0=[0, 0.5, 1],  # neuron 1 is the constant silu(0.5); neuron 2 has no outgoing weight
        weight1=[[2, 4, 0], [0, 3, 0], [0, 0, 0]],  # neuron 1 of the second layer is a constant, too
        bias1=[0.25, 0, 0],
        weight2=[[1, 1, 0], [0, 2, 0]],
    )
    text = formula_text(population, of, digits=3)
    half = 0.5 / (1 + np.exp(-0.5))
    constant = 3 * half / (1 + np.exp(-3 * half))
    assert text.splitlines() == [
        "silu(z) = z/(1 + exp(-z))",
        "h1_0 = silu(1.5*width)",
        f"h2_0 = silu(2.0*h1_0 + {0.25 + 4 * half:.3g})",
        f"area = 1.0*h2_0 + {constant:.3g}",
        f"lower moon = {2 * constant:.3g}",
    ]
    assert formula(population, of)["lower moon"] == pytest.approx(2 * constant, rel=1e-12)
    width = sympy.Symbol("width")
    inner = 2 * silu(1.5 * width) + sympy.Float(0.25 + 4 * half)
    assert formula(population, of, digits=3)["area"] == formula(population, of)["area"].xreplace(
        {f: sympy.Float(f"{float(f):.3g}", 15) for f in formula(population, of)["area"].atoms(sympy.Float)}
    )
    assert abs((formula(population, of)["area"] - silu(inner) - constant).subs(width, 0.7)) < 1e-12


def test_network_without_weights_is_a_constant() -> None:
    population, of = set_tensors(bias2=[0, -1.5])
    assert formula(population, of) == {"area": 0, "lower moon": -1.5}
    assert formula_text(population, of) == "area = 0\nlower moon = -1.5"


def test_names_become_identifiers() -> None:
    names = ["x1", "pixel 0,1", "7", "lambda", "22.5°", "w x", "w_x", "", "exp", "pixel  0 1", "²", "λ"]
    found = to_identifiers(names)
    assert found == [
        "x1", "pixel_0_1", "x_7", "lambda_", "x_22_5", "w_x", "w_x_2", "x", "exp_", "pixel_0_1_2", "x_2", "λ",
    ]  # fmt: skip
    assert all(name.isidentifier() for name in found)


def test_input_may_have_the_name_of_a_hidden_neuron() -> None:
    network = MLP((2, 2, 1))
    population = initialise(network, [3], dtype=torch.float64)
    of = task_of(network, ("h1_0", "h1_1"))
    np.testing.assert_allclose(
        evaluate(formula(population, of), of, of.test_inputs), population.predict(of.test_inputs)[0], rtol=1e-9
    )
    assert "h1_0_2 = silu(" in formula_text(population, of)


def test_outputs_with_equal_names_stay_apart() -> None:
    network = MLP((1, 3))
    population = initialise(network, [0], dtype=torch.float64)
    assert list(formula(population, task_of(network, outputs=("y", "y", "y_2")))) == ["y", "y_2", "y_2_2"]


def test_single_precision() -> None:
    of = load_task("two_moons")
    of = replace(of, network=MLP((2, 4, 4, 2)))
    population = initialise(of.network, [0])
    found = evaluate(formula(population, of), of, of.test_inputs.double())
    np.testing.assert_allclose(found, population.predict(of.test_inputs)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("digits", [1, 2, 5])
def test_coefficients_are_rounded_at_the_end(digits: int) -> None:
    network = MLP((2, 3, 1))
    population, of = sparse_population(network, 4, 1.0), task_of(network)
    numbers = formula(population, of, digits=digits)["y1"].atoms(sympy.Float)
    exact = sorted(map(float, formula(population, of)["y1"].atoms(sympy.Float)))
    assert sorted(map(float, numbers)) == sorted({float(f"{number:.{digits}g}") for number in exact})
    assert all(float(f"{float(number):.{digits}g}") == float(number) for number in numbers)


def test_too_many_parameters_raise() -> None:
    of = load_task("two_moons")
    population = initialise(of.network, [0])
    for write in (formula, formula_text):
        with pytest.raises(
            ValueError, match="a formula has at most 60 parameters, got 522: prune more, or raise max_parameters"
        ):
            write(population, of)
        assert write(prune(population, 0.5), of)
    network = MLP((2, 2, 1))
    small, own = initialise(network, [0]), task_of(network)
    assert formula(small, own, max_parameters=9)
    with pytest.raises(ValueError, match="at most 8 parameters, got 9"):
        formula(small, own, max_parameters=8)


def test_only_parameters_that_reach_an_output_count() -> None:
    network = MLP((2, 2, 1))
    population = initialise(network, [0])
    population.tensors["weight1"][0, 0, 0] = 0.0  # hidden neuron 0 with its weights and bias, 4 parameters
    assert formula(population, task_of(network), max_parameters=5)
    with pytest.raises(ValueError, match="at most 4 parameters, got 5"):
        formula(population, task_of(network), max_parameters=4)


@pytest.mark.parametrize("name", ["permutation_s4", "in_context", "delayed_response"])
def test_other_networks_raise(name: str) -> None:
    of = load_task(name)
    with pytest.raises(ValueError, match="a formula needs an MLP") as caught:
        formula(initialise(of.network, [0], dtype=of.dtype), of)
    assert str(caught.value).endswith(
        {
            "permutation_s4": "without an embedding, got one of 24 tokens",
            "in_context": "got a network of type Transformer",
            "delayed_response": "got a network of type RNN",
        }[name]
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"digits": 0}, "digits must be at least 1, got 0"),
        ({"network": 1}, "network must be between 0 and 0, got 1"),
        ({"threshold": -1.0}, "a threshold must be finite and at least 0, got -1.0"),
    ],
)
def test_invalid_arguments_raise(arguments: dict[str, float], message: str) -> None:
    network = MLP((2, 2, 1))
    with pytest.raises(ValueError, match=message):
        formula(initialise(network, [0]), task_of(network), **arguments)


def test_task_of_another_network_raises() -> None:
    with pytest.raises(ValueError, match="task 'some' has 2 inputs and 1 outputs, the network 3 and 1"):
        formula(initialise(MLP((3, 1)), [0]), task_of(MLP((2, 1))))


def test_parameters_that_are_not_finite_raise() -> None:
    network = MLP((2, 2, 1))
    population = initialise(network, [0, 1])
    population.flat[1, 0] = torch.nan
    assert formula(population, task_of(network), 0)
    with pytest.raises(ValueError, match="network 1 has parameters that are not finite"):
        formula(population, task_of(network), 1)
