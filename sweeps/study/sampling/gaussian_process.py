"""Gaussian processes: the model of an objective, and functions drawn from it."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize
from scipy.spatial.distance import cdist
from scipy.special import ndtri

from sweeps.study.sampling.unit_cube import draw_sobol

Floats = NDArray[np.float64]
Function = Callable[[Floats], Floats]  # points of shape (points, features) to values of shape (points, draws)

N_FREQUENCIES = 256  # of a drawn function
MAX_ITERATIONS = 50
JITTER = 1e-8  # keeps matrices positive definite where points are close
LENGTH_BOUNDS, VARIANCE_BOUNDS, NOISE_BOUNDS = (0.03, 30.0), (0.05, 20.0), (1e-5, 1.0)
LENGTH_PRIOR_SD = math.sqrt(3)  # of its logarithm
VARIANCE_PRIOR, NOISE_PRIOR = (0.0, 1.0), (math.log(0.03), 1.5)  # mean and standard deviation of the logarithm


@dataclass(frozen=True, eq=False)
class GaussianProcess:
    """A model of a function, of which noisy values are known, with a Matern 5/2 kernel.

    Args:
        x: Points where values are known, shape (points, features).
        y: Those values.
        noise: Variance of the noise of each value.
        lengths: Length scale of each feature.
        variance: Variance of the function.
    """

    x: Floats
    y: Floats
    noise: Floats
    lengths: Floats
    variance: float

    def kernel(self, a: Floats, b: Floats) -> Floats:
        """Computes the covariances of the function's values.

        Args:
            a: Points, shape (points, features).
            b: Other points, shape (other points, features).
        """
        return self.variance * _matern(math.sqrt(5) * cdist(a / self.lengths, b / self.lengths))

    def mean(self, points: Floats) -> Floats:
        """Computes the expected values of the function.

        Args:
            points: Shape (points, features).
        """
        mean: Floats = self.kernel(points, self.x) @ cho_solve(self._factor(), self.y)
        return mean

    def draw(self, n: int, random: np.random.Generator) -> Function:
        """Draws functions that agree with the known values.

        A function from the prior, a sum of random Fourier features, is corrected by what it misses at the known points
        (Matheron's rule; Wilson et al., Pathwise conditioning of Gaussian processes, JMLR 2021).

        Args:
            n: Number of functions.
            random: Source of randomness.
        """
        frequencies, shares = _draw_frequencies(self.x.shape[1], random)
        amplitudes = np.sqrt(self.variance * shares)
        weights = random.standard_normal((2 * len(shares), n)).astype(np.float32)

        def prior(points: Floats) -> Floats:
            angles = (points / self.lengths @ frequencies.T).astype(np.float32)  # whose sines are several times faster
            values: Floats = np.hstack([np.cos(angles) * amplitudes, np.sin(angles) * amplitudes]) @ weights
            return values

        noise = np.sqrt(self.noise)[:, None] * random.standard_normal((len(self.x), n))
        corrections = cho_solve(self._factor(), self.y[:, None] - prior(self.x) - noise)
        return lambda points: prior(points) + self.kernel(points, self.x) @ corrections

    def _factor(self) -> tuple[Floats, bool]:
        factor: tuple[Floats, bool] = cho_factor(self.kernel(self.x, self.x) + np.diag(self.noise + JITTER))
        return factor


def fit(x: Floats, y: Floats, known_noise: Floats | float = 0.0) -> GaussianProcess:
    """Fits length scales, variance and noise to known values: the most probable ones, given log-normal priors.

    The prior of the length scales grows with the number of features (Hvarfner, Hellsten, Nardi, ICML 2024).

    Args:
        x: Points, shape (points, features).
        y: Values with mean 0 and variance 1.
        known_noise: Variance of the noise of each value, which the fitted noise is added to.
    """
    n, n_features = x.shape
    squares = np.square(x[:, None] - x).reshape(n * n, n_features)
    length_prior = math.sqrt(2) + 0.5 * math.log(n_features)
    prior = np.array([VARIANCE_PRIOR[0], *[length_prior] * n_features, NOISE_PRIOR[0]])
    spread = np.array([VARIANCE_PRIOR[1], *[LENGTH_PRIOR_SD] * n_features, NOISE_PRIOR[1]])

    def loss(theta: Floats) -> tuple[float, Floats]:
        """Negative logarithm of the posterior density and its gradient, up to a constant."""
        variance, scale, noise = math.exp(theta[0]), np.exp(-2 * theta[1:-1]), math.exp(theta[-1])
        distance = np.sqrt(5 * (squares @ scale).reshape(n, n))
        kernel = variance * _matern(distance)
        factor = cho_factor(kernel + np.diag(np.full(n, noise + JITTER) + known_noise), check_finite=False)
        inverse = cho_solve(factor, np.eye(n), check_finite=False)
        weights = inverse @ y
        outer = inverse - np.outer(weights, weights)
        slopes = (outer * (5 / 3 * variance * (1 + distance) * np.exp(-distance))).ravel() @ squares * scale
        gradient = 0.5 * np.array([np.sum(outer * kernel), *slopes, noise * np.trace(outer)])
        deviation = (theta - prior) / spread
        value = 0.5 * y @ weights + np.log(np.diag(factor[0])).sum() + 0.5 * deviation @ deviation
        return float(value), gradient + deviation / spread

    start = np.log([1.0, *[0.5 * math.sqrt(n_features)] * n_features, 0.1])
    bounds = np.log([VARIANCE_BOUNDS, *[LENGTH_BOUNDS] * n_features, NOISE_BOUNDS])
    best = minimize(loss, start, method="L-BFGS-B", jac=True, bounds=bounds, options={"maxiter": MAX_ITERATIONS}).x
    noise = np.full(n, math.exp(best[-1])) + known_noise
    return GaussianProcess(x, y, noise, np.exp(best[1:-1]), math.exp(best[0]))


def _draw_frequencies(n_features: int, random: np.random.Generator) -> tuple[Floats, Floats]:
    """Frequencies of Fourier features, and the share of the variance that each stands for.

    The spectrum of the kernel is a t distribution with 5 degrees of freedom. A Cauchy distribution is drawn from
    instead, evenly, and shares make up for it: high frequencies are then many and weak. A few strong ones would put
    waves into all drawn functions, where no values are known.
    """
    drawn = draw_sobol(n_features + 1, N_FREQUENCIES, int(random.integers(2**31))).clip(1e-9, 1 - 1e-9)
    frequencies = ndtri(drawn[:, :-1]) / np.abs(ndtri(drawn[:, -1:] / 2))  # the latter is chi with 1 degree of freedom
    squares = np.square(frequencies).sum(1)
    log_ratio = (1 + n_features) / 2 * np.log1p(squares) - (5 + n_features) / 2 * np.log1p(squares / 5)
    ratio = np.exp(log_ratio - log_ratio.max())
    return frequencies, ratio / ratio.sum()


def _matern(distance: Floats) -> Floats:
    """The Matern 5/2 kernel of a distance that is scaled by sqrt(5) / length."""
    kernel: Floats = (1 + distance + np.square(distance) / 3) * np.exp(-distance)
    return kernel
