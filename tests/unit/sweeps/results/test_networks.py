import numpy as np
import pytest
from matplotlib.figure import Figure

from bimt_core import initialise, load_task, to_png
from sweeps.results.networks import TrainedNetwork


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
