import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from support.example_sweeps import BASELINE, FRONT, create_sweep, example_spec

from bimt_core import METRICS
from sweeps.errors import BadInputError
from sweeps.results.confirmations import (
    check_front,
    check_request,
    count_replicates,
    describe_confirmation,
    make_preferred_frame,
    order_confirmed,
    prefer_confirmed,
)

LUCKY = {0: (0.80, 32.0), 1: (0.94, 21.0), None: (0.92, 41.0)}  # trial 0 was on the front by luck


@pytest.fixture
def spec(small_spec):
    return example_spec(small_spec, confirm={"replicates": 4})


@pytest.fixture
def sweep(tmp_path, spec):
    """A front of four trials and a failed one; the first two and the baseline are confirmed."""
    return create_sweep(tmp_path, spec, [*FRONT, None], baseline=BASELINE, confirmed=LUCKY)


def test_the_front_prefers_confirmed_values_and_hides_no_drop(sweep):
    front = sweep.pareto()
    assert front.index.tolist() == [1, 2, 0, 3], "by the value that is shown"
    assert front["val_score"].round(9).tolist() == [0.94, 0.9, 0.8, 0.5]
    assert front["searched_val_score"].round(9).tolist() == [0.95, 0.9, 0.99, 0.5]
    assert front["searched_connection_cost"].round(9).tolist() == [20.0, 10.0, 30.0, 1.0]
    assert front["still_on_front"].tolist() == ["yes", "not confirmed", "no", "not confirmed"]
    assert front["front_probability"].fillna(-1).tolist() == [1, -1, 0, -1]
    assert front["confirmed"].tolist() == [4, 0, 4, 0]


def test_the_baseline_has_the_form_of_the_front(sweep):
    baseline = sweep.baseline()
    assert baseline.columns.tolist() == sweep.pareto().columns.tolist()
    assert baseline.loc[5, ["role", "still_on_front"]].tolist() == ["baseline", "baseline"]
    assert baseline.loc[5, "val_score"] == pytest.approx(0.92)
    assert baseline.loc[5, "searched_val_score"] == pytest.approx(0.93)


def test_the_best_is_a_confirmed_trial(sweep):
    assert sweep.best(n=9).index.tolist() == [1, 0, 2, 3]
    assert sweep.best("val_score >= 0.85", n=9).index.tolist() == [1, 2]


def test_searched_values_stay_in_the_list_of_trials(sweep):
    trials = sweep.trials()
    assert trials["val_score"].round(9).tolist()[:4] == [0.99, 0.95, 0.9, 0.5]
    assert trials["role"].tolist() == ["search"] * 5 + ["baseline"]


def test_a_confirmed_trial_is_feasible_by_its_confirmed_values(tmp_path, small_spec):
    spec = example_spec(small_spec, constraints=["val_score >= 0.9"])
    sweep = create_sweep(tmp_path, spec, [*FRONT], confirmed={0: (0.80, 32.0)})
    assert sweep.pareto()["feasible"].to_dict() == {0: False, 1: True, 2: True}
    assert sweep.trials()["feasible"].tolist() == [True, True, True, False]
    unconfirmed = sweep.completed_trials()[1]
    assert prefer_confirmed(unconfirmed, spec) is unconfirmed


def test_a_confirmation_has_intervals_and_the_ratio_to_the_baseline(sweep):
    frame = sweep.confirmation()
    assert frame.index.tolist() == [(t, m) for t in (5, 0, 1) for m in ("val_score", "connection_cost")]
    assert frame["confirmed_metric"].tolist() == ["test_score", "connection_cost"] * 3
    cost = frame.xs("connection_cost", level="objective")
    assert cost["confirmed"].round(9).to_dict() == {5: 41.0, 0: 32.0, 1: 21.0}
    assert cost["searched"].round(9).to_dict() == {5: 40.0, 0: 30.0, 1: 20.0}
    half = stats.t.ppf(0.975, 3) * 0.01
    assert cost.loc[0, "high"] - cost.loc[0, "confirmed"] == pytest.approx(half, rel=0.01)
    assert cost["ratio"].dropna().to_dict() == pytest.approx({0: 32 / 41, 1: 21 / 41})
    assert (cost["ratio_low"].dropna() < cost["ratio"].dropna()).all()
    groups = [[32 + x for x in (-1, 0, 1)], [41 + x for x in (-1, 0, 1)]]
    assert cost.loc[0, "p"] <= stats.mannwhitneyu(*groups).pvalue
    assert cost["still_on_front"].tolist() == ["baseline", "no", "yes"]


