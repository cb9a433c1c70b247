import json

import pytest
import torch

from bimt_core import TASKS, load_task
from sweeps.spec.recipe import recipe
from sweeps.spec.sweep import MAX_SEED, SweepSpec, parse_spec

SCORE = {"metric": "val_score", "direction": "maximize"}
VARIANTS = {"vanilla": {"cost_weight": "0.0", "relocation": "none"}, "BIMT": {"move_moments": False}}
EVERYTHING = {
    "search": {
        "cost_weight": {"low": 1e-4, "high": 1e-2, "log": True},
        "hidden_width": {"low": 4, "high": 64, "log": True},
        "relocation": {"choices": ["none", "greedy"]},
        "steps": 2000,
        "cost_phases": [[0, 1], [0.25, 10]],
    },
    "constraints": ["val_score >= 0.9", "active_weights<=1e2"],
    "start_from": [{"cost_weight": 2e-3, "hidden_width": 5, "relocation": "greedy"}],
    "max_replicates": 6,
    "confirm": {"replicates": 8},
    "stop_when": {"trials": 2},
    "validation_rows": 100,
    "resources": {"cpus": 2},
}
TWO = {"cost_weight": {"low": 1e-4, "high": 1e-2, "log": True}, "hidden_width": {"low": 4, "high": 8, "step": 2}}


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
    assert small_spec(seed=7, replicates=3).seeds == (7, 8, 9)


def test_a_confirmation_has_seeds_that_no_network_of_the_search_has(small_spec):
    assert small_spec(seed=7, replicates=3).confirmation_seeds(4) == (10, 11, 12, 13)
    raced = small_spec(seed=7, replicates=3, max_replicates=8)
    assert raced.most_replicates == 8
    assert raced.confirmation_seeds(2) == (15, 16)
    assert small_spec(seed=MAX_SEED - 6, confirm={"replicates": 4}).confirmation_seeds(4)[-1] == MAX_SEED - 1


def test_the_baseline_is_the_published_setting_with_the_fixed_values(small_spec):
    task = load_task("two_moons")
    search = {"cost_weight": {"low": 1e-4, "high": 1e-3}, "hidden_width": {"low": 4, "high": 9}, "steps": 40}
    spec = small_spec(search=search)
    assert spec.baseline_params == {
        "cost_weight": task.per_network.cost_weight,
        "relocation": "greedy",
        "move_moments": False,
        "steps": 40,
    }
    expected = recipe(task, {"relocation": "greedy", "move_moments": False, "steps": 40})
    assert spec.recipe(spec.baseline_params) == expected
    assert (expected.network, expected.per_network) == (task.network, task.per_network)
    fixed = small_spec(search={"relocation": "assignment", "move_moments": True, "hidden_width": 5})
    assert fixed.baseline_params == {"relocation": "assignment", "move_moments": True, "hidden_width": 5}


def test_test_metrics_follow_the_objective_on_validation_rows(small_spec):
    objectives = [
        {"metric": "val_loss", "direction": "minimize", "aggregate": "best_quarter"},
        {"metric": "modularity", "direction": "minimize", "aggregate": "median"},
    ]
    spec = small_spec(objectives=objectives, replicates=4)
    assert spec.aggregate_of("val_loss") == spec.aggregate_of("test_loss") == ("best_quarter", "minimize")
    assert spec.aggregate_of("modularity") == ("median", "minimize")
    assert spec.aggregate_of("test_score") == spec.aggregate_of("val_score") == ("mean", "maximize")
    assert spec.aggregate_of("connection_cost") == ("mean", "minimize")
    published = small_spec(objectives=[{"metric": "test_loss", "direction": "minimize"}], published=True)
    assert published.aggregate_of("test_loss") == ("mean", "minimize")


def test_configurations_are_completed_with_published_values(small_spec):
    spec = small_spec(search=TWO)
    completed = spec.complete_params({"hidden_width": 6}, source="here")
    assert completed == {"cost_weight": load_task("two_moons").per_network.cost_weight, "hidden_width": 6}
    assert spec.complete_params({"hidden_width": 4, "cost_weight": 1e-4}, source="here")["cost_weight"] == 1e-4


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


@pytest.mark.parametrize("data_seed", [None, 5])
def test_the_published_mode_has_the_rows_of_the_paper(small_spec, data_seed):
    spec = small_spec(published=True, data_seed=data_seed)
    expected = load_task("two_moons", data_seed, published=True)
    for name in ("inputs", "validation_inputs", "test_inputs"):
        assert torch.equal(getattr(spec.load_task(), name), getattr(expected, name))
    assert not torch.equal(spec.load_task().test_inputs, small_spec(data_seed=data_seed).load_task().test_inputs)


