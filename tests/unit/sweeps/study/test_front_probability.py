import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from sweeps.spec.parts import Objective
from sweeps.study.front_probability import find_front, front_probabilities, judge, touches_front

BOTH = ["minimize", "minimize"]
POINTS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=12)
DIRECTIONS = st.lists(st.sampled_from(["minimize", "maximize"]), min_size=3, max_size=3)


def slow_front(points, directions):
    costs = [[x if d == "minimize" else -x for x, d in zip(p, directions, strict=True)] for p in points]

    def dominates(one, other):
        return one != other and all(a <= b for a, b in zip(one, other, strict=True))

    return [not any(dominates(other, cost) for other in costs) for cost in costs]


@given(POINTS, DIRECTIONS)
def test_fronts_agree_with_the_definition(points, directions):
    assert find_front(points, directions).tolist() == slow_front(points, directions)


def test_fronts_of_several_sets_of_points():
    points = np.random.default_rng(0).integers(0, 5, (6, 9, 2))
    assert find_front(points, BOTH).tolist() == [slow_front(p.tolist(), BOTH) for p in points]


def test_points_without_a_value_are_never_on_the_front():
    assert find_front([[math.nan, 0], [1, 1], [math.inf, 0.5]], BOTH).tolist() == [False, True, True]


def test_two_configurations_have_the_probability_of_a_z_test():
    rng = np.random.default_rng(0)
    ours, others = rng.normal(0, 1, (16, 1)), rng.normal(0.2, 1, (16, 1))
    error = math.hypot(*(values.std(ddof=1) / 4 for values in (ours, others)))
    expected = norm.cdf((others.mean() - ours.mean()) / error)
    probabilities = front_probabilities([ours, others], ["minimize"], ["mean"], n_resamples=20_000)
    assert probabilities == pytest.approx([expected, 1 - expected], abs=0.015)
    assert 0.6 < expected < 0.99


def test_few_networks_count_as_much_as_their_standard_error_says():
    groups = [np.array([[0.0], [2.0]]), np.array([[1.2], [3.2]])]  # both have a standard error of 1
    probability, _ = front_probabilities(groups, ["minimize"], ["mean"], n_resamples=20_000)
    resampled = [0, 1, 1, 2]  # means of two networks: 1 - sqrt(2), 1, 1, 1 + sqrt(2), and the same plus 1.2
    wins = [2**0.5 * (a - b) < 1.2 for a in resampled for b in resampled]
    assert probability == pytest.approx(np.mean(wins), abs=0.015)


def test_networks_keep_their_metrics_together():
    x = np.random.default_rng(0).normal(0, 1, 16)
    trade_off, fixed = np.stack([x, -x], axis=1), np.array([[0.0, 0.0]])
    assert front_probabilities([trade_off, fixed], BOTH, ["mean"] * 2).tolist() == [1.0, 1.0]
    shifted = trade_off + 0.01  # dominated unless the two metrics are drawn apart
    middle = np.array([[x.mean(), -x.mean()]])
    narrow = np.stack([np.full(16, x.mean()), np.full(16, -x.mean())], axis=1) + 0.01
    assert front_probabilities([narrow, middle], BOTH, ["mean"] * 2).tolist() == [0.0, 1.0]
    assert front_probabilities([shifted, fixed], BOTH, ["mean"] * 2)[0] > 0.9


def test_aggregates_and_directions_of_objectives():
    rng = np.random.default_rng(0)
    tables = [rng.normal(size=(8, 2)) for _ in range(5)]
    ours = front_probabilities(tables, ["minimize", "maximize"], ["best_quarter", "median"])
    mirrored = front_probabilities([t * [1, -1] for t in tables], BOTH, ["best_quarter", "median"])
    assert ours == pytest.approx(mirrored)
    assert not np.allclose(ours, front_probabilities(tables, ["minimize", "maximize"], ["mean", "mean"]))


