import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern

from sweeps.study.sampling import gaussian_process
from sweeps.study.sampling.gaussian_process import GaussianProcess, fit


def make_data(n, features, seed=0, noise=0.2):
    random = np.random.default_rng(seed)
    x = random.random((n, features))
    y = np.sin(5 * x[:, 0]) + x[:, -1] ** 2 + noise * random.standard_normal(n)
    return x, (y - y.mean()) / y.std()


def make_oracle(model):
    """The same model by scikit-learn."""
    kernel = ConstantKernel(model.variance) * Matern(model.lengths, nu=2.5)
    return GaussianProcessRegressor(kernel, alpha=model.noise, optimizer=None).fit(model.x, model.y)


def log_posterior(model, known_noise):
    """Logarithm of the posterior density of a model's parameters, up to a constant, by scikit-learn's likelihood."""
    oracle = make_oracle(model)
    g, n_features = gaussian_process, model.x.shape[1]
    noise = model.noise[0] - known_noise
    deviations = [
        (np.log(model.variance) - g.VARIANCE_PRIOR[0]) / g.VARIANCE_PRIOR[1],
        *((np.log(model.lengths) - np.sqrt(2) - 0.5 * np.log(n_features)) / g.LENGTH_PRIOR_SD),
        (np.log(noise) - g.NOISE_PRIOR[0]) / g.NOISE_PRIOR[1],
    ]
    return oracle.log_marginal_likelihood_value_ - 0.5 * np.square(deviations).sum()


@pytest.mark.parametrize(("n", "features", "known_noise"), [(12, 1, 0.0), (40, 3, 0.0), (40, 3, 0.05)])
def test_the_fitted_parameters_are_the_most_probable_ones(n, features, known_noise):
    x, y = make_data(n, features)
    best = fit(x, y, known_noise)

    def loss(theta):
        variance, lengths, noise = np.exp(theta[0]), np.exp(theta[1:-1]), np.exp(theta[-1])
        return -log_posterior(GaussianProcess(x, y, np.full(n, noise + known_noise), lengths, variance), known_noise)

    theta = np.log([best.variance, *best.lengths, best.noise[0] - known_noise])
    oracle = minimize(loss, theta + 0.3, method="Nelder-Mead", options={"maxiter": 4000, "fatol": 1e-6, "xatol": 1e-4})
    assert loss(theta) == pytest.approx(oracle.fun, abs=1e-2)


def test_the_mean_is_that_of_scikit_learn():
    x, y = make_data(30, 2)
    model = fit(x, y)
    points = np.random.default_rng(1).random((50, 2))
    np.testing.assert_allclose(model.mean(points), make_oracle(model).predict(points), atol=1e-6)


@pytest.mark.parametrize("features", [1, 2, 6])
def test_drawn_functions_have_the_mean_and_the_spread_of_the_model(features):
    """Also far from known points, of a smooth function that is known almost exactly."""
    x = np.random.default_rng(0).random((20, features))
    y = ((x - 0.7) ** 2).sum(1)
    model = fit(x, (y - y.mean()) / y.std())
    points = np.concatenate([np.random.default_rng(1).random((20, features)), np.zeros((1, features))])
    mean, spread = make_oracle(model).predict(points, return_std=True)
    for seed in range(10):
        drawn = model.draw(500, np.random.default_rng(seed))(points)
        assert np.abs((drawn.mean(1) - mean) / spread).max() < 6 / np.sqrt(500)
        np.testing.assert_allclose(drawn.std(1), spread, rtol=0.35)


def test_drawn_functions_are_functions():
    x, y = make_data(20, 2)
    function = fit(x, y).draw(3, np.random.default_rng(0))
    points = np.random.default_rng(1).random((10, 2))
    np.testing.assert_allclose(function(points)[4:7], function(points[4:7]), rtol=1e-4, atol=1e-4)


def test_known_noise_is_trusted():
    x = np.linspace(0, 1, 12)[:, None]
    y = np.where(np.arange(12) == 6, 4.0, 0.0)
    doubted = fit(x, y, np.where(np.arange(12) == 6, 100.0, 1e-3)).mean(x)
    assert abs(doubted[6]) < 0.5


def test_features_without_influence_get_long_length_scales():
    x, y = make_data(60, 4, noise=0.05)
    lengths = fit(x, y).lengths
    assert min(lengths[1], lengths[2]) > 3 * max(lengths[0], lengths[3])
