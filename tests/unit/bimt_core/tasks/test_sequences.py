import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score

from bimt_core import initialise, load_task, start, train
from bimt_core.geometry import ring
from bimt_core.tasks.sequences import delayed_response, in_context

TASKS = (in_context, delayed_response)


def rows_of(t):
    return (t.inputs, t.targets), (t.validation_inputs, t.validation_targets), (t.test_inputs, t.test_targets)


@pytest.mark.parametrize("factory", TASKS)
def test_a_data_seed_draws_other_sequences_of_the_same_kind(factory):
    first, again, other = factory(3), factory(3), factory(4)
    assert torch.equal(first.inputs, again.inputs)
    assert torch.equal(factory().inputs, factory(0).inputs)
    assert not torch.equal(first.inputs, other.inputs)
    assert first.inputs.shape == other.inputs.shape
    assert not torch.equal(first.inputs[: len(first.test_inputs)], first.test_inputs)


@pytest.mark.parametrize("factory", TASKS)
def test_unscored_outputs_change_neither_loss_nor_score(factory):
    t = factory()
    outputs = torch.randn(2, *t.targets.shape, dtype=t.dtype)
    counts = t.scored.expand_as(outputs)
    other = torch.where(counts, outputs, 100 * torch.randn_like(outputs))
    assert torch.equal(t.loss(outputs, t.targets), t.loss(other, t.targets))
    assert torch.equal(t.score(outputs, t.targets), t.score(other, t.targets))
    for index, output in t.scored.nonzero().tolist():
        wrong = outputs.clone()
        wrong[:, :, index, output] += 1
        assert not torch.equal(t.loss(outputs, t.targets), t.loss(wrong, t.targets))


# Regression in context


def test_sequences_are_linear_regressions():
    t = in_context()
    for rows, (sequences, targets) in zip((10_000, 2_000, 2_000), rows_of(t), strict=True):
        assert sequences.shape == targets.shape == (rows, 3, 2)
        for sequence, target in zip(sequences[:500].tolist(), targets[:500].tolist(), strict=True):
            (nothing, x1), (y1, none), (no, x2) = sequence
            assert (nothing, none, no) == (0, 0, 0)
            w = y1 / x1
            assert -1 <= w <= 1
            assert 1 <= x1 <= 3
            assert 1 <= x2 <= 3
            assert target[0][0] == y1
            assert target[2][0] == pytest.approx(w * x2)
    assert t.dtype == t.inputs.dtype == t.targets.dtype == torch.float64


def test_slopes_and_inputs_fill_their_ranges():
    t = in_context()
    w = t.inputs[:, 1, 0] / t.inputs[:, 0, 1]
    for values, low, high in ((w, -1, 1), (t.inputs[:, 0, 1], 1, 3), (t.inputs[:, 2, 1], 1, 3)):
        quantiles = values.quantile(torch.linspace(0, 1, 5, dtype=values.dtype))
        np.testing.assert_allclose(quantiles, torch.linspace(low, high, 5), atol=0.05)
    together = torch.stack([w, t.inputs[:, 0, 1], t.inputs[:, 2, 1]]).corrcoef() - torch.eye(3)
    assert together.abs().max() < 0.05


def test_only_outputs_after_an_x_count():
    t = in_context()
    assert t.scored.tolist() == [[True, False], [False, False], [True, False]]
    outputs = torch.randn(1, *t.targets.shape, dtype=t.dtype)
    errors = [(outputs[0, :, index, 0] - t.targets[:, index, 0]).square().mean().item() for index in (0, 2)]
    assert t.loss(outputs, t.targets).item() == pytest.approx(sum(errors) / 2)
    assert t.score(outputs, t.targets).item() == pytest.approx(r2_score(t.targets[:, 2, 0], outputs[0, :, 2, 0]))


def test_the_best_prediction_has_the_documented_loss_and_a_score_of_one():
    t = in_context()
    best = torch.zeros_like(t.targets)
    best[:, 2, 0] = t.inputs[:, 1, 0] / t.inputs[:, 0, 1] * t.inputs[:, 2, 1]
    assert t.loss(best[None], t.targets).item() == pytest.approx(13 / 18, rel=0.03)
    assert t.score(best[None], t.targets).item() == pytest.approx(1)