def test_the_task_has_other_data_where_a_confirmation_asks_for_them(small_spec):
    for spec in (small_spec(), small_spec(data_seed=5), small_spec(validation_rows=100)):
        other = spec.load_task(6)
        assert torch.equal(other.inputs, load_task("two_moons", 6).inputs)
        assert len(other.validation_inputs) == len(spec.load_task().validation_inputs)


def test_the_number_of_validation_rows_may_be_chosen(small_spec):
    task = small_spec(validation_rows=100, dtype="float64").load_task()
    assert (len(task.validation_inputs), len(task.test_inputs)) == (100, 3900)
    assert task.dtype == task.test_inputs.dtype == torch.float64


def test_the_task_has_the_precision_of_the_sweep(small_spec):
    assert small_spec().load_task().dtype == load_task("two_moons").dtype == torch.float32
    assert small_spec(dtype="float64").load_task().dtype == torch.float64
    assert small_spec(task="permutation_s4", dtype="float32").load_task().dtype == torch.float32


def test_a_recipe_is_that_of_the_sweeps_task(small_spec):
    params = {"cost_weight": 0.5, "hidden_width": 7, "variant": "a name"}
    assert small_spec(task="parity").recipe(params) == recipe(load_task("parity"), params)
    with pytest.raises(ValueError, match=r"^steps must be at least 1, got 0$"):
        small_spec().recipe({"steps": 0})


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
            "objectives: must be different metrics, got val_score, val_score",
        ),
        ({"objectives": "val_score"}, "objectives: must be a list, got 'val_score'"),
        ({"constraints": "val_score >= 1"}, "constraints: must be a list, got 'val_score >= 1'"),
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
        ({"sampler": "grid"}, "sampler: must be 'auto', 'gp', 'tpe', 'nsga2', 'random' or 'qmc', got 'grid'"),
        ({"dtype": "float16"}, "dtype: must be 'float32' or 'float64', got 'float16'"),
        ({"search": [1]}, "search: must be a mapping of names to values, got [1]"),
        ({"description": 4}, "description: must be text, got 4"),
        ({"published": "yes"}, "published: must be true or false, got 'yes'"),
        ({"max_replicates": 0}, "max_replicates: must be at least 1, got 0"),
        ({"validation_rows": 1}, "validation_rows: must be at least 2, got 1"),
        ({"validation_rows": 2.5}, "validation_rows: must be a whole number, got 2.5"),
    ],
)
def test_an_entry_that_breaks_a_rule(problems_of, small, changes, line):
    assert problems_of(small(**changes)) == [line]


BY_TEST_ROWS = "must not use test rows, because a choice by them makes their values too good: use"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"objectives": [SCORE, {"metric": "test_loss", "direction": "minimize"}]},
            f"objectives {BY_TEST_ROWS} val_loss, or published: true, got test_loss",
        ),
        (
            {"objectives": [{"metric": "test_score", "direction": "maximize"}]},
            f"objectives {BY_TEST_ROWS} val_score, or published: true, got test_score",
        ),
        (
            {"constraints": ["val_score >= 0.9", "test_score >= 0.9"]},
            f"constraints {BY_TEST_ROWS} val_score, or published: true, got test_score",
        ),
    ],
)
def test_nothing_is_chosen_by_test_rows_unless_they_are_the_papers(problems_of, small, small_spec, changes, problem):
    assert problems_of(small(**changes)) == [problem]
    assert small_spec(**changes, published=True).published


def with_aggregate(aggregate, **changes):
    return {"objectives": [SCORE | {"aggregate": aggregate}], **changes}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            with_aggregate("median", replicates=1),
            "replicates must be at least 2 for the aggregate median of val_score, got 1",
        ),
        (
            with_aggregate("best_quarter", replicates=3),
            "replicates must be at least 4 for the aggregate best_quarter of val_score, got 3",
        ),
        (
            with_aggregate("best_quarter", replicates=4, confirm={"replicates": 3}),
            "confirm needs at least 4 networks for the aggregate best_quarter of val_score, got 3",
        ),
        ({"max_replicates": 1}, "max_replicates must be at least replicates, 2, got 1"),
        (
            {"replicates": 1, "max_replicates": 4},
            "replicates must be at least 2 with max_replicates, whose rule needs an interval, got 1",
        ),
        (
            {"confirm": {"replicates": 4}, "seed": MAX_SEED - 5},
            "confirm needs seeds from 2147483645, which the search does not use, to below 2147483648:"
            " replicates must be at most 3, got 4",
        ),
        (
            {"confirm": {"replicates": 4}, "max_replicates": 8, "seed": MAX_SEED - 11},
            "confirm needs seeds from 2147483645, which the search does not use, to below 2147483648:"
            " replicates must be at most 3, got 4",
        ),
        (
            {"stop_when": {"trials": 2}},
            "stop_when needs confirm and at least two objectives: it looks at the confirmed hypervolume",
        ),
        (
            {"stop_when": {"trials": 2}, "confirm": {}, "objectives": [SCORE]},
            "stop_when needs confirm and at least two objectives: it looks at the confirmed hypervolume",
        ),
    ],
)
def test_numbers_of_networks_that_break_a_rule(problems_of, small, changes, problem):
    assert problems_of(small(**changes)) == [problem]


