from dataclasses import replace

import pytest
import torch

from bimt_core.hyperparameters import PerNetworkHyperparameters, SharedHyperparameters
from bimt_core.networks import MLP, RNN
from bimt_core.population import initialise
from bimt_core.rows import Rows, batch
from bimt_core.tasks import Task

N = 10
VALUES = MLP((3, 4, 2))
TOKENS = MLP((3, 4, 6), folds=2, vocabulary=5)
IMAGES = MLP(((2, 2), (1, 3), 5), ring_outputs=True, fixed_inputs=True)
SEQUENCES = RNN(3, (2, 2), 2)


def task_of(network, inputs, targets, scored=None):
    n_inputs, n_outputs = len(network.wiring.inputs), len(network.wiring.outputs)
    return Task(
        name="numbers",
        description="Different numbers everywhere.",
        inputs=inputs,
        targets=targets,
        validation_inputs=inputs,
        validation_targets=targets,
        test_inputs=inputs,
        test_targets=targets,
        network=network,
        per_network=PerNetworkHyperparameters(),
        shared=SharedHyperparameters(),
        model_seed=0,
        input_names=tuple(f"x{i}" for i in range(n_inputs)),
        output_names=tuple(f"y{i}" for i in range(n_outputs)),
        scored=scored,
    )


def numbers(*shape):
    return torch.arange(float(torch.Size(shape).numel())).view(shape)


TASKS = {
    "values": task_of(VALUES, numbers(N, 3), -numbers(N, 2)),
    "classes": task_of(TOKENS, torch.arange(2 * N).view(N, 2) % 5, torch.arange(N) % 6),
    "images": task_of(IMAGES, numbers(N, 4), -numbers(N, 5)),
    "sequences": task_of(
        SEQUENCES, numbers(N, 4, 3), -numbers(N, 4, 2), torch.tensor([[1, 0], [0, 0], [1, 1], [0, 1]]).bool()
    ),
}


def shuffled(network, networks=3, seed=0):
    """A population whose inputs and outputs have moved."""
    population = initialise(network, range(networks))
    random = torch.Generator().manual_seed(seed)
    orders = {
        n.name: torch.stack([torch.randperm(len(n), generator=random) for _ in range(networks)])
        for n in (network.wiring.inputs, network.wiring.outputs)
        if n.movable
    }
    return population.rearrange(orders)


def check(rows, task, population, selection):
    """Compares the buffers with the selected rows, ordered by each network's labels."""
    inputs, targets, n = task.inputs[selection], task.targets[selection], len(population)
    if task.network.takes_tokens:
        assert torch.equal(rows.inputs, inputs)
    for network in range(n):
        at_inputs, at_outputs = population.input_labels[network].tolist(), population.output_labels[network].tolist()
        for place, label in enumerate([] if task.network.takes_tokens else at_inputs):
            assert torch.equal(rows.inputs[network, ..., place], inputs[..., label])
        for place, label in enumerate(at_outputs):
            if task.loss_name == "cross_entropy":
                assert torch.equal(rows.targets[network] == place, targets == label)
            else:
                assert torch.equal(rows.targets[network, ..., place], targets[..., label])
            if task.scored is not None:
                assert torch.equal(rows.scored[network, 0, :, place], task.scored[:, label])


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("networks", [1, 3])
def test_all_rows_are_ordered_by_the_labels(name, networks):
    task = TASKS[name]
    population = shuffled(task.network, networks)
    rows = Rows(task, population, 0)
    check(rows, task, population, slice(None))
    rows.load(7)
    check(rows, task, population, slice(None))


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("networks", [1, 3])
@pytest.mark.parametrize("size", [1, 3, N])
def test_the_rows_of_a_step_are_ordered_by_the_labels(name, networks, size):
    task = TASKS[name]
    population = shuffled(task.network, networks)
    rows = Rows(task, population, size)
    for step in (0, 1, 7, 3):
        rows.load(step)
        check(rows, task, population, batch(N, size, step))


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("size", [0, 4])
def test_buffers_keep_their_memory(name, size):
    task = TASKS[name]
    rows = Rows(task, shuffled(task.network), size)
    buffers = rows.inputs, rows.targets, rows.scored
    shapes = [None if b is None else (b.data_ptr(), b.shape, b.stride(), b.dtype) for b in buffers]
    for step in range(5):
        moved = shuffled(task.network, seed=step + 1)
        rows.update(moved)
        rows.load(step)
        check(rows, task, moved, batch(N, size, step) if size else slice(None))
        now = [None if b is None else (b.data_ptr(), b.shape, b.stride(), b.dtype) for b in buffers]
        assert now == shapes
        assert all(a is b for a, b in zip(buffers, (rows.inputs, rows.targets, rows.scored), strict=True))


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("size", [0, 4])
def test_the_tasks_data_stay_unchanged(name, size):
    task = TASKS[name]
    inputs, targets = task.inputs.clone(), task.targets.clone()
    rows = Rows(task, shuffled(task.network), size)
    rows.load(1)
    rows.update(shuffled(task.network, seed=1))
    assert torch.equal(task.inputs, inputs)
    assert torch.equal(task.targets, targets)


