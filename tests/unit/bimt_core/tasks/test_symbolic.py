import numpy as np
import pytest
import torch

from bimt_core.tasks import load_task
from bimt_core.tasks.symbolic import compositionality, feature_sharing, independence, two_moons


@pytest.mark.parametrize("name", ["independence", "feature_sharing", "compositionality", "two_moons"])
def test_data_equal_the_published_ones(name, reference):
    _, arrays = reference("training")
    t = load_task(name, published=True)
    for key, data in (("x", t.inputs), ("y", t.targets), ("xt", t.test_inputs), ("yt", t.test_targets)):
        np.testing.assert_array_equal(data.numpy(), arrays[f"{name}.{key}"], strict=True)


def test_targets_equal_the_formulas():
    for factory, formula in (
        (independence, lambda x1, x2, x3, x4: [(x1 + x3) ** 3, x2**2 + np.sin(np.pi * x4)]),
        (feature_sharing, lambda x1, x2, x3: [x1**2, x1**2 + x2**2, x1**2 + x2**2 + x3**2]),
        (compositionality, lambda x1, x2, x3, x4: [np.hypot(x1 - x2, x3 - x4)]),
    ):
        t = factory(11)
        for rows, inputs, targets in (
            (100, t.inputs, t.targets),
            (2000, t.validation_inputs, t.validation_targets),
            (2000, t.test_inputs, t.test_targets),
        ):
            assert inputs.shape[0] == rows
            assert inputs.abs().max() <= 1
            np.testing.assert_allclose(targets.T, formula(*inputs.numpy().T), rtol=1e-4, atol=1e-5)


def test_two_moons_are_half_circles():
    t = two_moons(5)
    assert (t.inputs.shape, t.targets.dtype) == ((200, 2), torch.int64)
    for inputs, targets in (
        (t.inputs, t.targets),
        (t.validation_inputs, t.validation_targets),
        (t.test_inputs, t.test_targets),
    ):
        for centre, sign, number in (((0.0, 0.0), 1, 0), ((1.0, 0.5), -1, 1)):
            offsets = inputs[targets == number] - torch.tensor(centre)
            assert len(offsets) == len(inputs) / 2
            assert offsets.norm(dim=1).mean().item() == pytest.approx(1, abs=0.05)
            assert (sign * offsets[:, 1] > -0.4).all()
