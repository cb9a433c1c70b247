import json
from dataclasses import replace

import pytest
import torch
from support.cohorts import THREE, cohort, train_all

from bimt_core import TASKS, load_task
from sweeps.spec.recipe import recipe
from sweeps.spec.sweep import Cohort, SavedCheckpoint, SweepSpec, parse_spec

SCORE = {"metric": "score", "direction": "maximize"}
VARIANTS = {"vanilla": {"cost_weight": "0.0", "relocation": "none"}, "BIMT": {"move_moments": False}}
EVERYTHING = {
    "search": {
        "cost_weight": {"low": 1e-4, "high": 1e-2, "log": True},
        "hidden_width": {"low": 4, "high": 64, "log": True},
        "relocation": {"choices": ["none", "greedy"]},
        "steps": 2000,
        "cost_phases": [[0, 1], [0.25, 10]],
    },
    "constraints": ["score >= 0.9", "active_weights<=1e2"],
    "resources": {"cpus": 2},
}


def through_json(data):
    return json.loads(json.dumps(data))


@pytest.mark.parametrize("changes", [EVERYTHING, {"search": {}, "variants": VARIANTS, "trials": None}])
def test_a_spec_survives_json(small_spec, changes):
    spec = small_spec(**changes)
    assert SweepSpec.model_validate(through_json(spec.model_dump(mode="json"))) == spec
    assert SweepSpec.model_validate(dict(spec)) == spec


@pytest.mark.parametrize("name", ["a", "A-1_b.c", "0", "_x", "x" * 100])
def test_plain_names_are_accepted(small_spec, name):
    assert small_spec(name=name).name == name


# Derived values


def test_each_replicate_has_a_seed(small_spec):
    assert small_spec(seed=7, replicates=3).seeds == [7, 8, 9]


def test_searched_hyperparameters_distinguish_trials_without_variants(small_spec):
    spec = small_spec()
    assert (spec.searched, spec.hyperparameters) == (("cost_weight",), ("cost_weight", "steps"))
    assert spec.fixed == {"steps": 40}


def test_variants_are_trials_whose_number_need_not_be_given(small_spec):
    spec = small_spec(search={"steps": 40}, variants=VARIANTS, reference="BIMT", trials=None)
    assert spec.trials == 2
    assert spec.variants == {"vanilla": {"cost_weight": 0.0, "relocation": "none"}, "BIMT": {"move_moments": False}}
    assert spec.searched == ("variant",)
    assert spec.hyperparameters == ("variant", "steps", "cost_weight", "relocation", "move_moments")


def test_samples_are_the_ends_choices_and_values_of_variants(small_spec):
    spec = small_spec(**EVERYTHING)
    assert spec.samples("cost_weight") == (1e-4, 1e-2)
    assert spec.samples("hidden_width") == (4, 64, 5)
    assert spec.samples("relocation") == ("none", "greedy")
    assert spec.samples("steps") == (2000,)
    assert spec.samples("batch_size") == ()
    compared = small_spec(search={"steps": 40}, variants={"a": {"steps": 30}, "b": {}}, trials=None)
    assert compared.samples("steps") == (40, 30)


@pytest.mark.parametrize(
    ("changes", "largest"),
    [
        ({"search": {"steps": 40}}, {"steps": 40}),
        ({"search": {"steps": 40, "hidden_width": 9}}, {"steps": 40, "hidden_width": 9}),
        (
            {"search": {"hidden_width": {"low": 4, "high": 64}, "hidden_layers": {"choices": [3, 1]}}},
            {"hidden_width": 64, "hidden_layers": 3},
        ),
        (
            {
                "search": {"hidden_width": 5},
                "variants": {"a": {"hidden_width": 8}, "b": {"cost_weight": 9}},
                "trials": None,
            },
            {"hidden_width": 8},
        ),
    ],
)
def test_the_largest_network_of_the_search_space(small_spec, changes, largest):
    assert small_spec(**changes).largest_params == largest


def test_cohorts_train_on_a_gpu_where_they_get_a_part_of_one(small_spec):
    assert small_spec().device == "cpu"
    assert small_spec(resources={"gpus": 0.25}).device == "cuda"


def test_the_task_has_the_published_data_unless_a_seed_is_given(small_spec):
    published = load_task("two_moons")
    assert torch.equal(small_spec().load_task().inputs, published.inputs)
    task = small_spec(data_seed=5).load_task()
    assert torch.equal(task.inputs, load_task("two_moons", 5).inputs)
    assert not torch.equal(task.inputs, published.inputs)


def test_the_task_has_the_precision_of_the_sweep(small_spec):
    assert small_spec().load_task().dtype == load_task("two_moons").dtype == torch.float32
    assert small_spec(dtype="float64").load_task().dtype == torch.float64
    assert small_spec(task="permutation_s4", dtype="float32").load_task().dtype == torch.float32


