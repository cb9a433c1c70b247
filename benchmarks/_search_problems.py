"""Problem: a search with known truth, and the figure by which searches are compared."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution

from sweeps.study.sampling.observation import Observation
from sweeps.study.sampling.unit_cube import UnitCube, draw_sobol

Floats = NDArray[np.float64]
Metrics = dict[str, Floats]

REPLICATES = 4
REFERENCE_MARGIN = 0.1  # of the reference point beyond the true front, as a fraction of its range
FRONT_POINTS, FRONT_ROUNDS, MOST_ON_FRONT = 2**13, 12, 1000


@dataclass(frozen=True)
class Goal:
    """An objective.

    Args:
        metric: Name.
        direction: "minimize" or "maximize".
        log: Whether hypervolume counts the metric on a logarithmic scale.
    """

    metric: str
    direction: str = "minimize"
    log: bool = False

    def cost(self, values: Floats) -> Floats:
        """Values on the scale of the hypervolume; smaller is better."""
        scaled = np.log(values) if self.log else values
        return scaled if self.direction == "minimize" else -scaled


@dataclass(frozen=True, eq=False)
class Problem:
    """A search with known truth.

    Args:
        name: Name.
        space: Distribution of each hyperparameter.
        goals: Objectives.
        truth: Points of the unit cube to expected metrics, shape (points,).
        sample: Points to metrics of each replicate, shape (points, replicates).
        floors: Constraints: the least value of metrics, by name.
    """

    name: str
    space: Mapping[str, BaseDistribution]
    goals: tuple[Goal, ...]
    truth: Callable[[Floats], Metrics]
    sample: Callable[[Floats, int, np.random.Generator], Metrics]
    floors: Mapping[str, float] = field(default_factory=dict)

    @property
    def directions(self) -> list[str]:
        return [goal.direction for goal in self.goals]

    @cached_property
    def cube(self) -> UnitCube:
        return UnitCube(self.space)

    def costs(self, metrics: Metrics) -> tuple[Floats, NDArray[np.bool_]]:
        """Costs on the scale of the hypervolume, shape (points, goals), and feasibility."""
        costs = np.stack([goal.cost(metrics[goal.metric]) for goal in self.goals], axis=1)
        kept = [metrics[name] >= floor for name, floor in self.floors.items()]
        return costs, np.all([np.full(len(costs), True), *kept], axis=0)

    def observe(self, points: Floats, random: np.random.Generator, replicates: int = REPLICATES) -> list[Observation]:
        """Trains trials: means and standard errors of replicates."""
        metrics = self.sample(points, replicates, random)
        means = np.stack([metrics[goal.metric].mean(1) for goal in self.goals], 1)
        stderr = np.stack([metrics[goal.metric].std(1, ddof=1) for goal in self.goals], 1) / np.sqrt(replicates)
        lacking = [floor - metrics[name].mean(1) for name, floor in self.floors.items()]
        violations = np.array(lacking).T.reshape(len(points), -1)
        rows = zip(points, means.tolist(), stderr.tolist(), violations.tolist(), strict=True)
        return [Observation(self.cube.configuration(p), tuple(v), tuple(s), tuple(w)) for p, v, s, w in rows]

    @cached_property
    def front(self) -> Floats:
        """Costs of the true front, found by an evolution of many points."""
        random = np.random.default_rng(0)
        points = self.cube.snap(draw_sobol(len(self.cube), FRONT_POINTS, 0))
        for scale in np.geomspace(0.2, 0.002, FRONT_ROUNDS):
            costs, feasible = self.costs(self.truth(points))
            front = find_front(costs[feasible])
            best = points[feasible][random.choice(front, min(len(front), MOST_ON_FRONT), replace=False)]
            near = best[random.integers(len(best), size=2048)]
            mask = random.random(near.shape) < 0.5
            near = self.cube.snap(np.clip(near + scale * mask * random.standard_normal(near.shape), 0, 1))
            points = np.concatenate([best, near])
        costs, feasible = self.costs(self.truth(points))
        return costs[feasible][find_front(costs[feasible])]

    @cached_property
    def reference(self) -> Floats:
        """Slightly beyond the true front; with one objective, the median of all configurations."""
        if len(self.goals) == 1:
            costs, feasible = self.costs(self.truth(self.cube.snap(draw_sobol(len(self.cube), FRONT_POINTS, 0))))
            return np.median(costs[feasible], axis=0)
        low, high = self.front.min(0), self.front.max(0)
        return high + REFERENCE_MARGIN * (high - low)

    @cached_property
    def largest(self) -> float:
        return compute_hypervolume(self.front, self.reference)

    def score(self, observed: list[Observation]) -> float:
        """Share of the largest hypervolume that the trials named as the front truly have."""
        feasible = [o for o in observed if all(v <= 0 for v in o.violations)]
        if not feasible:
            return 0.0
        signs = np.array([1.0 if d == "minimize" else -1.0 for d in self.directions])
        named = find_front(signs * np.array([o.values for o in feasible]))
        points = self.cube.points(feasible[i].params for i in named)
        costs, kept = self.costs(self.truth(points))
        return compute_hypervolume(costs[kept], self.reference) / self.largest


def find_front(costs: Floats) -> NDArray[np.int64]:
    """Indices of the points that no other dominates; of equal points, one."""
    order = np.lexsort(costs.T[::-1])
    if costs.shape[1] <= 2:
        lowest = np.minimum.accumulate(costs[order, -1])
        return np.sort(order[np.append(True, lowest[1:] < lowest[:-1])])
    kept: list[int] = []
    for index in order:
        if not np.all(costs[kept] <= costs[index], axis=1).any():
            kept.append(int(index))
    return np.sort(np.array(kept, dtype=np.int64))


def compute_hypervolume(costs: Floats, reference: Floats) -> float:
    """Volume between points and a reference point, by slices of the last cost."""
    costs = costs[np.all(costs < reference, axis=1)]
    if not len(costs):
        return 0.0
    if costs.shape[1] == 1:
        return float(reference[0] - costs.min())
    if costs.shape[1] == 2:
        front = costs[np.lexsort(costs.T[::-1])]
        lowest = np.minimum.accumulate(np.append(reference[1], front[:, 1]))
        return float(((reference[0] - front[:, 0]) * (lowest[:-1] - lowest[1:])).sum())
    order = np.argsort(costs[:, -1])
    ends = np.append(costs[order, -1], reference[-1])
    return sum(
        compute_hypervolume(costs[order[: i + 1], :-1], reference[:-1]) * (ends[i + 1] - ends[i])
        for i in range(len(order))
        if ends[i + 1] > ends[i]
    )
