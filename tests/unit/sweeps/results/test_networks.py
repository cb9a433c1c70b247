import numpy as np
import pytest
from matplotlib.figure import Figure

from bimt_core import initialise, load_task, to_png
from sweeps.errors import BadInputError
from sweeps.results.networks import TrainedNetwork, check_complete, find_network, list_parts
from sweeps.study.trial import Trial

ENTRIES = [
    Trial(0, "COMPLETE", {}, seeds=(0, 1)),
    Trial(1, "COMPLETE", {}, "replicates", 0, (2, 3)),
    Trial(2, "COMPLETE", {}, "confirmation", 0, (4, 5)),
    Trial(3, "FAIL", {}, "confirmation", 0, (6,)),
    Trial(4, "COMPLETE", {}, "confirmation", 0, (6,)),
    Trial(5, "COMPLETE", {}, "confirmation", 0, (4,), data_seed=7),
    Trial(6, "RUNNING", {}, seeds=(0, 1)),
]


@pytest.mark.parametrize("name", ["two_moons", "in_context", "permutation_s4"])
def test_predictions_are_those_of_the_population(name):
    task = load_task(name)
    network = TrainedNetwork(initialise(task.network, [3], dtype=task.dtype), task, seed=3)
    rows = task.test_inputs[:5]
    expected = network.population.predict(rows)[0].double().numpy()
    assert np.array_equal(network.predict(rows), expected)
    assert np.array_equal(network.predict(rows.numpy().tolist()), expected)


def test_the_score_is_that_of_the_test_rows():
    task = load_task("two_moons")
    network = TrainedNetwork(initialise(task.network, [3], dtype=task.dtype), task, seed=3)
    predicted = network.predict(task.test_inputs).argmax(1)
    assert network.score() == pytest.approx(np.mean(predicted == task.test_targets.numpy()))


def test_the_diagram_shows_the_network():
    task = load_task("two_moons")
    diagram = TrainedNetwork(initialise(task.network, [3]), task, seed=3).diagram()
    assert len(to_png(diagram)) > len(to_png(Figure()))


def test_a_trials_networks_are_in_several_entries():
    assert [part.number for part in list_parts(ENTRIES, 0, "search")] == [0, 1]
    assert [part.number for part in list_parts(ENTRIES, 0, "confirmation")] == [2, 4]
    assert [part.number for part in list_parts(ENTRIES, 0, "confirmation", 7)] == [5]
    assert list_parts(ENTRIES, 6, "search") == []


@pytest.mark.parametrize(
    ("replicate", "seed", "data_seed", "expected"),
    [
        (0, None, None, (0, 0)),
        (3, None, None, (1, 1)),
        (0, 1, None, (0, 1)),
        (0, 2, None, (1, 0)),
        (0, 5, None, (2, 1)),
        (0, 6, None, (4, 0)),
        (0, None, 7, (5, 0)),
        (0, 4, 7, (5, 0)),
    ],
)
def test_a_network_is_found_by_its_index_or_its_seed(replicate, seed, data_seed, expected):
    part, index = find_network(ENTRIES, 0, replicate, seed, data_seed)
    assert (part.number, index) == expected


@pytest.mark.parametrize(
    ("replicate", "seed", "data_seed", "message"),
    [
        (4, None, None, "replicate must be between 0 and 3, got 4"),
        (-1, None, None, "replicate must be between 0 and 3, got -1"),
        (0, 9, None, "seed must be that of a network of trial 0, one of 0, 1, 2, 3, 4, 5, 6, got 9"),
        (0, 0, 7, "seed must be that of a network of trial 0, one of 4, got 0"),
        (0, None, 8, "data_seed must be that of a confirmation of trial 0, got 8"),
    ],
)
def test_a_network_that_does_not_exist_is_refused(replicate, seed, data_seed, message):
    with pytest.raises(BadInputError, match=f"^{message}$"):
        find_network(ENTRIES, 0, replicate, seed, data_seed)


def test_only_complete_trials_of_their_own_have_results():
    check_complete(ENTRIES, 0)
    for number, message in [
        (7, "trial must be between 0 and 6, got 7"),
        (1, "trial must not be one that adds networks to another, got 1: see trial 0"),
        (6, "trial must be complete, got trial 6, which is RUNNING"),
    ]:
        with pytest.raises(BadInputError, match=f"^{message}$"):
            check_complete(ENTRIES, number)
