from dataclasses import replace

import torch
from support.cohorts import THREE, train_all


def test_a_compiled_cohort_ends_where_one_without_compiling_does(three):
    *_, last = train_all(replace(THREE, compiled=True))
    torch.testing.assert_close(last.snapshot.population.flat, three[-1].snapshot.population.flat, rtol=1e-3, atol=1e-4)