def test_without_confirmations_the_frame_is_empty(tmp_path, spec):
    sweep = create_sweep(tmp_path, spec, [*FRONT], baseline=BASELINE)
    frame = sweep.confirmation()
    assert len(frame) == 0
    assert {"searched", "confirmed", "low", "high", "ratio", "p", "still_on_front"} < set(frame.columns)
    assert set(sweep.pareto()["still_on_front"]) == {"not confirmed"}


def test_trials_are_ordered_with_the_baseline_first(sweep, spec):
    front = [trial for trial in sweep.completed_trials() if trial.role == "search"]
    ordered = order_confirmed(front, sweep.confirmed_trials(), spec)
    assert [(trial.number, judged is not None) for trial, judged in ordered] == [
        (5, True),
        (0, True),
        (1, True),
        (2, False),
        (3, False),
    ]


def test_a_description_is_plain_data(sweep, spec):
    judged = {one.trial.number: one for one in sweep.confirmed_trials()}
    trials = {trial.number: trial for trial in sweep.completed_trials()}
    data = json.loads(json.dumps(describe_confirmation(trials[0], judged[0], spec), allow_nan=False))
    assert (data["trial"], data["role"], data["networks"], data["still_on_front"]) == (0, "search", 4, "no")
    assert data["front_probability"] == 0.0
    score, cost = data["objectives"]
    assert (score["metric"], score["confirmed_metric"]) == ("val_score", "test_score")
    assert score["low"] < score["confirmed"] < score["high"] < score["searched"]
    assert cost["searched"] == pytest.approx(30.0)
    data = json.loads(json.dumps(describe_confirmation(trials[2], None, spec), allow_nan=False))
    assert (data["networks"], data["still_on_front"], data["front_probability"]) == (0, "not confirmed", None)
    assert data["objectives"][0]["confirmed"] is None
    assert data["objectives"][0]["searched"] == pytest.approx(0.9)
    assert describe_confirmation(trials[5], judged[5], spec)["front_probability"] is None


def test_a_single_network_has_no_interval_in_plain_data(tmp_path, spec):
    sweep = create_sweep(tmp_path, spec, [*FRONT], confirmed={0: (0.8, 30.0)}, n_confirmed=1)
    (judged,) = sweep.confirmed_trials()
    assert math.isnan(judged.objectives[0].low)
    json.dumps(describe_confirmation(judged.trial, judged, spec), allow_nan=False)


def test_a_frame_can_show_some_trials_only(sweep, spec):
    trials = sweep.completed_trials()
    frame = make_preferred_frame(trials, spec, [3, 1])
    assert frame.index.tolist() == [3, 1]
    assert frame["still_on_front"].tolist() == ["not confirmed", "yes"]
    assert make_preferred_frame(trials, spec).index.tolist() == [0, 1, 2, 3, 5]


def test_the_number_of_networks_is_the_one_asked_for_else_that_of_the_spec(small_spec):
    assert count_replicates(small_spec(), 5) == 5
    assert count_replicates(small_spec(confirm={"replicates": 3})) == 3
    assert count_replicates(small_spec()) == 16


def test_what_cannot_be_confirmed_is_refused(tmp_path, small_spec):
    check_request(small_spec(), 4)
    check_request(small_spec(), 4, data_seed=3)
    variants = small_spec(search={}, variants={"a": {}, "b": {}}, trials=None)
    with pytest.raises(BadInputError, match=r"^sweep 'small' has variants, .* see bimt compare small$"):
        check_request(variants, 4)
    with pytest.raises(BadInputError, match=r"^sweep 'small' cannot be confirmed: confirm needs seeds from .* got 16"):
        check_request(small_spec(seed=2**31 - 10), 16)
    empty = create_sweep(tmp_path, small_spec(), [None])
    with pytest.raises(BadInputError, match=r"^sweep 'small' has no front to confirm yet: no trial is complete and"):
        check_front(empty.completed_trials(), empty.spec)


def test_a_task_that_takes_no_data_seed_is_refused(small_spec, tmp_path, monkeypatch):
    text = "from bimt_core import load_task\ndef task():\n    return load_task('digits')\n"
    (tmp_path / "seedless.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    spec = small_spec(task="seedless:task")
    check_request(spec, 4)
    with pytest.raises(BadInputError, match=r"^sweep 'small' cannot be confirmed: .* 1 "):
        check_request(spec, 4, data_seed=1)


def test_confirmed_networks_decide_the_values(sweep, spec):
    """An oracle: means over the networks of the confirmation."""
    trial = next(trial for trial in sweep.completed_trials() if trial.number == 0)
    frame = make_preferred_frame([trial], spec)
    for name in METRICS:
        assert frame.loc[0, name] == pytest.approx(np.mean(trial.confirmed.networks[name]))
    other = replace(trial, confirmations={7: trial.confirmed})
    assert make_preferred_frame([other], spec).loc[0, "val_score"] == pytest.approx(0.99), "other data do not count"
