from types import UnionType
from typing import Literal, Union, get_args, get_origin

import pytest

from bimt_core.hyperparameters import CHOICES
from sweeps.spec.recipe import HYPERPARAMETERS
from sweeps.spec.search_space import Choices, Fixed, Range, is_integer, parse_parameter, parse_setting, parse_value


@pytest.mark.parametrize(
    ("name", "entry", "parameter"),
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
def test_the_form_of_an_entry_decides_its_kind(name, entry, parameter):
    parsed = parse_parameter(name, entry)
    assert parsed == parameter
    assert repr(parsed) == repr(parameter)  # 1, 1.0 and True are equal
    assert parse_parameter(name, parsed) == parsed


def words(hint):
    """The words that a Literal, or a union of Literals, allows; none for another type."""
    if get_origin(hint) in (Union, UnionType):
        return tuple(word for member in get_args(hint) for word in words(member))
    return get_args(hint) if get_origin(hint) is Literal else ()


def test_every_word_of_every_hyperparameter_is_accepted():
    allowed = {name: words(hint) for name, hint in HYPERPARAMETERS.items() if words(hint)}
    assert {name: set(of_name) for name, of_name in allowed.items()} == {n: set(known) for n, known in CHOICES.items()}
    for name, of_name in allowed.items():
        assert parse_parameter(name, {"choices": list(of_name)}) == Choices(choices=of_name)
        for word in of_name:
            assert parse_parameter(name, word) == Fixed(value=word)
        for wrong in ("swap", 3, None, ""):
            with pytest.raises(ValueError, match="Input should be '"):
                parse_value(name, wrong)


@pytest.mark.parametrize("hint", [Literal["red", "blue"], Literal["red"] | Literal["blue"]])
def test_a_new_hyperparameter_is_checked_by_its_type(monkeypatch, hint):
    name = f"colour {hint}"  # types are cached by name
    monkeypatch.setitem(HYPERPARAMETERS, name, hint)
    assert [parse_value(name, word) for word in ("red", "blue")] == ["red", "blue"]
    with pytest.raises(ValueError, match="Input should be 'red' or 'blue'"):
        parse_value(name, "green")


def test_numbers_and_switches_are_neither_rounded_nor_mixed_up():
    good = {float: {1: 1.0, 0.5: 0.5, "1e-3": 1e-3}, int: {1: 1, 17: 17}, bool: {True: True, False: False}}
    bad = {float: (True, "x", None, float("nan")), int: (True, 2.5, 1.0, "1", None), bool: (1, 0, "yes", None)}
    for name, kind in HYPERPARAMETERS.items():
        assert is_integer(name) == (kind is int)
        for value, parsed in good.get(kind, {}).items():
            assert repr(parse_value(name, value)) == repr(parsed)  # 1, 1.0 and True are equal
        for value in bad.get(kind, ()):
            with pytest.raises(ValueError):
                parse_value(name, value)


def test_samples_represent_all_values_of_a_parameter():
    assert Range(low=1, high=2).samples("cost_weight") == (1.0, 2.0)
    assert Range(low=4, high=16).samples("hidden_width") == (4, 16, 5)
    assert Range(low=4, high=16, step=6).samples("hidden_width") == (4, 16, 10)
    assert Choices(choices=("none", "greedy")).samples("relocation") == ("none", "greedy")
    assert Fixed(value=3).samples("steps") == (3,)


def test_a_setting_is_a_single_value():
    assert parse_setting("steps", 3) == parse_setting("steps", {"value": 3}) == 3
    with pytest.raises(ValueError, match=r"^must be one value, got \{'choices': \[1, 2\]\}$"):
        parse_setting("steps", {"choices": [1, 2]})


@pytest.mark.parametrize(
    ("name", "entry", "problem"),
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
def test_an_entry_that_breaks_a_rule(problems_of, small, name, entry, problem):
    assert problems_of(small(search={name: entry})) == [f"search.{name}{problem}"]
