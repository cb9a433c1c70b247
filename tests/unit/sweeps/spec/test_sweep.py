import json

import pytest
import yaml

from bimt_core import METRICS, TASKS
from sweeps.errors import BadInputError
from sweeps.spec.files import preset_names, preset_path, read_spec, read_specs
from sweeps.spec.search_space import Choices, Fixed, Range
from sweeps.spec.parts import Constraint, parse_constraint
from sweeps.spec.sweep import Cohort, SavedCheckpoint, SweepSpec, parse_spec

TOP = (
    "name, description, task, data_seed, search, variants, reference, objectives, constraints, trials, replicates,"
    " cohort_size, concurrent_cohorts, resources, dtype, sampler, seed, evaluations, time_budget_s, max_failed"
)
# What is right


SUITES = ["paper_ablation"]


@pytest.mark.parametrize("name", sorted(set(preset_names()) - set(SUITES)))
def test_every_preset_is_a_sweep_of_its_task(name):
    spec = read_spec(preset_path(name))
    assert (spec.name, spec.task) == (name, name)
    assert len(spec.objectives) == 2
    assert spec.trials >= 12
    assert spec.replicates >= 2


def test_there_is_a_preset_for_every_task_that_trains_in_minutes():
    assert set(preset_names()) == set(TASKS) - {"mnist", "modular_addition", "permutation_s4"} | set(SUITES)


SEARCH = """
name: every-kind
task: two_moons
search:
  weight_factor: {low: 0, high: 4}
  cost_weight: {low: 1e-4, high: 1.0e-2, log: true}
  layer_distance: {low: 0.1, high: 0.5, step: 0.1}
  relocate_every: {low: 50, high: 500, step: 50}
  hidden_width: {low: 4, high: 64, log: true}
  relocation: {choices: [none, greedy, assignment]}
  move_moments: {choices: [true, false]}
  learning_rate: {choices: [1e-3, 0.01]}
  steps: 2000
  bias_from: 5e-1
  local_last: {value: false}
  cost_phases: [[0, 1], [0.25, 10]]
objectives:
  - {metric: test_loss, direction: minimize}
constraints: ["score >= 0.9", "active_weights<=1e2"]
trials: 3
resources: {cpus: 2}
"""


def test_a_file_may_hold_every_kind_of_parameter(tmp_path):
    path = tmp_path / "every kind.yaml"
    path.write_text(SEARCH)
    spec = read_spec(path)
    assert spec.search == {
        "weight_factor": Range(low=0, high=4),
        "cost_weight": Range(low=1e-4, high=1e-2, log=True),
        "layer_distance": Range(low=0.1, high=0.5, step=0.1),
        "relocate_every": Range(low=50, high=500, step=50),
        "hidden_width": Range(low=4, high=64, log=True),
        "relocation": Choices(choices=("none", "greedy", "assignment")),
        "move_moments": Choices(choices=(True, False)),
        "learning_rate": Choices(choices=(1e-3, 1e-2)),
        "steps": Fixed(value=2000),
        "bias_from": Fixed(value=0.5),
        "local_last": Fixed(value=False),
        "cost_phases": Fixed(value=((0.0, 1.0), (0.25, 10.0))),
    }
    assert list(spec.fixed) == ["steps", "bias_from", "local_last", "cost_phases"]
    assert [str(c) for c in spec.constraints] == ["score >= 0.9", "active_weights <= 100"]
    assert spec.resources.cpus == 2


def test_a_spec_survives_being_written_down(tmp_path):
    spec = parse_spec(yaml.safe_load(SEARCH))
    plain = spec.model_dump(mode="json")
    assert SweepSpec.model_validate(json.loads(json.dumps(plain))) == spec
    path = tmp_path / "again.yaml"
    path.write_text(yaml.safe_dump(plain))
    assert read_spec(path) == spec
    assert SweepSpec.model_validate(dict(spec)) == spec


def test_a_replicate_has_a_seed(small):
    assert parse_spec(small(seed=7, replicates=3)).seeds == [7, 8, 9]


def test_changes_replace_entries_of_the_file(tmp_path, small):
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump(small(trials=3)))
    spec = read_spec(path, name="other", trials=5, seed=None)
    assert (spec.name, spec.trials, spec.seed) == ("other", 5, 0)
    with pytest.raises(BadInputError, match="trials: must be at least 1, got 0"):
        read_spec(path, trials=0)


