"""Full published runs: data, seed, training schedule and greedy relocation as published, one network each."""

import numpy as np
import pytest
from support.published import check_trace

from bimt_core import (
    MLP,
    communities,
    initialise,
    load_task,
    louvain,
    measure,
    null_modularity,
    start,
    train,
    weight_graph,
)
from bimt_core.metrics import N_SHUFFLED

PUBLISHED = ("independence", "feature_sharing", "compositionality", "two_moons")  # with published figures


def published_run(name):
    t = load_task(name, published=name in PUBLISHED)
    begin = start(initialise(t.network, [t.model_seed], dtype=t.dtype))
    return t, next(train(begin, t, [t.per_network], t.shared, {t.shared.steps})).population


def test_modular_addition_follows_the_published_code(reference):
    check_trace("modular_addition", 400, reference)


@pytest.mark.parametrize(
    ("name", "published"), [("independence", 7.4e-3), ("feature_sharing", 8.5e-5), ("compositionality", 1.3e-3)]
)
def test_a_full_run_ends_at_the_published_test_loss(name, published):
    t, population = published_run(name)
    loss = t.loss(population.predict(t.test_inputs), t.test_targets).item()
    assert loss == pytest.approx(published, rel=0.25)


def test_a_full_run_ends_at_the_published_accuracy():
    t, population = published_run("two_moons")
    assert t.score(population.predict(t.test_inputs), t.test_targets).item() == pytest.approx(0.99, abs=0.01)


@pytest.mark.parametrize(
    ("name", "score", "weights"),
    [
        ("majority_of_majorities", 0.95, 80),
        ("parity", 0.95, 40),
        ("delayed_response", 0.9, 299),  # of 1872
        ("digits", 0.93, 499),  # of 3960
    ],
)
def test_a_full_run_ends_with_few_weights(name, score, weights):
    t, population = published_run(name)
    metrics = measure(population, t)
    assert metrics["val_score"].item() > score
    assert metrics["test_score"].item() > score
    assert metrics["active_weights"].item() <= weights
    if name == "parity":
        assert metrics["communities"].item() == 5, "one community per pair of bits"
        np.testing.assert_allclose(metrics["modularity"].item(), 1 - 1 / 5, atol=0.02)  # of five equal separate modules


def test_modularity_of_the_largest_published_network_is_measured():
    network = MLP(((28, 28), (10, 10), (10, 10), 10), "mean", ring_outputs=True, fixed_inputs=True)
    wiring, tensors = network.wiring, {n: v[0] for n, v in initialise(network, [0]).tensors.items()}
    assert 0 < louvain(weight_graph(wiring, tensors)).modularity < 1
    assert 0 < communities(weight_graph(wiring, tensors), "newman").modularity < 1
    assert null_modularity(wiring, tensors, among="used", n=N_SHUFFLED).z > -10
