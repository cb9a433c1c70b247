import pytest
import torch

from bimt_core.tasks.held_out import draw_held_out, shuffle_by_class, split_held_out


def some_rows(n, classes):
    """Rows that are numbered, each with its class as its target."""
    return torch.arange(n), torch.randint(classes, (n,))


@pytest.mark.parametrize(("n", "classes"), [(2, 1), (7, 3), (100, 10), (101, 10), (500, 60), (30, 30)])
@pytest.mark.parametrize("seed", [0, 1, 5])
def test_halves_are_disjoint_complete_and_stratified(n, classes, seed):
    numbers, labels = some_rows(n, classes)
    (a, a_labels), (b, b_labels) = split_held_out((numbers, labels), labels, seed)
    assert torch.cat([a, b]).sort().values.equal(numbers)
    assert a.equal(a.sort().values) and b.equal(b.sort().values)
    assert a_labels.equal(labels[a]) and b_labels.equal(labels[b])
    counts = [half.bincount(minlength=classes) for half in (a_labels, b_labels)]
    assert (counts[0] - counts[1]).abs().max() <= 1
    assert len(a) - len(b) == n % 2


def test_a_split_depends_on_its_seed_alone():
    numbers, labels = some_rows(100, 4)
    splits = [split_held_out((numbers, labels), labels, seed)[0][0] for seed in (0, 0, 1)]
    assert splits[0].equal(splits[1]) and not splits[0].equal(splits[2])


def test_every_row_is_equally_often_a_validation_row():
    numbers, labels = some_rows(40, 3)
    often = torch.zeros(40)
    for seed in range(400):
        often[split_held_out((numbers, labels), labels, seed)[0][0]] += 1
    assert often.min() > 150 and often.max() < 250  # 200 expected, standard deviation 10


def test_published_rows_are_not_split():
    rows = some_rows(9, 2)
    assert split_held_out(rows, rows[1], 0, published=True) == (rows, rows)


def test_rows_are_class_by_class_in_random_order():
    labels = torch.tensor([1, 0, 1, 0, 0, 2, 1, 0])
    order = shuffle_by_class(labels, 3)
    assert labels[order].tolist() == [0, 0, 0, 0, 1, 1, 1, 2]
    assert order.sort().values.tolist() == list(range(8))
    assert len({tuple(shuffle_by_class(labels, seed)[:4].tolist()) for seed in range(50)}) > 10


def draw(random, n):
    return torch.from_numpy(random.rand(n)), torch.zeros(n)


def test_drawn_rows_come_from_streams_of_their_own():
    validation, test = draw_held_out(draw, 3)
    assert len(validation[0]) == len(test[0]) == 2000
    assert len(torch.cat([validation[0], test[0], draw_held_out(draw, 4)[0][0]]).unique()) == 6000
    assert all(a.equal(b) for a, b in zip(validation, draw_held_out(draw, 3)[0], strict=True))


def test_published_test_rows_are_kept_and_validation_rows_are_drawn():
    published = torch.ones(5), torch.ones(5)
    validation, test = draw_held_out(draw, 3, published)
    assert test is published
    assert validation[0].equal(draw_held_out(draw, 3)[0][0])
