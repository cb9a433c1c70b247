import pytest
import torch
import yaml

from sweeps.results.configurations import format_sweep_file
from sweeps.spec.sweep import parse_spec
from sweeps.study.trial import Confirmation, Trial

PARAMS = {
    "cost_weight": 0.0123456789,
    "relocation": "greedy",
    "hidden_width": 7,
    "cost_phases": ((0, 1), (0.5, 2)),
    "steps": 40,
}
VALUES, STDERR = {"val_score": 0.987654, "connection_cost": 3.0}, {"val_score": 0.012, "connection_cost": 0.1}
CONFIRMED = Confirmation(
    (4, 5, 6),
    {"test_score": [0.94, 0.95, 0.96], "connection_cost": [3.1, 3.2, 3.3]},
    {},
    {"test_score": 0.95, "connection_cost": 3.2},
    {},
)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"data_seed": 7, "dtype": "float32", "seed": 3, "replicates": 5},
        {"published": True},
        {"validation_rows": 50},
    ],
)
def test_the_file_trains_the_same_networks(small_spec, changes):
    spec = small_spec(search={"cost_weight": {"low": 1e-4, "high": 1.0}}, cohort_size=2, **changes)
    again = parse_spec(
        yaml.safe_load(format_sweep_file(Trial(4, "COMPLETE", PARAMS, values=VALUES, stderr=STDERR), spec))
    )
    assert again.recipe(again.fixed) == spec.recipe(PARAMS)
    assert (again.trials, again.searched, again.seeds) == (1, (), spec.seeds)
    assert (again.data_seed, again.dtype, again.objectives) == (spec.data_seed, spec.dtype, spec.objectives)
    task, expected = again.load_task(), spec.load_task()
    assert torch.equal(task.validation_inputs, expected.validation_inputs)
    assert torch.equal(task.test_inputs, expected.test_inputs)


def test_the_file_names_the_trial_and_its_results(small_spec):
    text = format_sweep_file(Trial(4, "COMPLETE", PARAMS, values=VALUES, stderr=STDERR), small_spec())
    assert text.splitlines()[:2] == ["# searched: val_score 0.9877 ±0.01, connection_cost 3 ±0.1", "# not confirmed"]
    assert yaml.safe_load(text)["name"] == "small-trial-4"


def test_a_variant_becomes_its_hyperparameters(small_spec):
    variants = {"vanilla": {"relocation": "none"}, "BIMT": {"relocation": "greedy"}}
    spec = small_spec(search={"steps": 40}, variants=variants, trials=None)
    params = {"variant": "BIMT", "steps": 40, "relocation": "greedy"}
    data = yaml.safe_load(format_sweep_file(Trial(1, "COMPLETE", params, values=VALUES, stderr=STDERR), spec))
    assert data["search"] == {"steps": 40, "relocation": "greedy"}
    assert parse_spec(data).variants == {}


def test_the_file_has_confirmed_values(small_spec):
    trial = Trial(4, "COMPLETE", PARAMS, values=VALUES, stderr=STDERR, confirmations={None: CONFIRMED})
    line = format_sweep_file(trial, small_spec()).splitlines()[1]
    assert line.startswith("# confirmed: test_score 0.95 [0.9")
    assert ", connection_cost 3.2 [2.9" in line
