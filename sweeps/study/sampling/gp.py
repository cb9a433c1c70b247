"""Suggestions by Gaussian processes: the largest expected gain of hypervolume, under noise and constraints."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it has no types

from sweeps.study.sampling.gaussian_process import Floats, GaussianProcess, fit
from sweeps.study.sampling.observation import Observation
from sweeps.study.sampling.scaling import Scale
from sweeps.study.sampling.unit_cube import UnitCube, draw_sobol, find_new
from sweeps.study.sampling.worlds import Worlds, draw_directions

N_WORLDS, N_DIRECTIONS = 64, 32  # directions of each world
N_FILLING, N_NEAR, N_REFINED = 512, 1536, 512  # candidates: all over the space, near the front, near the best of these
NEAR_STEPS, REFINED_STEPS = (0.3, 0.1, 0.03, 0.01), (0.1, 0.05, 0.02)  # to candidates, in the unit cube
REFINED = 32  # best candidates that are refined
MARGIN, MARGIN_OF_MANY = 0.5, 0.1  # of the reference point beyond the front, in its ranges; for 3 objectives and more
LEAST_RANGE = 0.3  # of the front, in standard deviations of an objective


def suggest_gp(
    cube: UnitCube, directions: Sequence[str], observations: Sequence[Observation], n: int, seed: int
) -> list[dict[str, Any]]:
    """Suggests configurations one after the other, each with the largest expected gain of hypervolume.

    Objectives and constraints are drawn from their models many times. In each of these worlds, it is known without
    noise how far the trials so far reach, and what a candidate would add to them. The candidate that adds most on
    average is suggested, and counts as tried from then on; so do running trials. Where nothing adds anything, the most
    probably feasible candidate is suggested. The standard errors of values are not used: the models estimate the noise.

    Args:
        cube: The search space.
        directions: "minimize" or "maximize" per objective.
        observations: Trials so far, at least two of them with results.
        n: Number of suggestions.
        seed: Seed of the sweep.
    """
    with threadpool_limits(1):  # these matrices are small: more threads only wait for each other
        random = np.random.default_rng([seed, len(observations)])
        seen = cube.points(o.params for o in observations)
        worlds, front = _draw_worlds(cube, directions, observations, random)
        filling = draw_sobol(len(cube), N_FILLING, int(random.integers(2**31)))
        candidates = cube.snap(np.concatenate([filling, _move(front, N_NEAR, NEAR_STEPS, random)]))
        candidates = candidates[find_new(candidates, seen)]
        if len(candidates) < n:
            return cube.fill(seed, len(observations), n, seen)
        reached = worlds.reach(cube.features(seen)).max(0)
        gains = worlds.reach(cube.features(candidates))
        best = candidates[np.argsort(-_mean_gain(gains, reached), kind="stable")[:REFINED]]
        refined = cube.snap(_move(best, N_REFINED, REFINED_STEPS, random))
        refined = refined[find_new(refined, np.concatenate([seen, candidates]))]
        if len(refined):
            candidates = np.concatenate([candidates, refined])
            gains = np.concatenate([gains, worlds.reach(cube.features(refined))])
        picked: list[int] = []
        for _ in range(n):
            score = _mean_gain(gains, reached)
            score[picked] = -1
            if score.max() <= 0:
                score = worlds.is_feasible(cube.features(candidates)).mean(1)
                score[picked] = -1
            picked.append(int(score.argmax()))
            reached = np.maximum(reached, gains[picked[-1]])
    return [cube.configuration(candidates[index]) for index in picked]


def find_front(costs: Floats) -> NDArray[np.int64]:
    """Returns the indices of the points that no other dominates.

    Args:
        costs: Shape (points, objectives), smaller is better.
    """
    dominates = np.all(costs[:, None] <= costs, axis=2) & np.any(costs[:, None] < costs, axis=2)
    return np.flatnonzero(~dominates.any(0))


def _draw_worlds(
    cube: UnitCube, directions: Sequence[str], observations: Sequence[Observation], random: np.random.Generator
) -> tuple[Worlds, Floats]:
    """Draws worlds, and returns the points of the front that the models expect."""
    complete = [o for o in observations if o.values is not None]
    points = cube.points(o.params for o in complete)
    x = cube.features(points)
    signs = [1.0 if direction == "minimize" else -1.0 for direction in directions]
    values = np.array([o.values for o in complete], dtype=np.float64) * signs
    models = [fit(x, Scale.fit(column)(column)) for column in values.T]
    violations = np.array([o.violations for o in complete], dtype=np.float64).reshape(len(complete), -1)
    scales = [Scale.fit(column) for column in violations.T]
    bounds = [fit(x, scale(column)) for scale, column in zip(scales, violations.T, strict=True)]
    limits = [float(scale(np.zeros(1))[0]) for scale in scales]

    expected = np.stack([model.mean(x) for model in models], axis=1)
    kept = _are_expected_to_keep(bounds, limits, x)
    feasible = np.flatnonzero(kept) if kept.any() else np.arange(len(x))
    front = feasible[find_front(expected[feasible])]
    best, worst = expected[front].min(0), expected[front].max(0)
    widths = np.maximum(worst - best, LEAST_RANGE)
    reference = worst + (MARGIN if len(models) <= 2 else MARGIN_OF_MANY) * widths
    worlds = Worlds(
        [model.draw(N_WORLDS, random) for model in models],
        [bound.draw(N_WORLDS, random) for bound in bounds],
        limits,
        reference,
        widths,
        draw_directions(N_WORLDS, N_DIRECTIONS, len(models), random),
    )
    return worlds, points[front]


def _are_expected_to_keep(bounds: Sequence[GaussianProcess], limits: Sequence[float], x: Floats) -> NDArray[np.bool_]:
    kept = np.full(len(x), True)
    for bound, limit in zip(bounds, limits, strict=True):
        kept &= bound.mean(x) <= limit
    return kept


def _mean_gain(gains: NDArray[np.float32], reached: NDArray[np.float32]) -> Floats:
    """Mean over worlds and directions of what each candidate adds, shape (candidates,)."""
    gained: Floats = np.maximum(gains - reached, 0).mean((1, 2)).astype(np.float64)
    return gained


def _move(points: Floats, n: int, steps: Sequence[float], random: np.random.Generator) -> Floats:
    """Points that differ from random ones of the given in some coordinates, by normal steps of random sizes."""
    moved = points[random.integers(len(points), size=n)]
    chosen = random.random(moved.shape) < 0.5
    chosen[np.arange(n), random.integers(moved.shape[1], size=n)] = True
    sizes = random.choice(steps, size=(n, 1))
    moved = moved + chosen * sizes * random.standard_normal(moved.shape)
    inside: Floats = np.clip(moved, 0, 1)
    return inside
