"""The benchmark of the search: the hypervolume that samplers reach, and how many random trials that is worth.

    python benchmarks/search.py [--problems NAME ...] [--samplers NAME ...] [--trials N ...] [--batches N ...]
        [--seeds N] [--processes N] [--json [FILE]]

The problems are landscapes fitted to tables of real trials and functions with known fronts; see
`_search_landscapes.py` and `_search_functions.py`. A search asks for batches, gets the means of 4 noisy replicates, and
names the front of these means. Its figure is the hypervolume that the named trials truly have, without noise, as a
share of the true front's; losses and costs count on a logarithmic scale. "Random trials" is the number of trials at
which the mean figure of 200 random searches is as good. Intervals are 95 % bootstrap intervals over seeds.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import optuna
from _printing import describe_machine, make_parser
from _search_functions import make_functions
from _search_landscapes import make_landscapes
from _search_problems import Floats, Problem

from sweeps.study.samplers import suggest
from sweeps.study.sampling.observation import Observation

SAMPLERS = ("gp", "tpe", "nsga2", "qmc", "random")
REFERENCES = ("optuna-gp",)
RANDOM_SEARCHES, RANDOM_SIZES = 200, (8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)
BOOTSTRAPS = 2000


@dataclass(frozen=True)
class Case:
    """Searches that differ in their seeds only."""

    problem: str
    sampler: str
    trials: int
    batch: int


@dataclass(frozen=True)
class Result:
    """Searches of a case: mean figure and what it is worth, with intervals."""

    case: Case
    seeds: int
    hypervolume: float
    interval: tuple[float, float]
    random_trials: float
    random_interval: tuple[float, float]
    suggesting_s: float  # of a whole search


@cache
def load_problems() -> dict[str, Problem]:
    return {problem.name: problem for problem in (*make_landscapes(), *make_functions())}


def run_search(case: Case, seed: int) -> tuple[float, float]:
    """Figure of one search, and the seconds that its suggestions took."""
    problem, random = load_problems()[case.problem], np.random.default_rng([seed, 1])
    observations: list[Observation] = []
    study = make_reference(case.sampler, problem, seed) if case.sampler in REFERENCES else None
    seconds = 0.0
    while (n := min(case.batch, case.trials - len(observations))) > 0:
        begin = time.perf_counter()
        if study is not None:
            asked = [study.ask(dict(problem.space)) for _ in range(n)]
            params = [trial.params for trial in asked]
        else:
            params = suggest(
                problem.space,
                problem.directions,
                observations,
                n,
                sampler=case.sampler,
                seed=seed,
                trials=case.trials,
            ).params
        seconds += time.perf_counter() - begin
        new = problem.observe(problem.cube.points(params), random)
        observations += new
        if study is not None:
            for trial, o in zip(asked, new, strict=True):
                for i, violation in enumerate(o.violations):
                    trial.set_constraint(str(i), violation)
                study.tell(trial, o.values)
    return problem.score(observations), seconds


def make_reference(sampler: str, problem: Problem, seed: int) -> optuna.Study:
    """A study with a sampler of Optuna as it comes."""
    return optuna.create_study(directions=problem.directions, sampler=optuna.samplers.GPSampler(seed=seed))


def run_random(name: str, seed: int) -> Floats:
    """Figures of one random search after each of `RANDOM_SIZES` trials."""
    problem, random = load_problems()[name], np.random.default_rng([seed, 2])
    points = problem.cube.snap(random.random((RANDOM_SIZES[-1], len(problem.cube))))
    observations = problem.observe(points, random)
    return np.array([problem.score(observations[:size]) for size in RANDOM_SIZES])


def count_random_trials(figures: Floats, curve: Floats) -> Floats:
    """Number of random trials that reach the same figure on average, at most the largest of `RANDOM_SIZES`."""
    return np.exp(np.interp(figures, np.maximum.accumulate(curve), np.log(RANDOM_SIZES)))


def summarize(case: Case, figures: Floats, seconds: Floats, curve: Floats) -> Result:
    means = np.random.default_rng(0).choice(figures, (BOOTSTRAPS, len(figures))).mean(1)
    low, high = np.quantile(means, [0.025, 0.975])
    worth = count_random_trials(np.array([figures.mean(), low, high]), curve)
    return Result(
        case,
        len(figures),
        float(figures.mean()),
        (float(low), float(high)),
        float(worth[0]),
        (float(worth[1]), float(worth[2])),
        float(seconds.mean()),
    )


def run_cases(cases: list[Case], seeds: int, processes: int) -> Iterator[Result]:
    with ProcessPoolExecutor(processes, get_context("spawn"), initialize_worker) as pool:
        curves: dict[str, Floats] = {}
        for case in cases:
            if case.problem not in curves:
                runs = pool.map(run_random, [case.problem] * RANDOM_SEARCHES, range(RANDOM_SEARCHES), chunksize=20)
                curves[case.problem] = np.mean(list(runs), axis=0)
            runs = pool.map(run_search, [case] * seeds, range(seeds))
            figures, seconds = np.array(list(runs)).T
            yield summarize(case, figures, seconds, curves[case.problem])


def initialize_worker() -> None:
    os.nice(15)
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def parse_options() -> argparse.Namespace:
    parser = make_parser(__doc__, json=False)
    names = list(load_problems())
    parser.add_argument("--problems", nargs="+", default=names, choices=names)
    parser.add_argument("--samplers", nargs="+", default=SAMPLERS, choices=(*SAMPLERS, *REFERENCES))
    parser.add_argument("--trials", nargs="+", type=int, default=[32, 64, 128])
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8, 16])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--json", nargs="?", const="-", help="print one JSON object, or write it to a file")
    return parser.parse_args()


def main() -> None:
    options = parse_options()
    cases = [Case(*case) for case in product(options.problems, options.samplers, options.trials, options.batches)]
    results = []
    for result in run_cases(cases, options.seeds, options.processes):
        results.append(result)
        print(format_result(result), file=sys.stderr if options.json else sys.stdout, flush=True)
    if options.json:
        text = json.dumps({"machine": describe_machine(), "rows": [asdict(result) for result in results]}, indent=2)
        print(text) if options.json == "-" else Path(options.json).write_text(text + "\n")


def format_result(result: Result) -> str:
    case, (low, high), (least, most) = result.case, result.interval, result.random_interval
    return (
        f"{case.problem:32} {case.sampler:10} {case.trials:4} trials by {case.batch:2}: "
        f"hypervolume {result.hypervolume:.4f} [{low:.4f}, {high:.4f}], "
        f"{result.random_trials:5.0f} [{least:.0f}, {most:.0f}] random trials, {result.suggesting_s:.2f} s"
    )


if __name__ == "__main__":
    main()