def test_infeasible_configurations_are_not_on_the_front():
    good, sparse = np.full((4, 2), [1.0, 0.95]), np.full((4, 2), [0.5, 0.8])  # cost and score
    bounds = [(0.9, math.inf)]
    assert front_probabilities([good, sparse], ["minimize"], ["mean"], bounds=bounds).tolist() == [1.0, 0.0]
    assert front_probabilities([sparse], ["minimize"], ["mean"], bounds=bounds).tolist() == [0.0]
    doubtful = sparse + np.array([[0, 0.3], [0, 0], [0, 0.2], [0, -0.1]])  # mean score 0.9
    probability = front_probabilities([good, doubtful], ["minimize"], ["mean"], bounds=bounds)[1]
    assert 0.3 < probability < 0.7


def test_diverged_networks_take_a_configuration_off_the_front_of_means():
    diverged = np.array([[math.inf], [0.1], [math.nan], [0.1]])
    assert front_probabilities([diverged, np.ones((4, 1))], ["minimize"], ["mean"]).tolist() == [0.0, 1.0]
    assert front_probabilities([diverged, np.ones((4, 1))], ["minimize"], ["best_quarter"])[0] > 0.5


def test_probabilities_are_reproducible_and_depend_on_the_seed():
    tables = [np.random.default_rng(i).normal(size=(4, 2)) for i in range(6)]
    one, again, other = (front_probabilities(tables, BOTH, ["mean"] * 2, seed=seed) for seed in (0, 0, 1))
    assert one.tolist() == again.tolist() != other.tolist()
    assert one == pytest.approx(other, abs=0.05)


def test_verdicts_are_right_as_often_as_they_are_sure():
    rng, verdicts = np.random.default_rng(0), {"yes": [], "no": [], "unsure": []}
    for _ in range(300):
        truth = rng.normal(0, 1, 2)
        tables = [rng.normal(mean, 1.5, (16, 1)) for mean in truth]
        probability = front_probabilities(tables, ["minimize"], ["mean"], n_resamples=300)[0]
        verdicts[judge(probability)].append(truth[0] < truth[1])
    assert min(len(cases) for cases in verdicts.values()) > 40
    assert np.mean(verdicts["yes"]) > 0.95
    assert np.mean(verdicts["no"]) < 0.05


@pytest.mark.parametrize(
    ("probability", "verdict"), [(1, "yes"), (0.9, "yes"), (0.89, "unsure"), (0.11, "unsure"), (0.1, "no"), (0, "no")]
)
def test_verdicts(probability, verdict):
    assert judge(probability) == verdict


def test_trials_whose_interval_reaches_the_front_touch_it():
    values = [[1, 1], [2, 2], [2, 2], [0.5, 3]]
    stderr = [[0.1, 0.1], [0.4, 0.4], [0.4, 0.6], [0.1, 0.1]]
    assert touches_front(values, stderr, BOTH).tolist() == [True, False, True, True]
    mirrored = np.array(values) * [1, -1]
    assert touches_front(mirrored, stderr, ["minimize", "maximize"]).tolist() == [True, False, True, True]


@given(POINTS, DIRECTIONS)
def test_without_errors_only_the_front_touches_it(points, directions):
    touching = touches_front(points, np.zeros((len(points), 3)), directions)
    assert touching.tolist() == slow_front(points, directions)


def test_trials_of_one_network_touch_the_front_and_diverged_ones_never():
    values = [[1.0, 1.0], [5.0, 5.0], [math.nan, 0.0], [0.0, math.nan]]
    stderr = [[0.1, 0.1], [math.nan, math.nan], [0.1, 0.1], [math.nan, math.nan]]
    assert touches_front(values, stderr, BOTH).tolist() == [True, True, False, False]
    infinite = touches_front([[1.0, 1.0], [math.inf, 1.5]], [[0.1, 0.1], [math.nan, math.nan]], BOTH)
    assert infinite.tolist() == [True, False]


def test_directions_are_those_of_objectives():
    directions = [Objective(metric="connection_cost", direction=d).direction for d in ("minimize", "maximize")]
    assert find_front([[0, 0], [1, 1]], directions).tolist() == [True, True]
