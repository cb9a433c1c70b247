"""The rows of the table "planted" in groups, from which `benchmarks/confirmation.py` estimates the error due to rows.

    python benchmarks/planted_rows.py

Trains the last 256 networks of benchmarks/tables/planted.npz again and measures them on the same 25 test sets, each in
20 groups of 100 rows. Checks that means over the groups are those of the table. Writes
benchmarks/tables/planted_rows.npz. Takes two minutes on one core.
"""

import numpy as np
import torch
from _printing import make_parser
from search_table import PLANTED_ROWS, PLANTED_SEEDS, PLANTED_SETS, TABLES, train_networks
from sklearn.datasets import make_moons
from torch.nn.functional import cross_entropy

from bimt_core import load_task
from sweeps.spec.recipe import recipe

NETWORKS, GROUPS = 256, 20
PART = 128  # as in the table
FIRST_TEST_SET = 20_000


def measure_part(first: int) -> tuple[np.ndarray, np.ndarray]:
    """Trains a part and measures it: mean losses and correct rows, shape (networks, sets, groups)."""
    task = load_task("two_moons")
    (population,) = train_networks(task, [recipe(task, {})] * PART, list(range(first, first + PART)), (1.0,))
    losses, right = [], []
    for data_seed in range(FIRST_TEST_SET, FIRST_TEST_SET + PLANTED_SETS):
        x, y = make_moons(PLANTED_ROWS, noise=0.1, random_state=data_seed)
        outputs = population.predict(torch.from_numpy(x).float())
        targets = torch.from_numpy(y).long().expand(PART, -1)
        by_row = cross_entropy(outputs.permute(0, 2, 1), targets, reduction="none")
        losses.append(by_row.unflatten(1, (GROUPS, -1)).mean(2).numpy())
        right.append((outputs.argmax(2) == targets).unflatten(1, (GROUPS, -1)).sum(2).numpy())
    return np.stack(losses, 1), np.stack(right, 1)


def main() -> None:
    make_parser(__doc__, json=False).parse_args()
    torch.set_num_threads(1)
    parts = [measure_part(first) for first in range(PLANTED_SEEDS - NETWORKS, PLANTED_SEEDS, PART)]
    losses, right = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    planted = np.load(TABLES / "planted.npz")
    assert np.allclose(losses.mean(2), planted["test_loss"][-NETWORKS:], rtol=1e-3), "losses differ from the table's"
    assert (right.sum(2) == planted["test_right"][-NETWORKS:]).all(), "correct rows differ from the table's"
    path = TABLES / "planted_rows.npz"
    np.savez_compressed(path, test_loss=losses.astype(np.float16), test_right=right.astype(np.uint8))


if __name__ == "__main__":
    main()
