from itertools import product

import pandas as pd
import pytest
import torch

from bimt_core.modularity import (
    METHODS,
    TRANSFORMS,
    ModularityRow,
    communities,
    modularity_table,
    null_modularity,
    weight_graph,
)
from bimt_core.networks import MLP
from bimt_core.population import initialise


def sparse_population(shape=(4, 20, 20, 2), networks=2, density=0.08, **options):
    population = initialise(MLP(shape, **options), range(networks))
    generator = torch.Generator().manual_seed(0)
    population.flat.mul_(torch.rand(population.flat.shape, generator=generator) < density)
    return population


def test_rows_match_single_computations():
    population = sparse_population()
    rows = modularity_table(population, seeds=2, null=5, seed=3, threshold=0.05)
    assert [(r.network, r.method, r.transform) for r in rows] == list(product(range(2), METHODS, TRANSFORMS))
    wiring = population.network.wiring
    for row in rows:
        tensors = {name: tensor[row.network] for name, tensor in population.tensors.items()}
        found = communities(weight_graph(wiring, tensors, row.transform, threshold=0.05), row.method, 2)
        z = [None] * 4
        if (row.method, row.transform) == ("louvain", "layer_max"):
            layer, used = (
                null_modularity(wiring, tensors, among=among, n=5, seed=3, threshold=0.05)
                for among in ("layer", "used")
            )
            z = [layer.z, layer.p, used.z, used.p]
        assert row == ModularityRow(row.network, row.method, row.transform, found.modularity, len(found), *z)


def test_rows_can_become_a_frame():
    frame = pd.DataFrame(modularity_table(sparse_population(), methods=["newman"], transforms=["raw"]))
    assert list(frame["method"]) == ["newman"] * 2
    assert frame["z"].isna().all()


def test_without_shuffling_there_is_no_z():
    assert all(row.z is None and row.p_used is None for row in modularity_table(sparse_population(), null=0))


def test_networks_of_zeros_have_rows():
    population = sparse_population()
    population.flat[0] = 0.0
    rows = [row for row in modularity_table(population, null=3) if row.network == 0]
    assert {(row.modularity, row.communities) for row in rows} == {(0.0, 0)}
    assert (rows[0].z, rows[0].p, rows[0].z_used, rows[0].p_used) == (0.0, 1.0, 0.0, 1.0)


def test_weights_that_are_not_finite_raise():
    population = sparse_population()
    population.tensors["weight1"][1, 0, 0] = torch.nan
    with pytest.raises(ValueError, match=r"^weights must be finite, tensor 'weight1' has nan$"):
        modularity_table(population)


def test_networks_of_published_sizes_have_rows():
    for shape, options, density in (
        ((32, 50, 50, 59), {"folds": 2, "vocabulary": 59}, 0.03),
        ((784, 100, 100, 10), {}, 0.004),
    ):
        assert len(modularity_table(sparse_population(shape, 1, density, **options), null=5)) == len(METHODS) * len(
            TRANSFORMS
        )
