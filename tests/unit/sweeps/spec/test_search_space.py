import pytest

from sweeps.spec.recipe import HYPERPARAMETERS
from sweeps.spec.search_space import Choices, Fixed, Range, parse_parameter


@pytest.mark.parametrize(
    ("name", "given", "parameter"),
    [
        ("weight_factor", {"low": 0, "high": 4}, Range(low=0, high=4)),
        ("cost_weight", {"low": "1e-4", "high": 1e-2, "log": True}, Range(low=1e-4, high=1e-2, log=True)),
        ("layer_distance", {"low": 0.1, "high": 0.5, "step": 0.1}, Range(low=0.1, high=0.5, step=0.1)),
        ("relocate_every", {"low": 50, "high": 500, "step": 50}, Range(low=50, high=500, step=50)),
        ("hidden_width", {"low": 4, "high": 64, "log": True}, Range(low=4, high=64, log=True)),
        ("relocation", {"choices": ["none", "greedy"]}, Choices(choices=("none", "greedy"))),
        ("move_moments", {"choices": [True, False]}, Choices(choices=(True, False))),
        ("learning_rate", {"choices": ["1e-3", 1]}, Choices(choices=(1e-3, 1.0))),
        ("steps", 2000, Fixed(value=2000)),
        ("local_last", {"value": False}, Fixed(value=False)),
        ("cost_phases", [[0, 1], [0.25, "1e1"]], Fixed(value=((0.0, 1.0), (0.25, 10.0)))),
    ],
)
def test_an_entry_says_by_its_form_what_it_is(name, given, parameter):
    parsed = parse_parameter(name, given)
    assert parsed == parameter
    assert repr(parsed) == repr(parameter)  # 1, 1.0 and True are equal
    assert parse_parameter(name, parsed) == parsed


@pytest.mark.parametrize(("name", "kind"), [("steps", int), ("learning_rate", float), ("move_moments", bool)])
def test_values_have_the_type_of_their_hyperparameter(name, kind):
    assert type(parse_parameter(name, kind(1)).value) is kind
    assert type(parse_parameter("cost_weight", 1).value) is float


@pytest.mark.parametrize(
    ("name", "given", "told"),
    [
        ("cost_weight", {"low": 2, "high": 1}, ": low must be below high, got low=2, high=1"),
        ("cost_weight", {"low": 1, "high": 1}, ": low must be below high, got low=1, high=1"),
        ("cost_weight", {"low": 0, "high": 1, "log": True}, ": low must be above 0 where log is true, got 0"),
        ("cost_weight", {"low": -1, "high": 1, "log": True}, ": low must be above 0 where log is true, got -1"),
        ("steps", {"low": 1, "high": 9, "log": True, "step": 2}, ": step cannot be used where log is true, got 2"),
        ("steps", {"low": 1, "high": 9, "step": 0}, ": step must be above 0, got 0"),
        (
            "steps",
            {"low": 1, "high": 9, "step": 3},
            ": high - low must be a multiple of step, got low=1, high=9, step=3",
        ),
        ("cost_weight", {"low": 0}, ".high is missing"),
        ("cost_weight", {"low": "few", "high": 1}, ".low: must be a finite number, got 'few'"),
        ("cost_weight", {"low": 0, "high": float("inf")}, ".high: must be a finite number, got inf"),
        ("cost_weight", {"low": True, "high": 2}, ".low: must be a finite number, got True"),
        ("cost_weight", {"low": None, "high": 2}, ".low: must be a finite number, got None"),
        ("cost_weight", {"low": 0, "high": 2, "log": "maybe"}, ".log: must be true or false, got 'maybe'"),
        ("cost_weight", {"low": 0, "high": 2, "step": "x"}, ".step: must be a finite number, got 'x'"),
        ("cost_weight", {"choices": []}, ".choices: must have at least 1 entry, got []"),
        ("cost_weight", {"choices": [1, 1.0]}, ".choices: must differ, got [1.0, 1.0]"),
        ("cost_weight", {"choices": 3}, ".choices: must be a list, got 3"),
        ("cost_weight", {"choices": [1, "big"]}, ": must be a finite number, got 'big'"),
        ("cost_weight", "big", ": must be a finite number, got 'big'"),
        ("cost_weight", None, ": must be a finite number, got None"),
        ("cost_weight", True, ": must be a finite number, got True"),
        ("cost_weight", [1, 2], ": must be a finite number, got [1, 2]"),
        ("cost_weight", float("nan"), ": must be a finite number, got nan"),
        ("cost_weight", -1, ": must be at least 0, got -1.0"),
        ("cost_weight", {"low": -1, "high": 1}, ": must be at least 0, got -1.0"),
        ("learning_rate", {"choices": [0.1, 0]}, ": must be above 0, got 0.0"),
        ("bias_from", {"low": 0.5, "high": 1.5}, ": must be between 0 and 1, got 1.5"),
        ("relocate_every", 2.5, ": must be a whole number, got 2.5"),
        ("relocate_every", {"low": 1.5, "high": 3}, ": must be a whole number, got 1.5"),
        ("relocate_every", {"low": 1, "high": 3, "step": 0.5}, ": must be a whole number, got 0.5"),
        ("steps", 0, ": must be at least 1, got 0"),
        ("hidden_width", 0, ": must be at least 1, got 0"),
        ("hidden_layers", {"choices": [1, 0]}, ": must be at least 1, got 0"),
        ("relocation", "swap", ": must be 'assignment', 'exchange', 'greedy' or 'none', got 'swap'"),
        ("relocation", 3, ": must be 'assignment', 'exchange', 'greedy' or 'none', got 3"),
        (
            "relocation",
            {"low": 1, "high": 2},
            ": takes choices or one value, not a range, got {'low': 1, 'high': 2}",
        ),
        ("move_moments", "yes", ": must be true or false, got 'yes'"),
        ("cost_phases", [[0.1, 1]], ": must start at 0 and rise up to at most 1, got [0.1]"),
        ("cost_phases", [[0, 1, 2]], ": must be a list of [fraction, factor], got [[0, 1, 2]]"),
        ("cost_phases", "x", ": must be a list of [fraction, factor], got 'x'"),
        (
            "cost_phases",
            {"choices": [1]},
            ": takes one value, a list of [fraction, factor], got {'choices': [1]}",
        ),
        ("lamda", 1, f": unknown hyperparameter, allowed are {', '.join(HYPERPARAMETERS)}"),
    ],
)
def test_a_search_space_that_breaks_a_rule(problems_of, small, name, given, told):
    assert problems_of(small(search={name: given})) == [f"search.{name}{told}"]
