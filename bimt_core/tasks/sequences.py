"""Tasks on sequences: linear regression in context, and a direction to remember."""

import math
from dataclasses import replace

import numpy as np
import torch
from numpy.random import RandomState
from torch import Tensor

from bimt_core.hyperparameters import PerNetworkHyperparameters, SharedHyperparameters
from bimt_core.networks import RNN, Transformer
from bimt_core.tasks.definition import GREEDY, RISE_AND_FALL, Task
from bimt_core.tasks.held_out import draw_held_out

DIRECTIONS = 8  # neurons on each ring of the delayed response
SHOWN, DELAY = 3, 6  # its time steps with and without the direction
NOISE = 0.2  # standard deviation of the noise of inputs while the direction is shown
SHARPNESS = 2.0  # of a bump exp(SHARPNESS (cos(angle) - 1)), which falls to a half 49 degrees from its maximum


def in_context(data_seed: int = 0, *, published: bool = False) -> Task:
    """Builds the task of linear regression in context: y = w x, with a slope w per sequence to infer from it.

    A sequence is (0, x1), (y1, 0), (0, x2), with w ~ U[-1, 1] and x ~ U[1, 3]; 10,000 are for training, 2,000 for
    validation and 2,000 for testing. Output 0 after each x is the following y: y1 at sequence index 0, and y2 = w x2 =
    (y1 / x1) x2 at sequence index 2. Sequence index 1 and output 1 do not count. At sequence index 0 nothing is known
    about w. The best prediction there is the mean 0, with the error E[(w x)^2] = 13/9, so the loss, a mean over both
    sequence indices, cannot fall below 13/18 = 0.72. The score is R^2 of y2 alone.

    The published data and model seed are unknown: data are drawn in the order w, x1, x2.

    Args:
        data_seed: Seed of the data.
        published: If True, there are 10,000 test rows, drawn after the training rows from the same random stream.
    """
    random = RandomState(data_seed)
    (x, y), former = (_regressions(random, 10_000) for _ in range(2))
    validation, test = draw_held_out(_regressions, data_seed, former if published else None)
    return Task(
        "in_context",
        "y = w x, with w to infer from the sequence",
        x,
        y,
        *validation,
        *test,
        Transformer(inputs=2, outputs=2, width=32, blocks=2, heads=1, hidden_width=128, reduction="mean"),
        PerNetworkHyperparameters(cost_weight=1e-3, weight_factor=2.0, layer_distance=0.5, learning_rate=1e-3),
        SharedHyperparameters(
            steps=40_000,
            batch_size=64,
            cost_phases=((0.0, 1.0), (0.25, 10.0), (0.75, 100.0)),
            relocation="none",
            relocate_top_k=20,
            move_moments=False,
        ),
        0,
        ("y", "x"),
        ("w x", "unused"),
        torch.tensor([[True, False], [False, False], [True, False]]),
    )


def _regressions(random: RandomState, n: int) -> tuple[Tensor, Tensor]:
    """Sequences and targets, both of shape (n, 3, 2), float64."""
    w = random.uniform(-1, 1, n)
    x = random.uniform(1, 3, (n, 2))
    sequences, targets = np.zeros((2, n, 3, 2))
    sequences[:, ::2, 1] = x
    sequences[:, 1, 0] = w * x[:, 0]
    targets[:, ::2, 0] = w[:, None] * x
    return torch.from_numpy(sequences), torch.from_numpy(targets)


def delayed_response(data_seed: int = 0, *, published: bool = False) -> Task:
    """Builds the task of remembering a direction: shown with noise for three time steps, then a delay of six.

    The direction is an angle, u ~ U[0, 2 pi). Eight inputs and eight outputs are on rings, at the angles a_j =
    2 pi (2j + 1) / 16. While the direction is shown, the inputs are a bump with noise, exp(2 (cos(a_j - u) - 1)) +
    0.2 N(0, 1), with new noise at every time; then they are 0. The targets are the bump without noise during the delay;
    only these times count. The score is R^2 at the last time. There are 500 sequences for training, 2,000 for
    validation and 2,000 for testing.

    It is a small working-memory task for the recurrent network of "Growing Brains" (Liu et al., arXiv 2310.07711),
    where tasks differ and there are 400 hidden neurons instead of 36. The hyperparameters are those of the paper's
    modular addition.

    Args:
        data_seed: Seed of the data.
        published: If True, there are 500 test rows, drawn after the training rows from the same random stream.
    """
    random = RandomState(data_seed)
    (x, y), former = (_directions(random, 500) for _ in range(2))
    validation, test = draw_held_out(_directions, data_seed, former if published else None)
    degrees = tuple(f"{angle:g}°" for angle in np.degrees(_ring_angles()))
    counts = torch.arange(SHOWN + DELAY).unsqueeze(1) >= SHOWN
    return Task(
        "delayed_response",
        "a direction, remembered through a delay",
        x,
        y,
        *validation,
        *test,
        RNN(DIRECTIONS, (6, 6), DIRECTIONS),
        PerNetworkHyperparameters(cost_weight=0.1, weight_factor=2.0, layer_distance=0.5, learning_rate=1e-3),
        replace(GREEDY, steps=4_000, cost_phases=RISE_AND_FALL, relocate_top_k=30),
        0,
        degrees,
        degrees,
        counts.repeat(1, DIRECTIONS),
    )


def _ring_angles() -> np.ndarray:
    """Angles of the neurons of `geometry.ring`, shape (DIRECTIONS,), in radians."""
    return math.pi * (2 * np.arange(DIRECTIONS) + 1) / DIRECTIONS


def _directions(random: RandomState, n: int) -> tuple[Tensor, Tensor]:
    """Inputs and targets, both of shape (n, SHOWN + DELAY, DIRECTIONS), float32."""
    directions = random.uniform(0, 2 * math.pi, (n, 1, 1))
    bumps = np.exp(SHARPNESS * (np.cos(_ring_angles() - directions) - 1))
    targets = bumps.repeat(SHOWN + DELAY, axis=1)
    inputs = np.zeros_like(targets)
    inputs[:, :SHOWN] = bumps + NOISE * random.standard_normal((n, SHOWN, DIRECTIONS))
    return torch.from_numpy(inputs).float(), torch.from_numpy(targets).float()
