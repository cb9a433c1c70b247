"""Size of fronts, and trials near them, by the number of trials: what `bimt plan` expects.

    python benchmarks/fronts.py [--problems NAME ...] [--samplers NAME ...] [--trials N ...] [--seeds N] [--json]

Searches of the problems of `benchmarks/search.py` by batches of an eighth of their trials, with 4 noisy replicates per
trial. Prints the medians over the seeds of the size of the front, and of the share of trials that get more replicates
because their interval touches the front at some time.
"""

from dataclasses import asdict, dataclass
from itertools import product

import numpy as np
import optuna
from _printing import make_parser, print_json
from _search_functions import make_functions
from _search_landscapes import make_landscapes
from _search_problems import Problem

from sweeps.study.front_probability import find_front, touches_front
from sweeps.study.samplers import suggest
from sweeps.study.sampling.observation import Observation

ROUNDS = 8


@dataclass(frozen=True)
class Result:
    """Medians over searches that differ in their seeds."""

    problem: str
    sampler: str
    trials: int
    front: float
    raised: float


def run_search(problem: Problem, sampler: str, trials: int, seed: int) -> tuple[int, float]:
    """Size of the front of one search, and share of trials with more replicates."""
    random, observations, raised = np.random.default_rng([seed, 1]), [], set()
    batch = -(-trials // ROUNDS)
    while (n := min(batch, trials - len(observations))) > 0:
        found = suggest(problem.space, problem.directions, observations, n, sampler=sampler, seed=seed, trials=trials)
        observations += problem.observe(problem.cube.points(found.params), random)
        feasible = [i for i, o in enumerate(observations) if all(v <= 0 for v in o.violations)]
        if feasible:
            values, stderr = (np.array([getattr(observations[i], k) for i in feasible]) for k in ("values", "stderr"))
            touching = {
                i for i, t in zip(feasible, touches_front(values, stderr, problem.directions), strict=True) if t
            }
            for i in sorted(touching - raised):
                observations[i] = add_replicates(problem, observations[i], random)
            raised |= touching
    front = find_front(np.array([observations[i].values for i in feasible]), problem.directions) if feasible else []
    return int(sum(front)), len(raised) / trials


def add_replicates(problem: Problem, seen: Observation, random: np.random.Generator) -> Observation:
    """A trial with twice as many replicates."""
    (more,) = problem.observe(problem.cube.points([seen.params]), random)
    values, stderr = (np.array([getattr(o, k) for o in (seen, more)]) for k in ("values", "stderr"))
    return Observation(seen.params, tuple(values.mean(0)), tuple(np.sqrt((stderr**2).sum(0)) / 2), seen.violations)


def measure(problem: Problem, sampler: str, trials: int, seeds: int) -> Result:
    runs = [run_search(problem, sampler, trials, seed) for seed in range(seeds)]
    return Result(problem.name, sampler, trials, *np.median(np.array(runs), axis=0).tolist())


def main() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    problems = {problem.name: problem for problem in (*make_landscapes(), *make_functions())}
    parser = make_parser(__doc__)
    parser.add_argument("--problems", nargs="+", default=list(problems), choices=problems)
    parser.add_argument("--samplers", nargs="+", default=["gp", "tpe"])
    parser.add_argument("--trials", nargs="+", type=int, default=[16, 32, 64, 128])
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    results = []
    for name, sampler, trials in product(options.problems, options.samplers, options.trials):
        result = measure(problems[name], sampler, trials, options.seeds)
        results.append(result)
        if not options.json:
            print(
                f"{name:32} {sampler:7} {trials:4} trials: front of {result.front:4.1f}, {result.raised:4.0%} raised",
                flush=True,
            )
    if options.json:
        print_json({"results": [asdict(result) for result in results]})


if __name__ == "__main__":
    main()
