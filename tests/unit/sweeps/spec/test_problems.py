import pytest
from pydantic import Field, ValidationError

from sweeps.spec.parts import Part, Whole
from sweeps.spec.problems import format_problems, parse_entries

TOP = (
    "name, description, task, data_seed, published, validation_rows, search, variants, reference, objectives,"
    " constraints, trials, start_from, replicates, max_replicates, confirm, stop_when, cohort_size, concurrent_cohorts,"
    " resources, dtype, sampler, seed, evaluations, time_budget_s, max_failed"
)


class Inner(Part):
    count: Whole = Field(ge=1, lt=9)


class Outer(Part):
    name: str
    parts: tuple[Inner, ...] = Field(min_length=1)


def list_problems(model, data):
    with pytest.raises(ValidationError) as caught:
        model.model_validate(data)
    return format_problems(caught.value, lambda path: [f"the keys of {'.'.join(path) or 'the top'}"])


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        ({}, ["name is missing", "parts is missing"]),
        ({"name": 3, "parts": "x"}, ["name: must be text, got 3", "parts: must be a list, got 'x'"]),
        ({"name": "x", "parts": []}, ["parts: must have at least 1 entry, got []"]),
        (
            {"name": "x", "parts": [{"count": 0}, {"count": 9}, {"count": 1.5}]},
            [
                "parts.0.count: must be at least 1, got 0",
                "parts.1.count: must be below 9, got 9",
                "parts.2.count: must be a whole number, got 1.5",
            ],
        ),
        (
            {"name": "x", "parts": [1]},
            ["parts.0: must be a mapping with the keys the keys of parts.0, got 1"],
        ),
        (
            {"name": "x", "parts": [{"count": 1, "colour": 2}], 3: 4},
            [
                "unknown key 'parts.0.colour', allowed are the keys of parts.0",
                "unknown key '3', allowed are the keys of the top",
            ],
        ),
    ],
)
def test_each_problem_is_a_line_with_the_place_the_rule_and_the_value(data, lines):
    assert list_problems(Outer, data) == lines


def test_entries_are_parsed_by_name_and_value():
    assert parse_entries({"a": 1, "b": 2}, lambda name, value: f"{name}{value}") == {"a": "a1", "b": "b2"}
    for not_a_mapping in ([1], "x", None):
        assert parse_entries(not_a_mapping, lambda name, value: value) is not_a_mapping


def test_the_problems_of_all_entries_are_collected():
    def parse(name, value):
        if value == "bad":
            raise ValueError(f"{name} must be good, got {value!r}")
        return Inner.model_validate(value)

    entries = {"a": "bad", "b": {"count": 1}, "c": {"count": 0, "colour": 1}, "d": 5}
    with pytest.raises(ValidationError) as caught:
        parse_entries(entries, parse)
    assert format_problems(caught.value, lambda path: ["count"]) == [
        "a: must be good, got 'bad'",
        "c.count: must be at least 1, got 0",
        "unknown key 'c.colour', allowed are count",
        "d: must be a mapping with the keys count, got 5",
    ]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"colour": 1}, f"unknown key 'colour', allowed are {TOP}"),
        ({3: 1}, f"unknown key '3', allowed are {TOP}"),
        (
            {"search": {"cost_weight": {"low": 1, "high": 2, "lgo": True}}},
            "unknown key 'search.cost_weight.lgo', allowed are low, high, log, step",
        ),
        (
            {"search": {"cost_weight": {"choices": [1, 2], "log": True}}},
            "unknown key 'search.cost_weight.log', allowed are choices",
        ),
        ({"search": {"steps": {"value": 1, "log": True}}}, "unknown key 'search.steps.log', allowed are value"),
        (
            {"objectives": [{"metric": "val_score", "direction": "maximize", "weight": 2}]},
            "unknown key 'objectives.0.weight', allowed are metric, direction, aggregate",
        ),
        (
            {"constraints": [{"metric": "val_score", "relation": ">=", "bound": 1, "soft": True}]},
            "unknown key 'constraints.0.soft', allowed are metric, relation, bound",
        ),
        ({"resources": {"ram": 1}}, "unknown key 'resources.ram', allowed are cpus, gpus, compile"),
        ({"confirm": {"networks": 4}}, "unknown key 'confirm.networks', allowed are replicates"),
        (
            {"confirm": {}, "stop_when": {"trials": 4, "patience": 1}},
            "unknown key 'stop_when.patience', allowed are trials, gain",
        ),
    ],
)
def test_unknown_keys_are_refused_with_the_allowed_ones(problems_of, small, changes, line):
    assert problems_of(small() | changes) == [line]


def test_all_problems_of_a_file_are_reported_at_once(problems_of):
    lines = problems_of(
        {
            "name": "../x",
            "task": "mnist",
            "colour": "red",
            "search": {
                "lamda": 1,
                "cost_weight": {"low": 2, "high": 1},
                "layer_distance": {"low": 0, "high": 1, "log": True, "base": 2},
                "learning_rate": -1,
            },
            "objectives": [{"metric": "beauty", "direction": "up"}],
            "constraints": ["score", "val_score >= 1"],
            "start_from": [{"lamda": 1}, 2],
            "replicates": 0,
            "confirm": {"replicates": 1},
            "resources": {"cpus": 0, "ram": 1},
        }
    )
    places = [line.removeprefix("unknown key ").split()[0].strip("':,") for line in lines]
    assert sorted(places) == [
        "colour",
        "confirm.replicates",
        "constraints.0",
        "name",
        "objectives.0.direction",
        "objectives.0.metric",
        "replicates",
        "resources.cpus",
        "resources.ram",
        "search.cost_weight",
        "search.lamda",
        "search.layer_distance.base",
        "search.learning_rate",
        "start_from.0.lamda",
        "start_from.1",
        "task",
        "trials",
    ]
