from dataclasses import replace

import pytest
import torch

from bimt_core.modularity import Communities, louvain, weight_graph
from bimt_core.pictures.subject import (
    BROKEN,
    EMPTY,
    find_communities,
    find_embedding,
    find_fault,
    make_drawable,
    rank_embedding_neurons,
    select_network,
    task_title,
    tensors_of,
    token_names,
)
from bimt_core.tasks import load_task

MOONS, TOKENS = load_task("two_moons"), load_task("permutation_s4")


def test_one_network_is_selected(sparse) -> None:
    population = sparse(MOONS, 3)
    assert torch.equal(select_network(population, 2).flat, population.flat[2:])
    for index in (-1, 3):
        with pytest.raises(ValueError, match=f"network must be between 0 and 2, got {index}"):
            select_network(population, index)


def test_titles_are_names_in_words() -> None:
    assert task_title(MOONS) == "two moons"
    assert task_title(replace(MOONS, name="my.module:my_task")) == "my task"


def test_faults_are_found_and_removed(sparse) -> None:
    one = sparse(MOONS)
    assert find_fault(one) is None and make_drawable(one) is one
    empty = replace(one, flat=torch.full_like(one.flat, 1e-4))
    assert find_fault(empty) == EMPTY and make_drawable(empty) is empty
    one.flat[0, 5] = torch.inf
    assert find_fault(one) == BROKEN and not make_drawable(one).flat.any()


def test_communities_are_found_only_if_none_are_given(sparse) -> None:
    one, given = sparse(MOONS), Communities(0.0, ())
    assert find_communities(one, given) is given
    assert find_communities(one) == louvain(weight_graph(one.network.wiring, tensors_of(one)))


def test_the_embedding_is_found(sparse) -> None:
    one = sparse(TOKENS)
    assert find_embedding(one, TOKENS).equal(one.tensors["embedding"][0])
    with pytest.raises(ValueError, match="needs tokens with a trainable embedding, task 'two_moons' has none"):
        find_embedding(sparse(MOONS), MOONS)
    assert token_names(TOKENS, 24) == list(TOKENS.output_names) and token_names(TOKENS, 3) == ["0", "1", "2"]


def test_embedding_neurons_are_ranked_by_spread_and_outgoing_weights(sparse) -> None:
    one = sparse(TOKENS, kept=0.0)
    tensors, values = one.tensors, torch.arange(24.0, dtype=TOKENS.dtype)
    for place, spread, weight in ((3, 1.0, 1.0), (5, 4.0, 1.0), (7, 1.0, 2.0), (9, 1.0, 1e-4), (11, 0.0, 1.0)):
        tensors["embedding"][0, :, place] = spread * values
        tensors["weight0"][0, 0, 32 + place] = -weight
    assert rank_embedding_neurons(one, find_embedding(one, TOKENS)) == [5, 7, 3]
