from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.study_cases import complete, launch, load_optuna_study, numbers, start

from sweeps.spec.parts import Objective
from sweeps.study.front import select_front
from sweeps.study.trial import Trial

SCORE = Objective(metric="val_score", direction="maximize")
COST = Objective(metric="connection_cost", direction="minimize")
LOSS = Objective(metric="val_loss", direction="minimize")


def make_trials(*values, objectives=(SCORE, COST), feasible=()):
    """Complete trials with a value per objective; by default all are feasible."""
    feasible = feasible or [True] * len(values)
    return [
        Trial(n, "COMPLETE", {}, values={o.metric: v for o, v in zip(objectives, point, strict=True)}, feasible=holds)
        for n, (point, holds) in enumerate(zip(values, feasible, strict=True))
    ]


def find_front_slowly(trials, objectives):
    """Compares all pairs of trials."""

    def is_better(x, y, objective):
        sign = 1 if objective.direction == "maximize" else -1
        return sign * x.values[objective.metric] > sign * y.values[objective.metric]

    def dominates(x, y):
        return any(is_better(x, y, o) for o in objectives) and not any(is_better(y, x, o) for o in objectives)

    feasible = [trial for trial in trials if trial.feasible]
    return [y for y in feasible if not any(dominates(x, y) for x in feasible)]


@given(
    st.lists(st.tuples(*[st.integers(0, 4)] * 3, st.sampled_from([True, True, False, None])), max_size=12),
    st.sampled_from([(SCORE,), (LOSS,), (SCORE, COST), (COST, LOSS), (SCORE, COST, LOSS)]),
    st.randoms(use_true_random=False),
)
def test_the_front_agrees_with_a_comparison_of_all_pairs(points, objectives, order):
    everything = (SCORE, COST, LOSS)
    trials = make_trials(*(p[:3] for p in points), objectives=everything, feasible=[p[3] for p in points])
    front = find_front_slowly(trials, objectives)
    assert select_front(trials, objectives) == front
    assert select_front(order.sample(trials, len(trials)), objectives) == front
    assert select_front(front, objectives) == front


def test_equal_trials_all_stay():
    trials = make_trials((0.9, 5.0), (0.9, 5.0), (0.8, 5.0), (0.9, 5.0))
    assert numbers(select_front(trials, [SCORE, COST])) == [0, 1, 3]


def test_only_feasible_trials_count():
    trials = make_trials((0.9, 1.0), (0.8, 2.0), (0.7, 3.0), feasible=[False, None, True])
    assert numbers(select_front(trials, [SCORE, COST])) == [2]
    assert select_front(trials[:2], [SCORE, COST]) == []
    assert select_front([], [SCORE, COST]) == []


@pytest.mark.parametrize("role", ["baseline", "replicates", "confirmation"])
def test_only_trials_of_the_search_count(role):
    best, other = make_trials((0.9, 1.0), (0.8, 2.0))
    assert numbers(select_front([replace(best, role=role), other], [SCORE, COST])) == [1]


def test_the_front_of_a_growing_study_is_that_of_optuna(store):
    """Scores and costs are drawn from a few values, so many trials are equal, and some break the constraint."""
    study, rng = launch(store, trials=99), np.random.default_rng(0)
    for _ in range(40):
        complete(study, start(study).number, *rng.integers(3, 10, 2) / 10)
        front = study.front()
        assert numbers(load_optuna_study(store).best_trials) == numbers(front)
        assert [(t.number, t.values) for t in study.known_front()] == [(t.number, t.values) for t in front]
    assert launch(store, trials=99).known_front() == front
