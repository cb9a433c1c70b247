import pytest
from support.example_sweeps import COST, DOMINATED, FRONT, SCORE, create_sweep, example_spec

from sweeps.study.confirmation import judge_all_confirmed
from sweeps.study.gains import choose_gains, compare_with_baseline, find_baseline, find_confirmed_baseline
from sweeps.study.group_comparison import compare_groups

RESULTS = [*FRONT, DOMINATED[0]]
BASELINE = (0.91, 25.0)  # trials 0 to 3 are the front; 1 is better in both, 2 is only cheaper


@pytest.fixture
def confirm(tmp_path, small_spec):
    """Creates a sweep and returns its confirmed trials, its spec and all trials."""

    def create(confirmed, baseline=BASELINE, **changes):
        sweep = create_sweep(
            tmp_path, example_spec(small_spec, **changes), RESULTS, baseline=baseline, confirmed=confirmed
        )
        trials = sweep._study.trials()
        return judge_all_confirmed(trials, sweep.spec).get(None, []), sweep.spec, trials

    return create


def test_trials_are_compared_with_the_baseline_on_confirmed_networks(confirm):
    trials, spec, _ = confirm({None: (0.9, 24.0), 1: (0.92, 12.0), 3: (0.5, 1.0)})
    found = compare_with_baseline(trials, spec)
    assert sorted(found) == [1, 3]
    baseline, one, _ = trials
    assert found[1]["val_score"] == compare_groups(
        one.confirmation.networks["test_score"], baseline.confirmation.networks["test_score"], "maximize"
    )
    assert found[1]["connection_cost"].ratio == pytest.approx(0.5)
    assert found[1]["connection_cost"].low < 0.5 < found[1]["connection_cost"].high
    assert found[3]["val_score"].ratio == pytest.approx(0.5 / 0.9)


def test_the_gain_is_chosen_by_searched_values_at_no_loss(confirm):
    trials, spec, _ = confirm({None: (0.9, 24.0), 0: (0.99, 30.0), 1: (0.5, 99.0), 2: (0.99, 1.0), 3: (0.99, 1.0)})
    chosen = choose_gains(trials, spec)
    assert {metric: one.trial.number for metric, one in chosen.items()} == {"val_score": 1, "connection_cost": 1}


def test_with_one_objective_the_best_is_chosen(confirm):
    trials, spec, _ = confirm({None: (0.9, 24.0), 0: (0.9, 24.0)}, objectives=[SCORE])
    assert choose_gains(trials, spec)["val_score"].trial.number == 0
    trials, spec, _ = confirm({None: (0.9, 24.0), 0: (0.9, 24.0)}, name="cheap", objectives=[COST])
    assert choose_gains(trials, spec) == {}, "trial 0 costs more"


def test_trials_that_break_a_constraint_gain_nothing(confirm):
    trials, spec, _ = confirm({None: (0.9, 24.0), 1: (0.95, 20.0)}, constraints=["connection_cost <= 15"])
    assert choose_gains(trials, spec) == {}


@pytest.mark.parametrize("baseline", [None, BASELINE])
def test_without_a_confirmed_baseline_there_is_no_gain(confirm, baseline):
    trials, spec, everything = confirm({1: (0.95, 20.0)}, baseline)
    assert len(trials) == 1
    assert compare_with_baseline(trials, spec) == choose_gains(trials, spec) == {}
    assert find_confirmed_baseline(trials) is None
    assert (find_baseline(everything) is None) == (baseline is None)


def test_the_baseline_is_found(confirm):
    trials, _, everything = confirm({None: (0.9, 24.0), 1: (0.95, 20.0)})
    assert find_baseline(everything).number == find_confirmed_baseline(trials).trial.number == len(RESULTS)
