import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from sweeps.study.sampling.unit_cube import UnitCube, draw_sobol, find_new

SPACE = {
    "linear": FloatDistribution(-1.0, 3.0),
    "log": FloatDistribution(1e-4, 1e-2, log=True),
    "step": FloatDistribution(0.1, 0.5, step=0.1),
    "whole": IntDistribution(2, 9),
    "tens": IntDistribution(50, 500, step=50),
    "log_whole": IntDistribution(1, 64, log=True),
    "choice": CategoricalDistribution(("none", "greedy", "assignment")),
    "switch": CategoricalDistribution((True, False)),
    "single": IntDistribution(4, 4),
    "one_choice": CategoricalDistribution(("a",)),
}
VALUES = {
    "linear": [-1.0, 0.5, 3.0],
    "log": [1e-4, 1e-3, 1e-2],
    "step": [0.1, 0.2, 0.3, 0.4, 0.5],
    "whole": list(range(2, 10)),
    "tens": list(range(50, 501, 50)),
    "log_whole": list(range(1, 65)),
    "choice": ["none", "greedy", "assignment"],
    "switch": [True, False],
    "single": [4],
    "one_choice": ["a"],
}


@pytest.mark.parametrize("name", SPACE)
def test_every_value_has_a_point_that_stands_for_it(name):
    cube = UnitCube({name: SPACE[name]})
    for value in VALUES[name]:
        point = cube.point({name: value})
        assert 0 <= point[0] <= 1
        (found,) = cube.configuration(point).values()
        assert type(found) is type(value)
        assert found == (pytest.approx(value, rel=1e-12) if isinstance(value, float) else value)


@pytest.mark.parametrize("name", SPACE)
def test_points_stand_for_values_in_the_range(name):
    cube, distribution = UnitCube({name: SPACE[name]}), SPACE[name]
    values = [cube.configuration([u])[name] for u in np.linspace(0, 1, 1001)]
    assert all(distribution._contains(distribution.to_internal_repr(value)) for value in values)
    if name not in ("linear", "log"):
        assert sorted({repr(value) for value in values}) == sorted({repr(value) for value in VALUES[name]})


def test_values_are_spread_evenly_on_their_scale():
    cube = UnitCube(SPACE)
    assert cube.configuration([0.25] * 10)["log"] == pytest.approx(10**-3.5)
    assert cube.configuration([0.25] * 10)["linear"] == pytest.approx(0.0)
    choices = [cube.configuration([u] * 10)["choice"] for u in np.linspace(0, 0.999, 999)]
    assert [choices.count(c) for c in VALUES["choice"]] == pytest.approx([333] * 3, abs=1)
    whole = [cube.configuration([u] * 10)["log_whole"] for u in np.linspace(0, 1, 1001)]
    assert whole.count(1) > 2.2 * whole.count(3) > 2.2 * 2.2 * whole.count(8)


def test_points_move_to_the_middle_of_their_cells():
    cube = UnitCube(SPACE)
    points = draw_sobol(len(cube), 64, 0)
    snapped = cube.snap(points)
    configurations = [cube.configuration(point) for point in points]
    np.testing.assert_allclose(snapped, cube.points(configurations), atol=1e-12)
    np.testing.assert_allclose(cube.snap(snapped), snapped, atol=1e-12)


def test_choices_are_at_equal_distances():
    cube = UnitCube({"x": FloatDistribution(0.0, 1.0), "kind": CategoricalDistribution(("a", "b", "c"))})
    features = cube.features(cube.points([{"x": 0.5, "kind": kind} for kind in "abc"]))
    assert features.shape == (3, 4)
    distances = np.linalg.norm(features[:, None] - features, axis=-1)
    np.testing.assert_allclose(distances, 1 - np.eye(3))


def test_the_filling_sequence_can_be_continued():
    cube = UnitCube({name: SPACE[name] for name in ("linear", "log")})
    nothing = np.empty((0, 2))
    whole = cube.fill(7, 0, 12, nothing)
    assert cube.fill(7, 0, 5, nothing) + cube.fill(7, 5, 7, nothing) == whole
    assert cube.fill(8, 0, 12, nothing) != whole


def test_configurations_repeat_only_if_the_space_is_exhausted():
    cube = UnitCube({"whole": IntDistribution(1, 3), "switch": CategoricalDistribution((True, False))})
    taken = cube.points([{"whole": 1, "switch": True}, {"whole": 2, "switch": True}])
    rest = cube.fill(0, 0, 4, taken)
    assert {tuple(c.values()) for c in rest} == {(3, True), (1, False), (2, False), (3, False)}
    assert len(cube.fill(0, 0, 6, taken)) == 6


def test_new_points_are_found():
    points = np.array([[0.1, 0.2], [0.3, 0.3], [0.1, 0.2 + 1e-12], [0.5, 0.5]])
    assert find_new(points, np.array([[0.3, 0.3]])).tolist() == [0, 3]
