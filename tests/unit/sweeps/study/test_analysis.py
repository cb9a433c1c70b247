import itertools
import math

import pytest
from support.study_cases import OBJECTIVES, complete, complete_trials, launch, start

from sweeps.study.analysis import compute_confirmed_hypervolumes, compute_hypervolumes, compute_importances


def test_the_hyperparameter_that_decides_has_the_highest_importance(store):
    study = launch(store, constraints=[], trials=60)
    assert study.importances() == {}
    for _ in range(60):
        trial = start(study)
        score = -abs(math.log10(trial.params["cost_weight"]) + 3)
        complete(study, trial.number, score=score, cost=trial.params["weight_factor"])
    shares = compute_importances(study.trials(), study.spec)
    assert shares == study.importances()
    assert list(shares) == ["val_score", "connection_cost"]
    for metric, decisive in (("val_score", "cost_weight"), ("connection_cost", "weight_factor")):
        assert set(shares[metric]) == set(study.spec.searched)
        assert next(iter(shares[metric])) == max(shares[metric], key=shares[metric].get) == decisive
        assert sum(shares[metric].values()) == pytest.approx(1)


def test_importances_need_several_hyperparameters_and_ten_trials(store):
    one = launch(store, name="one", search={"cost_weight": {"low": 0, "high": 1}, "steps": 40}, trials=20)
    complete_trials(one, *[(0.9, 1.0)] * 12)
    assert one.importances() == {}
    few = launch(store, name="few", trials=20)
    complete_trials(few, *((0.9, float(n)) for n in range(9)))
    few.fail(start(few).number, "x")
    assert few.importances() == {}
    complete_trials(few, (0.9, 9.0))
    shares = few.importances()
    assert list(shares) == ["val_score", "connection_cost"]
    assert shares["val_score"] == dict.fromkeys(few.spec.searched, pytest.approx(1 / 7)), "all scores are equal"


def dominated_area(points, worst):
    """Area between the points (score up, cost down) and the worst corner, summed over strips of cost."""
    costs, area = sorted({cost for _, cost in points} | {worst[1]}), 0.0
    for low, high in itertools.pairwise(costs):
        area += (high - low) * max((score - worst[0] for score, cost in points if cost <= low), default=0.0)
    return area


def test_the_hypervolume_grows_with_the_front(store):
    study = launch(store)
    assert study.hypervolumes() == {}
    values = [(0.6, 5.0), (0.4, 1.0), (0.7, 4.0), (0.65, 4.5), (0.9, 9.0)]
    complete_trials(study, *values)
    growth = compute_hypervolumes(study.trials(), study.spec)
    worst = 0.4 - 0.05 * 0.5, 9.0 + 0.05 * 8.0
    feasible = [[point for point in values[: i + 1] if point[0] >= 0.5] for i in range(len(values))]
    assert list(growth) == list(range(5))
    assert list(growth.values()) == pytest.approx([dominated_area(points, worst) for points in feasible])
    assert growth == study.hypervolumes()


def test_equal_trials_have_a_hypervolume(store):
    """The reference point lies 1 beyond the worst value of an objective whose values are all equal."""
    study = launch(store)
    complete_trials(study, (0.9, 5.0), (0.9, 5.0))
    assert study.hypervolumes() == {0: pytest.approx(1.0), 1: pytest.approx(1.0)}


def test_one_objective_has_no_hypervolume(store):
    study = launch(store, objectives=OBJECTIVES[:1])
    complete_trials(study, (0.9, 1.0))
    assert study.hypervolumes() == {}


def test_only_the_search_is_analysed(store):
    """The baseline and networks on fresh seeds change nothing; further replicates do."""
    study = launch(store)
    complete_trials(study, (0.6, 5.0), (0.9, 9.0))
    before = study.hypervolumes()
    complete(study, study.start_networks("baseline", (0, 1)).number, score=1.0, cost=0.0)
    complete(study, study.start_networks("confirmation", (2, 3), 0).number, score=1.0, cost=0.0)
    assert study.hypervolumes() == before
    complete(study, study.start_networks("replicates", (2, 3), 0).number, score=0.8, cost=3.0)
    after = study.hypervolumes()
    worst = 0.7 - 0.05 * 0.2, 9.0 + 0.05 * 5.0
    assert list(after.values()) == pytest.approx(
        [dominated_area([(0.7, 4.0)], worst), dominated_area([(0.7, 4.0), (0.9, 9.0)], worst)]
    )


def confirm(study, number, score, cost, seeds=(2, 3)):
    return complete(study, study.start_networks("confirmation", seeds, number).number, score, cost)


def test_confirmed_hypervolumes_have_one_reference_point(store):
    study = launch(store)
    complete_trials(study, *[(0.9, 1.0)] * 5)  # the values of the search do not count
    points = {0: (0.6, 5.0), 1: (0.8, 7.0), 2: (0.7, 4.0), 4: (0.4, 0.1)}  # the last is infeasible
    for number, (score, cost) in points.items():
        confirm(study, number, score, cost)
    worst = 0.4 - 0.05 * 0.4, 7.0 + 0.05 * 6.9
    checks = [[0, 1], [0, 1, 2], [0, 1, 2, 4]]
    growth = compute_confirmed_hypervolumes(study.trials(), study.spec, checks)
    areas = [dominated_area([points[n] for n in numbers if n != 4], worst) for numbers in checks]
    assert growth == pytest.approx(areas)
    assert growth[1] > growth[0]
    assert growth[2] == growth[1]


def test_checks_without_confirmed_trials_have_no_hypervolume(store):
    study = launch(store)
    complete_trials(study, (0.9, 1.0), (0.9, 2.0))
    assert compute_confirmed_hypervolumes(study.trials(), study.spec, [[], []]) == [0.0, 0.0]
    confirm(study, 1, 0.8, 2.0)
    assert compute_confirmed_hypervolumes(study.trials(), study.spec, [[], [1]]) == [0.0, pytest.approx(1.0)]
    assert compute_confirmed_hypervolumes(study.trials(), study.spec, [[0], [0, 1]]) == [0.0, pytest.approx(1.0)]
