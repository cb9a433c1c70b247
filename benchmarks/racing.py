"""More networks where they matter: 64 trials of 4 networks, against trials of 2 and more on the front, as many in all.

    python benchmarks/racing.py [--problems NAME ...] [--seeds N]

Both searches train 256 networks in 8 rounds with the sampler "gp", on the landscapes of `benchmarks/search.py`. In the
second, a trial begins with 2 networks; a trial whose interval touches the front gets 2 more at a time, up to 8, before
new trials begin. Figures are the hypervolume that the front truly has, the error of its searched values (root mean
square of their logarithms, or of scores), and the number of trials; mean and 95 % interval over seeds.
"""

import os
from dataclasses import dataclass

import numpy as np
import optuna
from _printing import make_parser
from _search_landscapes import make_landscapes
from _search_problems import Floats, Metrics, Problem, find_front

from sweeps.study.front_probability import touches_front
from sweeps.study.samplers import suggest
from sweeps.study.sampling.observation import Observation

NETWORKS, ROUNDS = 256, 8
PLAIN, FIRST, MOST = 4, 2, 8  # networks per trial


@dataclass
class Trial:
    """A configuration and the metrics of its networks so far, shape (1, networks)."""

    point: Floats
    metrics: Metrics

    def train(self, problem: Problem, n: int, random: np.random.Generator) -> None:
        new = problem.sample(self.point[None], n, random)
        self.metrics = {name: np.hstack([self.metrics[name], new[name]]) if self.metrics else new[name] for name in new}

    @property
    def networks(self) -> int:
        return next(iter(self.metrics.values())).shape[1]

    def observe(self, problem: Problem) -> Observation:
        values = [self.metrics[goal.metric][0] for goal in problem.goals]
        return Observation(
            problem.cube.configuration(self.point),
            tuple(float(v.mean()) for v in values),
            tuple(float(v.std(ddof=1) / np.sqrt(len(v))) for v in values),
            tuple(floor - float(self.metrics[name].mean()) for name, floor in problem.floors.items()),
        )


def run_search(problem: Problem, seed: int, first: int, most: int) -> tuple[float, float, int]:
    """True hypervolume of the named front, error of its searched costs, number of trials."""
    random, trials = np.random.default_rng([seed, first]), list[Trial]()
    for _ in range(ROUNDS):
        left = NETWORKS // ROUNDS
        for trial in find_racing(problem, trials, most):
            if left >= first:
                trial.train(problem, first, random)
                left -= first
        observations = [trial.observe(problem) for trial in trials]
        found = suggest(
            problem.space,
            problem.directions,
            observations,
            left // first,
            sampler="gp",
            seed=seed,
            trials=NETWORKS // PLAIN,
        )
        for point in problem.cube.points(found.params):
            trials.append(Trial(point, {}))
            trials[-1].train(problem, first, random)
    observations = [trial.observe(problem) for trial in trials]
    return problem.score(observations), measure_error(problem, trials, observations), len(trials)


def find_racing(problem: Problem, trials: list[Trial], most: int) -> list[Trial]:
    """Trials that may have more networks and whose interval touches the front, those with the fewest first."""
    observations = [trial.observe(problem) for trial in trials]
    kept = [i for i, o in enumerate(observations) if all(violation <= 0 for violation in o.violations)]
    if not kept or most == PLAIN:
        return []
    values = np.array([observations[i].values for i in kept])
    stderr = np.array([observations[i].stderr for i in kept])
    touching = [
        trials[i] for i, near in zip(kept, touches_front(values, stderr, problem.directions), strict=True) if near
    ]
    return sorted((t for t in touching if t.networks < most), key=lambda t: t.networks)


def measure_error(problem: Problem, trials: list[Trial], observations: list[Observation]) -> float:
    kept = [i for i, o in enumerate(observations) if all(violation <= 0 for violation in o.violations)]
    if not kept:
        return float("nan")
    points = np.array([trials[i].point for i in kept])
    means = {name: np.array([trials[i].metrics[name].mean() for i in kept]) for name in trials[0].metrics}
    searched, true = problem.costs(means)[0], problem.costs(problem.truth(points))[0]
    front = find_front(searched)
    return float(np.sqrt(np.square(searched - true)[front].mean()))


def main() -> None:
    problems = {problem.name: problem for problem in make_landscapes()}
    parser = make_parser(__doc__, json=False)
    parser.add_argument("--problems", nargs="+", default=list(problems), choices=list(problems))
    parser.add_argument("--seeds", type=int, default=20)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    os.nice(15)
    for name in options.problems:
        for label, first, most in (("4 networks each", PLAIN, PLAIN), ("2 to 8 networks", FIRST, MOST)):
            runs = np.array([run_search(problems[name], seed, first, most) for seed in range(options.seeds)])
            mean, half = np.nanmean(runs, axis=0), 1.96 * np.nanstd(runs, axis=0, ddof=1) / np.sqrt(len(runs))
            print(
                f"{name:32} {label}: hypervolume {mean[0]:.4f} +- {half[0]:.4f}, "
                f"error {mean[1]:.4f} +- {half[1]:.4f}, {mean[2]:.0f} trials",
                flush=True,
            )


if __name__ == "__main__":
    main()