@pytest.mark.parametrize("text", ["score >= 0.9", "  score>=9e-1 ", "score >= +.9"])
def test_constraints_are_read(text):
    constraint = Constraint.model_validate(parse_constraint(text))
    assert constraint == Constraint(metric="score", relation=">=", bound=0.9)
    assert constraint.violation(0.8) == pytest.approx(0.1)
    assert constraint.violation(0.9) == 0
    assert Constraint(metric="score", relation="<=", bound=0.9).violation(0.8) == pytest.approx(-0.1)


# Variants and suites


VARIANTS = {"vanilla": {"cost_weight": "0.0", "relocation": "none"}, "BIMT": {"move_moments": False}}


def test_variants_are_trials_whose_number_need_not_be_said(small):
    spec = parse_spec(small(search={"steps": 40}, variants=VARIANTS, reference="BIMT", trials=None))
    assert spec.trials == 2
    assert spec.variants == {"vanilla": {"cost_weight": 0.0, "relocation": "none"}, "BIMT": {"move_moments": False}}
    assert spec.searched == ("variant",)
    assert spec.hyperparameters == ("variant", "steps", "cost_weight", "relocation", "move_moments")
    assert SweepSpec.model_validate(json.loads(json.dumps(spec.model_dump(mode="json")))) == spec


def test_without_variants_what_is_searched_tells_trials_apart(small_spec):
    spec = small_spec()
    assert (spec.searched, spec.hyperparameters) == (("cost_weight",), ("cost_weight", "steps"))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"variants": [1]}, "variants: must be a mapping of names to values, got [1]"),
        ({"variants": {"a": 1}}, "variants.a: must be a mapping of hyperparameters to values, got 1"),
        (
            {"variants": {"a": {"cost_weight": {"low": 1, "high": 2}}}},
            "variants.a.cost_weight: must be one value, got {'low': 1, 'high': 2}",
        ),
        ({"variants": {"a": {"cost_weight": -1}}}, "variants.a.cost_weight: must be at least 0, got -1.0"),
        (
            {"variants": VARIANTS, "search": {"cost_weight": {"choices": [1, 2]}}},
            "search must hold fixed values only where there are variants, got cost_weight",
        ),
        ({"variants": VARIANTS, "trials": 3}, "trials must be the number of variants, 2, got 3"),
        ({"variants": VARIANTS, "reference": "L1"}, "reference must be one of the variants, vanilla, BIMT, got 'L1'"),
        ({"reference": "L1"}, "reference must be one of the variants, none, got 'L1'"),
        (
            {"variants": {"a": {"hidden_width": 5}}, "task": "digits"},
            "hidden_width must be a square number where neurons stand on a grid, got 5",
        ),
    ],
)
def test_variants_that_break_a_rule(problems_of, small, changes, line):
    assert problems_of(small(search={"steps": 40}) | {"trials": len(changes.get("variants", "a"))} | changes) == [line]


def suite(small, **changes):
    each = small(name=None, task=None)
    return {"name": "s", "each": each, "sweeps": [{"task": "two_moons"}, {"task": "parity", "replicates": 3}]} | changes


def test_a_suite_is_several_sweeps_with_much_in_common(tmp_path, small):
    path = tmp_path / "suite.yaml"
    path.write_text(yaml.safe_dump(suite(small)))
    specs = read_specs(path)
    assert [(s.name, s.task, s.replicates) for s in specs] == [
        ("s.two_moons", "two_moons", 2),
        ("s.parity", "parity", 3),
    ]
    assert specs[0] == parse_spec(small(name="s.two_moons"))
    assert [s.name for s in read_specs(path, name="t")] == ["t.two_moons", "t.parity"]
    with pytest.raises(BadInputError, match=r"holds 2 sweeps; read_specs reads them all$"):
        read_spec(path)


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({"colour": 1}, ["unknown key 'colour' of a suite, allowed are name, description, each, sweeps"]),
        ({"sweeps": []}, ["a suite must have a name, a list of sweeps, and each of them must be a mapping"]),
        ({"sweeps": [1]}, ["a suite must have a name, a list of sweeps, and each of them must be a mapping"]),
        (
            {"sweeps": [{"task": "parity", "trials": 0}, {}]},
            ["sweeps.0: trials: must be at least 1, got 0", "sweeps.1: task is missing"],
        ),
        (
            {"sweeps": [{"task": "parity"}, {"task": "parity"}]},
            ["the sweeps of a suite must have different names, got twice s.parity"],
        ),
    ],
)
def test_a_suite_that_breaks_a_rule(tmp_path, small, changes, lines):
    path = tmp_path / "suite.yaml"
    path.write_text(yaml.safe_dump(suite(small, **changes)))
    with pytest.raises(BadInputError) as caught:
        read_specs(path)
    assert [line.removeprefix(f"{path}: ") for line in caught.value.problems] == lines