def test_in_context_is_learnt():
    t = load_task("in_context")
    shared = replace(t.shared, steps=200)
    (snapshot,) = train(start(initialise(t.network, [0], dtype=t.dtype)), t, [t.per_network], shared, {200})
    assert t.score(snapshot.population.predict(t.test_inputs), t.test_targets).item() > 0.9


# Delayed response


def decode(bumps):
    """The direction of each bump: of the sum of its neurons' directions, weighted by their values."""
    directions = []
    for bump in bumps.tolist():
        x = sum(value * math.cos(math.pi * (2 * j + 1) / 8) for j, value in enumerate(bump))
        y = sum(value * math.sin(math.pi * (2 * j + 1) / 8) for j, value in enumerate(bump))
        directions.append(math.atan2(y, x))
    return torch.tensor(directions, dtype=torch.float64)


def angle_between(a, b):
    return torch.atan2((a - b).sin(), (a - b).cos()).abs()


def test_targets_are_bumps_in_all_directions():
    t = delayed_response()
    for rows, (_, targets) in zip((500, 2_000, 2_000), rows_of(t), strict=True):
        assert targets.shape == (rows, 9, 8)
        direction = decode(targets[:, 0])
        for index in range(9):
            for row, angle in list(enumerate(direction.tolist()))[::20]:
                expected = [math.exp(2 * (math.cos(math.pi * (2 * j + 1) / 8 - angle) - 1)) for j in range(8)]
                np.testing.assert_allclose(targets[row, index], expected, atol=2e-3)
        turns = (direction / (2 * math.pi) % 1).sort().values
        np.testing.assert_allclose(turns, (torch.arange(rows) + 0.5) / rows, atol=0.07)


def test_inputs_are_noisy_bumps_and_then_zeros():
    t = delayed_response()
    for inputs, targets in rows_of(t):
        assert inputs.shape == targets.shape
        assert (inputs[:, 3:] == 0).all()
        noise = inputs[:, :3] - targets[:, :3]
        assert noise.mean().item() == pytest.approx(0, abs=0.01)
        assert noise.std().item() == pytest.approx(0.2, rel=0.03)
        steps = noise.transpose(0, 1).flatten(1)
        assert (steps.corrcoef() - torch.eye(3)).abs().max() < 0.06
        shown = decode(inputs[:, :3].mean(1))
        assert angle_between(shown, decode(targets[:, 0])).mean() < 0.12  # one step alone: 0.19
    assert t.dtype == torch.float32


def test_only_times_of_the_delay_count():
    t = delayed_response()
    assert t.scored.tolist() == [[time >= 3] * 8 for time in range(9)]
    outputs = torch.randn(1, *t.targets.shape)
    errors = [(outputs[0, :, time] - t.targets[:, time]).square().mean().item() for time in range(3, 9)]
    assert t.loss(outputs, t.targets).item() == pytest.approx(sum(errors) / 6, rel=1e-5)
    assert t.score(outputs, t.targets).item() == pytest.approx(r2_score(t.targets[:, 8], outputs[0, :, 8]), rel=1e-5)


def test_names_are_the_angles_of_the_ring():
    t = delayed_response()
    row, column = (ring(8) - 0.5).T
    angles = torch.rad2deg(torch.atan2(row, column)) % 360
    np.testing.assert_allclose([float(name.removesuffix("°")) for name in t.input_names], angles)
    assert t.output_names == t.input_names


def test_delayed_response_is_learnt():
    t = load_task("delayed_response")
    shared = replace(t.shared, steps=300, relocate_every=100)
    (snapshot,) = train(start(initialise(t.network, [0])), t, [t.per_network], shared, {300})
    outputs = snapshot.population.predict(t.test_inputs)
    assert t.score(outputs, t.test_targets).item() > 0.7
    assert angle_between(decode(outputs[0, :, -1]), decode(t.test_targets[:, -1])).median() < 0.3
