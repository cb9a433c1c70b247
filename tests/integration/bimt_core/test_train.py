import torch

from bimt_core.hyperparameters import SharedHyperparameters
from bimt_core.population import initialise
from bimt_core.tasks import load_task
from bimt_core.train import start, train


def test_compiled_training_differs_by_rounding_only():
    t = load_task("independence").cast(torch.float64)
    shared = SharedHyperparameters(60, relocate_every=20)
    begin = start(initialise(t.network, [0, 1], dtype=torch.float64))
    plain, fast = (
        next(train(begin, t, [t.per_network] * 2, shared, {60}, compiled=compiled)) for compiled in (False, True)
    )
    torch.testing.assert_close(fast.population.flat, plain.population.flat, rtol=1e-8, atol=1e-10)
    again = next(train(begin, t, [t.per_network] * 2, shared, {60}, compiled=True))
    assert torch.equal(again.population.flat, fast.population.flat)
    assert torch.equal(again.moments.second, fast.moments.second)
    assert torch.equal(again.population.output_labels, fast.population.output_labels)