def test_a_recipe_is_that_of_the_sweeps_task(small_spec):
    params = {"cost_weight": 0.5, "hidden_width": 7, "variant": "a name"}
    assert small_spec(task="parity").recipe(params) == recipe(load_task("parity"), params)
    with pytest.raises(ValueError, match=r"^steps must be at least 1, got 0$"):
        small_spec().recipe({"steps": 0})


# Cohorts


def test_a_cohort_has_the_recipes_of_its_members(small_spec):
    spec = small_spec(replicates=3)
    members = {4: {"cost_weight": 0.1}, 2: {"cost_weight": 0.2}}
    quick = spec.cohort(members)
    assert quick == Cohort(spec, members, compiled=False, saved=None)
    assert quick.recipes == [spec.recipe(params) for params in members.values()]
    assert quick.n_networks == 6
    saved = SavedCheckpoint("s3://bucket/x", 20, (4, 2))
    assert spec.cohort(members, compiled=True, saved=saved) == Cohort(spec, members, compiled=True, saved=saved)


@pytest.mark.parametrize("saved", [None, SavedCheckpoint("s3://bucket/x", 20, (5, 6, 7))])
@pytest.mark.parametrize("convert", [dict, through_json])
def test_a_cohort_is_restored_from_plain_data(convert, saved):
    original = replace(THREE, compiled=True, saved=saved)
    restored = Cohort.from_dict(convert(original.to_dict()))
    assert restored == original
    assert list(restored.members) == [10, 11, 12]


def test_a_restored_cohort_trains_the_same():
    saved = SavedCheckpoint("nowhere", 20, (5,))
    original = replace(cohort({"cost_phases": [[0.0, 1.0], [0.5, 2.0]]}, dtype="float64", evaluations=1), saved=saved)
    restored = Cohort.from_dict(through_json(original.to_dict()))
    (one,), (other,) = train_all(original), train_all(restored)
    assert other.metrics == one.metrics
    assert other.files == one.files
    assert list(other.files) == [10]


# Problems: one line each


@pytest.mark.parametrize("name", ["name", "task", "objectives", "trials"])
def test_entries_without_a_default_are_required(problems_of, small, name):
    assert problems_of(small(**{name: None})) == [f"{name} is missing"]


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", "", "-x", "a b", "x" * 101, "a\n", "ü", "."])
def test_a_name_that_is_not_a_file_name_is_refused(problems_of, small, name):
    rule = "must be 1 to 100 letters, digits, '-', '_' or '.', not starting with '.' or '-'"
    assert problems_of(small(name=name)) == [f"name: {rule}, got {name!r}"]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"objectives": []}, "objectives: must have at least 1 entry, got []"),
        (
            {"objectives": [SCORE, SCORE | {"direction": "minimize"}]},
            "objectives: must be different metrics, got score, score",
        ),
        ({"objectives": "score"}, "objectives: must be a list, got 'score'"),
        ({"constraints": "score >= 1"}, "constraints: must be a list, got 'score >= 1'"),
        ({"task": "cifar"}, f"task: must be one of {', '.join(sorted(TASKS))} or module:function, got 'cifar'"),
        ({"task": 3}, "task: must be text, got 3"),
        ({"trials": 0}, "trials: must be at least 1, got 0"),
        ({"trials": True}, "trials: must be a whole number, got True"),
        ({"trials": 2.5}, "trials: must be a whole number, got 2.5"),
        ({"trials": "many"}, "trials: must be a whole number, got 'many'"),
        ({"replicates": 0}, "replicates: must be at least 1, got 0"),
        ({"cohort_size": 0}, "cohort_size: must be a whole number of at least 1, or 'auto', got 0"),
        ({"cohort_size": True}, "cohort_size: must be a whole number of at least 1, or 'auto', got True"),
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
        ({"dtype": "float16"}, "dtype: must be 'float32' or 'float64', got 'float16'"),
        ({"search": [1]}, "search: must be a mapping of names to values, got [1]"),
        ({"description": 4}, "description: must be text, got 4"),
    ],
)
def test_an_entry_that_breaks_a_rule(problems_of, small, changes, line):
    assert problems_of(small(**changes)) == [line]


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
    ],
)
def test_a_rule_that_depends_on_the_task(problems_of, small, changes, line):
    assert problems_of(small(**changes)) == [line]


def test_float32_is_accepted_outside_of_the_published_mode(small_spec):
    assert small_spec(task="permutation_s4", dtype="float32").dtype == "float32"
    assert small_spec(task="two_moons", dtype="float64", search={"relocation": "greedy"}).dtype == "float64"


def test_every_problem_starts_with_the_source(small):
    with pytest.raises(ValueError, match=r"^here: trials: must be at least 1, got 0$"):
        parse_spec(small(trials=0), source="here")