def test_the_papers_ablation_is_six_methods_on_all_its_tasks():
    specs = read_specs(preset_path("paper_ablation"))
    assert [spec.task for spec in specs][-2:] == ["in_context", "modular_addition"]
    assert len(specs) == 8
    for spec in specs:
        assert list(spec.variants) == ["vanilla", "L1", "L1+Local", "L1+Swap", "BIMT", "BIMT, assignment"]
        assert (spec.reference, spec.replicates, spec.trials) == ("BIMT", 16, 6)


@pytest.mark.parametrize("name", ["a", "A-1_b.c", "0", "_x", "x" * 100])
def test_plain_names_are_names(small, name):
    assert parse_spec(small(name=name)).name == name


# What is wrong: one line each, that says where, the rule and the value


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
            {"objectives": [{"metric": "score", "direction": "maximize", "weight": 2}]},
            "unknown key 'objectives.0.weight', allowed are metric, direction",
        ),
        (
            {"constraints": [{"metric": "score", "relation": ">=", "bound": 1, "soft": True}]},
            "unknown key 'constraints.0.soft', allowed are metric, relation, bound",
        ),
        ({"resources": {"ram": 1}}, "unknown key 'resources.ram', allowed are cpus, gpus, compile"),
    ],
)
def test_unknown_keys_are_told_with_the_allowed_ones(problems_of, small, changes, line):
    assert problems_of(small() | changes) == [line]


@pytest.mark.parametrize("name", ["name", "task", "objectives", "trials"])
def test_what_has_no_default_is_required(problems_of, small, name):
    assert problems_of(small(**{name: None})) == [f"{name} is missing"]


ONE_OF_METRICS = f"must be one of {', '.join(METRICS)}, got 'beauty'"
SCORE = {"metric": "score", "direction": "maximize"}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"objectives": [{"metric": "beauty", "direction": "maximize"}]}, f"objectives.0.metric: {ONE_OF_METRICS}"),
        (
            {"objectives": [{"metric": "score", "direction": "up"}]},
            "objectives.0.direction: must be 'minimize' or 'maximize', got 'up'",
        ),
        ({"objectives": []}, "objectives: must have at least 1 entry, got []"),
        (
            {"objectives": [SCORE, SCORE | {"direction": "minimize"}]},
            "objectives: must be different metrics, got score, score",
        ),
        (
            {"objectives": ["score"]},
            "objectives.0: must be a mapping with the keys metric, direction, got 'score'",
        ),
        ({"objectives": "score"}, "objectives: must be a list, got 'score'"),
        ({"constraints": ["score > 0.9"]}, "constraints.0: must read like 'score >= 0.9', got 'score > 0.9'"),
        ({"constraints": ["0.9 <= score"]}, "constraints.0: must read like 'score >= 0.9', got '0.9 <= score'"),
        ({"constraints": [0.9]}, "constraints.0: must read like 'score >= 0.9', got 0.9"),
        ({"constraints": ["score >= 1e"]}, "constraints.0.bound: must be a finite number, got '1e'"),
        ({"constraints": ["score >= 1e999"]}, "constraints.0.bound: must be a finite number, got '1e999'"),
        ({"constraints": ["beauty >= 1"]}, f"constraints.0.metric: {ONE_OF_METRICS}"),
        ({"constraints": "score >= 1"}, "constraints: must be a list, got 'score >= 1'"),
        ({"task": "cifar"}, f"task: must be one of {', '.join(sorted(TASKS))} or module:function, got 'cifar'"),
        ({"task": 3}, "task: must be text, got 3"),
        ({"trials": 0}, "trials: must be at least 1, got 0"),
        ({"trials": True}, "trials: must be a whole number, got True"),
        ({"trials": 2.5}, "trials: must be a whole number, got 2.5"),
        ({"trials": "many"}, "trials: must be a whole number, got 'many'"),
        ({"replicates": 0}, "replicates: must be at least 1, got 0"),
        ({"cohort_size": 0}, "cohort_size: must be a whole number of at least 1, or 'auto', got 0"),
        ({"concurrent_cohorts": 0}, "concurrent_cohorts: must be at least 1, got 0"),
        ({"evaluations": 0}, "evaluations: must be at least 1, got 0"),
        ({"max_failed": 0}, "max_failed: must be at least 1, got 0"),
        ({"seed": -1}, "seed: must be at least 0, got -1"),
        ({"seed": 2**31}, "seed: must be below 2147483648, got 2147483648"),
        ({"data_seed": -1}, "data_seed: must be at least 0, got -1"),
        ({"data_seed": 2**32}, "data_seed: must be below 4294967296, got 4294967296"),
        ({"time_budget_s": 0}, "time_budget_s: must be above 0, got 0"),
        ({"time_budget_s": "1h"}, "time_budget_s: must be a finite number, got '1h'"),
        ({"sampler": "grid"}, "sampler: must be 'tpe', 'nsga2' or 'random', got 'grid'"),
        ({"resources": {"cpus": 0}}, "resources.cpus: must be at least 1, got 0"),
        ({"resources": {"gpus": -1}}, "resources.gpus: must be at least 0, got -1"),
        ({"resources": 4}, "resources: must be a mapping with the keys cpus, gpus, compile, got 4"),
        ({"search": [1]}, "search: must be a mapping of names to values, got [1]"),
        ({"description": 4}, "description: must be text, got 4"),
    ],
)
def test_an_entry_that_breaks_a_rule(problems_of, small, changes, line):
    assert problems_of(small(**changes)) == [line]


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", "", "-x", "a b", "x" * 101, "a\n", "ü", "."])
def test_a_name_that_is_no_file_name(problems_of, small, name):
    rule = "must be 1 to 100 letters, digits, '-', '_' or '.', not starting with '.' or '-'"
    assert problems_of(small(name=name)) == [f"name: {rule}, got {name!r}"]