@pytest.mark.parametrize("size", [0, 4])
def test_fixed_inputs_are_stored_once(size):
    rows = Rows(TASKS["images"], shuffled(IMAGES, networks=50), size)
    assert rows.inputs.shape == (50, size or N, 4)
    assert rows.inputs.untyped_storage().size() == (size or N) * 4 * rows.inputs.element_size()
    assert rows.targets.untyped_storage().size() == 50 * (size or N) * 5 * rows.targets.element_size()


def test_rows_are_contiguous_in_memory():
    rows = Rows(TASKS["values"], shuffled(VALUES), 4)
    assert rows.inputs.mT.is_contiguous()
    assert rows.targets.mT.is_contiguous()


@pytest.mark.parametrize(("n", "size"), [(10, 1), (10, 3), (10, 5), (10, 10), (1, 1), (7, 2)])
def test_an_epoch_has_every_row_at_most_once(n, size):
    batches = n // size
    epochs = []
    for epoch in range(6):
        seen = torch.cat([batch(n, size, step) for step in range(epoch * batches, (epoch + 1) * batches)]).tolist()
        assert len(seen) == len(set(seen)) == batches * size
        assert set(seen) <= set(range(n))
        epochs.append(seen)
    if n > 5:
        assert len({tuple(seen) for seen in epochs}) == 6


def test_every_row_is_used_over_epochs():
    seen = torch.cat([batch(10, 4, step) for step in range(40)])  # each epoch leaves out two other rows
    assert set(seen.tolist()) == set(range(10))


def test_a_batch_depends_on_its_step_only():
    in_order = [batch(50, 7, step) for step in range(40)]
    assert all(torch.equal(batch(50, 7, step), in_order[step]) for step in reversed(range(40)))
    assert all(step.dtype == torch.int64 and step.shape == (7,) for step in in_order)
    torch.manual_seed(123)
    assert torch.equal(batch(50, 7, 11), in_order[11])


@pytest.mark.parametrize("size", [N + 1, 100])
def test_batches_larger_than_the_data_are_refused(size):
    with pytest.raises(ValueError, match=f"batch_size must be at most the number of rows 10, got {size}"):
        Rows(TASKS["values"], shuffled(VALUES), size)


def test_the_mask_of_scored_outputs_moves_with_the_outputs():
    task = TASKS["sequences"]
    ordered = initialise(SEQUENCES, [0])
    rows = Rows(task, ordered, 2)
    assert torch.equal(rows.scored[0, 0], task.scored)
    rows.update(ordered.rearrange({"output": torch.tensor([[1, 0]])}))
    assert torch.equal(rows.scored[0, 0], task.scored.flip(1))
    assert Rows(replace(task, scored=None), ordered, 2).scored is None