@pytest.mark.parametrize(
    "changes",
    [
        with_aggregate("median"),
        with_aggregate("best_quarter", replicates=4),
        {"replicates": 1},
        {"replicates": 1, "max_replicates": 1},
        {"max_replicates": 3},
        {"seed": MAX_SEED - 1},
        {"confirm": {"replicates": 4}, "seed": MAX_SEED - 6},
    ],
)
def test_numbers_of_networks_at_the_limit_are_accepted(small_spec, changes):
    small_spec(**changes)


@pytest.mark.parametrize(
    ("start_from", "problem"),
    [
        (3, "start_from: must be a list of configurations or the name of a sweep, got 3"),
        (
            {"cost_weight": 1},
            "start_from: must be a list of configurations or the name of a sweep, got {'cost_weight': 1}",
        ),
        ([3], "start_from.0: must be a mapping of hyperparameters to values, got 3"),
        ([{"hidden_width": 4}, {"cost_weight": -1}], "start_from.1.cost_weight: must be at least 0, got -1.0"),
        (
            [{"cost_weight": {"low": 1, "high": 2}}],
            "start_from.0.cost_weight: must be one value, got {'low': 1, 'high': 2}",
        ),
        (
            [{"hidden_width": 4}, {"hidden_width": 4, "weight_factor": 1, "steps": 9}],
            "start_from.1 must set searched hyperparameters, cost_weight, hidden_width, got weight_factor, steps",
        ),
        ([{"cost_weight": 1, "hidden_width": 4}], "start_from.0: cost_weight must be in 0.0001 to 0.01, got 1.0"),
        ([{"hidden_width": 5}], "start_from.0: hidden_width must be in 4 to 8 in steps of 2, got 5"),
        ([{}], "start_from.0 must set hidden_width, whose published value is not one number"),
        (
            "../x",
            "start_from: must be 1 to 100 letters, digits, '-', '_' or '.', not starting with '.' or '-', got '../x'",
        ),
    ],
)
def test_known_starts_that_break_a_rule(problems_of, small, start_from, problem):
    assert problems_of(small(search=TWO, start_from=start_from)) == [problem]


def test_a_known_start_with_an_unknown_name_is_refused_with_the_known_names(problems_of, small):
    (line,) = problems_of(small(start_from=[{"cost_weigt": 1}]))
    assert line.startswith("start_from.0.cost_weigt: unknown hyperparameter, allowed are cost_weight, weight_factor, ")


def test_a_published_value_outside_of_the_search_space_is_named(problems_of, small):
    search = TWO | {"cost_weight": {"choices": [1, 2]}}
    assert problems_of(small(search=search, start_from=[{"hidden_width": 4}])) == [
        "start_from.0: cost_weight must be in 1.0, 2.0, got 0.001 (the published value)"
    ]


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
        (
            {"variants": VARIANTS, "confirm": {}, "max_replicates": 4, "start_from": "another"},
            "start_from, max_replicates, confirm cannot be used where there are variants, which are not searched",
        ),
        (
            {"variants": VARIANTS, "confirm": {}, "stop_when": {"trials": 2}},
            "confirm, stop_when cannot be used where there are variants, which are not searched",
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
        ({"validation_rows": 3999}, "two_moons must have at least 2 test rows, whose error is measured, got 1"),
        ({"validation_rows": 4000}, "validation_rows must be below the 4000 rows that two_moons holds out, got 4000"),
        (
            {"task": "permutation_s4", "validation_rows": 116},
            "validation_rows must be below the 116 rows that permutation_s4 holds out, got 116",
        ),
        (
            {"validation_rows": 100, "published": True},
            "validation_rows cannot be used with published: true, which has the paper's rows",
        ),
        (
            {"task": "bimt_core.tasks.boolean:parity", "published": True},
            f"published is for the tasks {', '.join(sorted(TASKS))} only, got task 'bimt_core.tasks.boolean:parity'",
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
