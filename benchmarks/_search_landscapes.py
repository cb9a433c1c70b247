"""Problems that real trials make: landscapes fitted to tables of `benchmarks/search_table.py`."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from _search_problems import Floats, Goal, Metrics, Problem
from optuna.distributions import BaseDistribution, FloatDistribution
from scipy.interpolate import RBFInterpolator
from scipy.spatial import KDTree

from sweeps.study.sampling.unit_cube import UnitCube

TABLES = Path(__file__).with_name("tables")
SPACE: dict[str, BaseDistribution] = {
    "cost_weight": FloatDistribution(1e-4, 1e-2, log=True),
    "weight_factor": FloatDistribution(0.0, 4.0),
    "layer_distance": FloatDistribution(0.05, 0.5, log=True),
    "learning_rate": FloatDistribution(5e-4, 1e-2, log=True),
}
PUBLISHED_LEARNING_RATE = 2e-3
NEIGHBOURS = 8  # configurations whose spread over seeds stands for that of a point
SMOOTHING = 0.03  # of thin-plate splines; between 0.01 and 0.1, the best of held-out tenths of the tables
LEAST_ERROR = 5e-4  # added to 1 - score, whose logarithm is taken
ERRORS = ("val_loss", "val_score", "connection_cost")
LEAST_SCORE = 0.9

LOSS_GOALS = (Goal("val_loss", log=True), Goal("connection_cost", log=True))
SCORE_GOALS = (Goal("val_score", "maximize"), Goal("connection_cost", log=True))


@dataclass(frozen=True, eq=False)
class Landscape:
    """A smooth function of real trials, with their spread over seeds.

    Means over seeds of loss, 1 - score and cost are smoothed by thin-plate splines, on a logarithmic scale. The noise
    of a replicate is that of a random seed of a near configuration, all metrics together, relative to its mean.
    """

    splines: RBFInterpolator
    tree: KDTree
    ratios: Floats  # shape (configurations, seeds, metrics), with mean 1 over seeds

    @staticmethod
    @cache
    def load(task: str) -> "Landscape":
        table = np.load(TABLES / f"{task}.npz")
        names = list(table["hyperparameters"])
        cube = UnitCube(SPACE)
        x = cube.points(dict(zip(names, map(float, row), strict=True)) for row in table["configurations"])
        index = [list(table["metrics"]).index(name) for name in ERRORS]
        values = table["values"][:, :, -1, index].astype(np.float64)
        values[..., 1] = 1 - values[..., 1] + LEAST_ERROR
        kept = np.isfinite(values).all((1, 2)) & (values > 0).all((1, 2))
        x, values = x[kept], values[kept]
        means = values.mean(1, keepdims=True)
        return Landscape(RBFInterpolator(x, np.log(means[:, 0]), smoothing=SMOOTHING), KDTree(x), values / means)

    def truth(self, points: Floats) -> Metrics:
        return to_metrics(np.exp(self.splines(points)))

    def sample(self, points: Floats, replicates: int, random: np.random.Generator) -> Metrics:
        _, near = self.tree.query(points, NEIGHBOURS)
        chosen = near[np.arange(len(points))[:, None], random.integers(NEIGHBOURS, size=(len(points), replicates))]
        seeds = random.integers(self.ratios.shape[1], size=chosen.shape)
        return to_metrics(np.exp(self.splines(points))[:, None] * self.ratios[chosen, seeds])


def to_metrics(errors: Floats) -> Metrics:
    loss, error, cost = np.moveaxis(errors, -1, 0)
    return {"val_loss": loss, "val_score": 1 + LEAST_ERROR - error, "connection_cost": cost}


def make_problem(task: str, *, preset: bool) -> Problem:
    """The search of a task's preset, or the same with the learning rate."""
    landscape, space = Landscape.load(task), dict(SPACE)
    rate = UnitCube({"learning_rate": SPACE["learning_rate"]}).point({"learning_rate": PUBLISHED_LEARNING_RATE})
    if preset:
        del space["learning_rate"]

    def widen(points: Floats) -> Floats:
        return np.hstack([points, np.full((len(points), 1), rate)]) if preset else points

    return Problem(
        f"{task}{'' if preset else ' + learning rate'}",
        space,
        SCORE_GOALS if task == "two_moons" else LOSS_GOALS,
        lambda points: landscape.truth(widen(points)),
        lambda points, n, random: landscape.sample(widen(points), n, random),
        {"val_score": LEAST_SCORE},
    )


def make_landscapes() -> list[Problem]:
    """The searches of all tables that exist."""
    tasks = [task for task in ("independence", "feature_sharing", "two_moons") if (TABLES / f"{task}.npz").exists()]
    return [make_problem(task, preset=preset) for task in tasks for preset in (True, False)]
