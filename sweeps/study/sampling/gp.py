"""Suggestions by Gaussian processes: the expected gain of hypervolume, for several objectives and noisy values."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import norm
from threadpoolctl import threadpool_limits

from sweeps.study.sampling.gaussian_process import fit
from sweeps.study.sampling.observation import Observation
from sweeps.study.sampling.unit_cube import UnitCube, draw_sobol, find_new

N_FUNCTIONS = 64  # drawn from each model
N_DIRECTIONS = 32  # from the reference point, of each drawn function
N_FILLING, N_NEAR = 512, 1536  # candidates that fill the space, and near the front
SCALES = (0.2, 0.1, 0.05, 0.02)  # of the steps to the candidates near the front
REFERENCE_MARGIN = 0.1  # of the reference point beyond the front, as a fraction of the front's range
LEAST_RANGE = 0.3  # of the front in each objective, in standard deviations of all values
TRANSFORM = "log"
USE_STDERR = False


def suggest_gp(*args):
    with threadpool_limits(1):
        return _suggest(*args)


def _suggest(
    cube: UnitCube, directions: Sequence[str], observations: Sequence[Observation], n: int, seed: int
) -> list[dict[str, Any]]:
    random = np.random.default_rng([seed, len(observations)])
    seen = cube.points(o.params for o in observations)
    known = np.array([o.values is not None for o in observations])
    done = [o for o in observations if o.values is not None]
    signs = np.array([1.0 if direction == "minimize" else -1.0 for direction in directions])
    values = np.array([o.values for o in done], dtype=np.float64)
    stderr = np.array([o.stderr or (0.0,) * len(signs) for o in done], dtype=np.float64)
    costs, noise = transform(values, stderr)
    costs = costs * signs
    x = cube.features(seen[known])
    models = [fit(x, y, variance if USE_STDERR else 0.0) for y, variance in zip(costs.T, noise.T, strict=True)]
    violations = np.array([o.violations for o in done], dtype=np.float64).reshape(len(done), -1)
    scaled, thresholds = scale_violations(violations)
    limits = [fit(x, y) for y in scaled.T]

    mean = np.stack([model.mean(x) for model in models], 1)
    ok = (
        np.all([limit.mean(x) <= t for limit, t in zip(limits, thresholds)], axis=0)
        if limits
        else np.ones(len(x), bool)
    )
    eligible = np.flatnonzero(ok) if ok.any() else np.arange(len(x))
    front = eligible[nondominated(mean[eligible])]
    ideal, nadir = mean[front].min(0), mean[front].max(0)
    span = np.maximum(nadir - ideal, LEAST_RANGE)
    reference = nadir + REFERENCE_MARGIN * span

    candidates = cube.snap(draw_candidates(seen[known][front], random, len(cube)))
    candidates = candidates[find_new(candidates, seen)]
    if len(candidates) < n:
        return cube.fill(seed, len(observations), n, seen)
    points = cube.features(np.concatenate([seen, candidates]))
    worlds = np.stack(
        [(r - model.draw(N_FUNCTIONS, random)(points)) / s for model, r, s in zip(models, reference, span)], -1
    )
    feasible = np.ones(worlds.shape[:2], bool)
    for limit, t in zip(limits, thresholds):
        feasible &= limit.draw(N_FUNCTIONS, random)(points) <= t
    contributions = scalarize(worlds, feasible, random)
    best, gains = contributions[: len(seen)].max(0), contributions[len(seen) :]
    picked = []
    for _ in range(n):
        score = np.maximum(gains - best, 0).mean((1, 2))
        score[picked] = -1
        if score.max() <= 0:
            score = feasible[len(seen) :].mean(1)
            score[picked] = -1
        index = int(score.argmax())
        picked.append(index)
        best = np.maximum(best, gains[index])
    return [cube.configuration(point) for point in candidates[picked]]


def scalarize(worlds, feasible, random):
    m = worlds.shape[-1]
    w = np.abs(random.standard_normal((worlds.shape[1], N_DIRECTIONS if m > 1 else 1, m)))
    w /= np.linalg.norm(w, axis=-1, keepdims=True)
    worlds = np.where(feasible[..., None], np.maximum(worlds, 0), 0).astype(np.float32)
    out = None
    for i in range(m):
        ratio = worlds[:, :, i, None] / w[None, :, :, i].astype(np.float32)
        out = ratio if out is None else np.minimum(out, ratio, out=out)
    return out**m


def draw_candidates(front, random, d):
    filling = draw_sobol(d, N_FILLING, int(random.integers(2**31)))
    base = front[random.integers(len(front), size=N_NEAR)]
    scale = np.array(SCALES)[random.integers(len(SCALES), size=N_NEAR)][:, None]
    mask = random.random((N_NEAR, d)) < 0.5
    mask[np.arange(N_NEAR), random.integers(d, size=N_NEAR)] = True
    near = np.clip(base + mask * scale * random.standard_normal((N_NEAR, d)), 0, 1)
    return np.concatenate([filling, near])


def nondominated(costs):
    better = np.all(costs[:, None] <= costs, -1) & np.any(costs[:, None] < costs, -1)
    return np.flatnonzero(~better.any(0))


def transform(values, stderr):
    out, noise = np.empty_like(values), np.empty_like(values)
    for i, (v, s) in enumerate(zip(values.T, stderr.T)):
        if TRANSFORM == "log" and (v > 0).all() and v.max() > 10 * v.min():
            t, slope = np.log(v), 1 / v
        elif TRANSFORM == "rank":
            r = (np.argsort(np.argsort(v)) + 0.5) / len(v)
            t, slope = norm.ppf(r), np.zeros(len(v))
        else:
            t, slope = v, np.ones(len(v))
        sd = t.std() or 1.0
        out[:, i], noise[:, i] = (t - t.mean()) / sd, (s * slope / sd) ** 2
    return out, noise


def scale_violations(v):
    if not v.size:
        return v.reshape(len(v), 0), []
    t = np.arcsinh(v / (np.median(np.abs(v), axis=0) + 1e-12))
    sd = np.where(t.std(0) > 0, t.std(0), 1.0)
    return (t - t.mean(0)) / sd, list(-t.mean(0) / sd)
