import pytest

from sweeps.study.trial import Trial
from sweeps.tracking.naming import name_run, name_trial, name_value

SEARCH = Trial(7, "COMPLETE", {})
BASELINE = Trial(3, "COMPLETE", {}, role="baseline")


def test_the_baseline_is_named_by_its_purpose():
    assert (name_trial(SEARCH), name_trial(BASELINE)) == ("trial 007", "published setting")


@pytest.mark.parametrize(
    ("trial", "of", "name"),
    [
        (SEARCH, None, "trial 007"),
        (BASELINE, None, "baseline (published setting)"),
        (Trial(9, "RUNNING", {}, role="replicates", of=7), SEARCH, "replicates 007"),
        (Trial(9, "RUNNING", {}, role="confirmation", of=7), SEARCH, "confirmation 007"),
        (
            Trial(9, "RUNNING", {}, role="confirmation", of=3, data_seed=5),
            BASELINE,
            "confirmation of baseline, data seed 5",
        ),
    ],
)
def test_the_run_of_added_networks_is_named_after_their_trial(trial, of, name):
    assert name_run(trial, of) == name


def test_a_value_names_its_aggregate_unless_it_is_the_mean(small_spec):
    objectives = [
        {"metric": "val_loss", "direction": "minimize", "aggregate": "median"},
        {"metric": "connection_cost", "direction": "minimize"},
    ]
    spec = small_spec(objectives=objectives)
    names = [name_value(metric, spec) for metric in ("val_loss", "test_loss", "connection_cost", "val_score")]
    assert names == ["val_loss (median)", "test_loss (median)", "connection_cost", "val_score"]