def test_all_problems_of_a_file_are_told_at_once(problems_of):
    told = problems_of(
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
            "constraints": ["score", "score >= 1"],
            "replicates": 0,
            "resources": {"cpus": 0, "ram": 1},
        }
    )
    places = [line.removeprefix("unknown key ").split()[0].strip("':,") for line in told]
    assert sorted(places) == [
        "colour",
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
        "task",
        "trials",
    ]


# Files


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"name: [", "is not YAML: while parsing"),
        (b"a: b: c", "is not YAML: mapping values are not allowed here"),
        (b"\xff\xfe\x00", "is not YAML: it is not text in UTF-8"),
        (b"- name", "must hold a mapping of names to values, got list"),
        (b"", "must hold a mapping of names to values, got NoneType"),
        (b"two_moons", "must hold a mapping of names to values, got str"),
    ],
)
def test_a_file_that_is_no_mapping(tmp_path, content, told):
    path = tmp_path / "no sweep.yaml"
    path.write_bytes(content)
    with pytest.raises(BadInputError) as caught:
        read_spec(path)
    (line,) = caught.value.problems
    assert line.startswith(f"{path} {told}")
    assert "\n" not in line


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(BadInputError, match=f"^cannot read {tmp_path}/none.yaml: No such file or directory$"):
        read_spec(tmp_path / "none.yaml")
    with pytest.raises(BadInputError, match=f"^cannot read {tmp_path}: Is a directory$"):
        read_spec(tmp_path)


@pytest.mark.parametrize("name", ["none", "../spec", ""])
def test_a_preset_that_is_not_there(name):
    with pytest.raises(BadInputError, match="is neither a file nor a preset; presets are compositionality, delayed_"):
        preset_path(name)


# Rules that depend on the task


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"task": "digits", "search": {"hidden_width": 50}},
            "hidden_width must be a square number where neurons stand on a grid, got 50",
        ),
        (
            {"task": "digits", "search": {"hidden_width": {"low": 16, "high": 36}}},
            "hidden_width must be a square number where neurons stand on a grid, got 17",
        ),
        (
            {"search": {"batch_size": 201}},
            "batch_size must be at most the 200 training rows of two_moons, got 201",
        ),
        (
            {
                "task": "permutation_s4",
                "dtype": "float32",
                "search": {"relocation": {"choices": ["greedy", "assignment"]}, "move_moments": False},
            },
            "dtype must be float64 for permutation_s4 in the published mode (relocation greedy, move_moments false),"
            " got 'float32'",
        ),
        ({"dtype": "float16"}, "dtype: must be 'float32' or 'float64', got 'float16'"),
        ({"resources": {"compile": "yes"}}, "resources.compile: must be 'auto', 'always' or 'never', got 'yes'"),
    ],
)
def test_a_rule_that_depends_on_the_task(problems_of, small, changes, line):
    assert problems_of(small(**changes)) == [line]


def test_float32_is_fine_where_relocation_is_ours(small_spec):
    assert small_spec(task="permutation_s4", dtype="float32").dtype == "float32"
    assert small_spec(task="two_moons", dtype="float64", search={"relocation": "greedy"}).dtype == "float64"
