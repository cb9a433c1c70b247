import dataclasses

import pytest

from bimt_core import TASKS, load_task
from sweeps.spec.recipe import HYPERPARAMETERS, PER_NETWORK, SHARED, recipe

TWO_MOONS = load_task("two_moons")


def settings(r):
    return {**dataclasses.asdict(r.per_network), **dataclasses.asdict(r.shared)}


@pytest.mark.parametrize("name", sorted(TASKS.keys() - {"mnist"}))  # which needs a download
def test_the_default_is_the_published_set_up_with_our_relocation(name):
    published = load_task(name)
    r = recipe(published, {})
    assert (r.network, r.per_network) == (published.network, published.per_network)
    assert r.shared == dataclasses.replace(published.shared, relocation="assignment", move_moments=True)


CHANGES = {
    "cost_weight": 0.5,
    "weight_factor": 0.5,
    "layer_distance": 0.5,
    "learning_rate": 0.5,
    "steps": 17,
    "batch_size": 17,
    "cost_phases": ((0.0, 1.0), (0.5, 2.0)),
    "bias_from": 0.5,
    "local_last": False,
    "reduction": "mean",
    "distance": "euclidean",
    "distance_power": 2.0,
    "penalty_step": "proximal",
    "relocation": "greedy",
    "relocate_every": 17,
    "relocate_top_k": 17,
    "relocate_rounds": 17,
    "move_moments": False,
    "prune_below": 0.5,
}


def test_each_hyperparameter_replaces_one_setting():
    before = settings(recipe(TWO_MOONS, {}))
    assert set(CHANGES) == {*PER_NETWORK, *SHARED}
    for name, value in CHANGES.items():
        assert before[name] != value
        assert settings(recipe(TWO_MOONS, {name: value})) == before | {name: value}


def test_other_names_are_ignored():
    assert recipe(TWO_MOONS, {"variant": "BIMT"}) == recipe(TWO_MOONS, {})


def test_every_hyperparameter_has_the_type_of_its_published_value():
    defaults = settings(recipe(TWO_MOONS, {}))
    assert set(HYPERPARAMETERS) == {*defaults, "hidden_width", "hidden_layers"}
    for name, value in defaults.items():
        if HYPERPARAMETERS[name] in (bool, int, float):
            assert type(value) is HYPERPARAMETERS[name], name
        else:
            assert isinstance(value, str | tuple), name


@pytest.mark.parametrize(
    ("params", "hidden"),
    [
        ({}, TWO_MOONS.network.shape[1:-1]),
        ({"hidden_width": 5}, (5,) * (len(TWO_MOONS.network.shape) - 2)),
        ({"hidden_layers": 4}, (TWO_MOONS.network.shape[1],) * 4),
        ({"hidden_width": 5, "hidden_layers": 1}, (5,)),
    ],
)
def test_hidden_layers_have_the_requested_number_and_width(params, hidden):
    shape = recipe(TWO_MOONS, params).network.shape
    assert shape == (TWO_MOONS.network.shape[0], *hidden, TWO_MOONS.network.shape[-1])


def test_recipes_that_differ_only_per_network_have_the_same_shape():
    shape = recipe(TWO_MOONS, {}).shape
    assert recipe(TWO_MOONS, dict.fromkeys(PER_NETWORK, 0.3)).shape == shape
    for params in ({"steps": 7}, {"relocation": "none"}, {"hidden_width": 7}):
        assert recipe(TWO_MOONS, params).shape != shape
    assert hash(shape) == hash(recipe(TWO_MOONS, {"cost_weight": 0.1}).shape)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"cost_weight": -1.0}, "cost_weight must be at least 0, got -1.0"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"hidden_width": 0}, "hidden_width must be at least 1, got 0"),
        ({"hidden_layers": -1}, "hidden_layers must be at least 1, got -1"),
        ({"batch_size": 201}, "batch_size must be at most the 200 training rows of two_moons, got 201"),
    ],
)
def test_values_that_break_a_rule_are_refused(params, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        recipe(TWO_MOONS, params)
