import numpy as np
import pytest
from scipy.stats import skew

from sweeps.study.sampling.scaling import Scale


@pytest.mark.parametrize("sign", [1, -1])
def test_skewed_values_become_nearly_normal(sign):
    values = sign * np.random.default_rng(0).lognormal(-5, 1.5, 200)
    scaled = Scale.fit(values)(values)
    assert scaled.mean() == pytest.approx(0, abs=1e-9) and scaled.std() == pytest.approx(1)
    assert abs(skew(scaled)) < 0.5
    assert abs(skew(values)) > 2
    assert np.array_equal(np.argsort(scaled), np.argsort(values)), "the order stays"


def test_a_diverged_value_leaves_the_others_apart():
    values = np.append(np.linspace(0.001, 0.1, 30), 1e30)
    scaled = Scale.fit(values)(values)
    assert np.ptp(scaled[:-1]) > 1
    assert scaled.argmax() == 30 and np.isfinite(scaled).all()


def test_other_values_are_put_on_the_same_scale():
    values = np.random.default_rng(0).normal(5, 2, 50)
    scale = Scale.fit(values)
    np.testing.assert_allclose(scale(values[:3]), scale(values)[:3])
    assert scale(np.array([values.min() - 1]))[0] < scale(values).min()


@pytest.mark.parametrize("values", [[2.0, 2.0, 2.0], [0.0, 0.0, 0.0, 0.0, 1.0]])
def test_equal_values_are_no_obstacle(values):
    scaled = Scale.fit(np.array(values))(np.array(values))
    assert np.isfinite(scaled).all() and scaled[0] == scaled[1]
