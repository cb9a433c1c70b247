"""Ablation, against hand-written networks whose neurons are held at 0."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from itertools import product

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, silu

from bimt_core.geometry import line
from bimt_core.modularity import Communities, Node, louvain, weight_graph
from bimt_core.networks import MLP, RNN, ModuleNetwork, Network, Transformer
from bimt_core.population import Population, initialise
from bimt_core.surgery import (
    ablate,
    evaluation,
    score_community_ablations,
    score_neuron_ablations,
    score_subset_ablations,
)
from bimt_core.tasks import Task, load_task
from bimt_core.wiring import Neurons, Wiring, linear_wires

Selection = Mapping[str, Collection[int]]


class Skipping(nn.Module):
    """Two paths from input to output."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down, self.skip = nn.Linear(3, 5), nn.Linear(5, 2), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(silu(self.up(x))) + self.skip(x)


NETWORKS: dict[str, Network] = {
    "lines": MLP((3, 5, 4, 2)),
    "grids": MLP(((2, 2), (3, 3), 4), ring_outputs=True),
    "tokens": MLP((3, 5, 4), folds=2, vocabulary=6),
    "recurrent": RNN(3, (2, 3), 2),
    "transformer": Transformer(3, 2, width=6, heads=2, hidden_width=5),
    "module": ModuleNetwork(
        Skipping,
        Wiring(
            tuple(Neurons(name, line(n)) for name, n in (("input", 3), ("hidden", 5), ("output", 2))),
            (
                *linear_wires("up", "input", "hidden"),
                *linear_wires("down", "hidden", "output"),
                *linear_wires("skip", "input", "output"),
            ),
        ),
    ),
}


def hold(values: Tensor, name: str, silent: Selection) -> Tensor:
    """Values of a set of neurons (last dimension), the silent ones replaced by 0."""
    values = values.clone()
    values[..., list(silent.get(name, ()))] = 0.0
    return values


def by_hand(network: Network, tensors: dict[str, Tensor], inputs: Tensor, silent: Selection) -> Tensor:
    """Outputs of one network for one row."""

    def apply(name: str, values: Tensor) -> Tensor:
        return tensors[f"{name}.weight"] @ values + tensors[f"{name}.bias"]

    if isinstance(network, MLP):
        values = tensors["embedding"][inputs] if network.vocabulary else inputs
        values = hold(values, "input", silent).flatten()
        for layer, neurons in enumerate(network.wiring.neurons[1:]):
            values = tensors[f"weight{layer}"] @ values + tensors[f"bias{layer}"]
            values = hold(silu(values), neurons.name, silent) if neurons is not network.wiring.outputs else values
        return values
    if isinstance(network, RNN):
        state, outputs = inputs.new_zeros(len(network.wiring["hidden"])), []
        for values in hold(inputs, "input", silent):
            state = hold(torch.tanh(apply("in", values) + tensors["recurrent"] @ state), "hidden", silent)
            outputs.append(apply("out", state))
        return torch.stack(outputs)
    if isinstance(network, Transformer):
        stream = [hold(apply("embed", values), "residual", silent) for values in hold(inputs, "input", silent)]
        for block in range(1, network.blocks + 1):
            qkv = [apply(f"attend{block}", values).unflatten(0, (3, -1)) for values in stream]
            qkv = [hold(fold, f"heads{block}", silent).unflatten(1, (network.heads, -1)) for fold in qkv]
            for step in reversed(range(len(stream))):
                query = qkv[step][0]
                match = torch.stack([(query * earlier[1]).sum(1) for earlier in qkv[: step + 1]])
                share = (match / query.shape[1] ** 0.5).softmax(0)
                mixed = sum(part.unsqueeze(1) * earlier[2] for part, earlier in zip(share, qkv, strict=False))
                stream[step] = hold(stream[step] + apply(f"attended{block}", mixed.flatten()), "residual", silent)
            for step, values in enumerate(stream):
                hidden = hold(gelu(apply(f"expand{block}", values), approximate="tanh"), f"hidden{block}", silent)
                stream[step] = hold(values + apply(f"contract{block}", hidden), "residual", silent)
        return torch.stack([apply("read", values) for values in stream])
    values = hold(inputs, "input", silent)
    return apply("down", hold(silu(apply("up", values)), "hidden", silent)) + apply("skip", values)


def some_networks(name: str) -> tuple[Population, Tensor]:
    """Two networks and inputs for them."""
    network = NETWORKS[name]
    population = initialise(network, [0, 1], dtype=torch.float64)
    if network.takes_tokens:
        return population, torch.randint(6, (7, 2))
    sequence = (4,) if name in ("recurrent", "transformer") else ()
    return population, torch.randn(7, *sequence, len(network.wiring.inputs), dtype=torch.float64)


def expected(population: Population, inputs: Tensor, silent: Selection) -> Tensor:
    """Outputs of a population for several rows."""
    one = [{key: tensor[i] for key, tensor in population.tensors.items()} for i in range(len(population))]
    return torch.stack([torch.stack([by_hand(population.network, t, row, silent) for row in inputs]) for t in one])


@pytest.mark.parametrize("name", NETWORKS)
def test_hand_written_networks_are_correct(name: str) -> None:
    population, inputs = some_networks(name)
    torch.testing.assert_close(expected(population, inputs, {}), population.predict(inputs))


@pytest.mark.parametrize(
    ("name", "neurons"), [(name, n.name) for name, network in NETWORKS.items() for n in network.wiring.neurons[:-1]]
)
def test_ablated_neurons_are_held_at_0(name: str, neurons: str) -> None:
    population, inputs = some_networks(name)
    for places in ([0], [len(population.network.wiring[neurons]) - 1], [0, 2]):
        found = ablate(population, {neurons: places}).predict(inputs)
        torch.testing.assert_close(found, expected(population, inputs, {neurons: places}))
        assert not torch.allclose(found, population.predict(inputs))


@pytest.mark.parametrize("name", NETWORKS)
def test_neurons_of_several_sets_can_be_pairs(name: str) -> None:
    population, inputs = some_networks(name)
    names = [neurons.name for neurons in population.network.wiring.neurons[:-1]]
    silent = {name: [1] for name in names}
    found = ablate(population, frozenset((name, 1) for name in names))
    torch.testing.assert_close(found.predict(inputs), expected(population, inputs, silent))
    assert torch.equal(found.flat, ablate(population, silent).flat)


@pytest.mark.parametrize("name", NETWORKS)
def test_ablating_outputs_changes_nothing(name: str) -> None:
    population, inputs = some_networks(name)
    outputs = {population.network.wiring.outputs.name: [0, 1]}
    torch.testing.assert_close(ablate(population, outputs).predict(inputs), population.predict(inputs))


def test_outputs_that_feed_back_lose_their_outgoing_weights() -> None:
    wiring = Wiring(
        (Neurons("input", line(2)), Neurons("output", line(2))),
        (*linear_wires("in", "input", "output"), *linear_wires("back", "output", "input")),
    )

    class Feedback(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.add_module("in", nn.Linear(2, 2))
            self.add_module("back", nn.Linear(2, 2))

        def forward(self, x: Tensor) -> Tensor:
            return x

    population = initialise(ModuleNetwork(Feedback, wiring), [0])
    before, after = population.tensors, ablate(population, {"output": [1]}).tensors
    assert torch.equal(after["in.weight"], before["in.weight"]) and torch.equal(after["in.bias"], before["in.bias"])
    assert torch.equal(after["back.weight"][..., 0], before["back.weight"][..., 0])
    assert not after["back.weight"][..., 1].any()


def test_the_argument_is_not_changed() -> None:
    population, _ = some_networks("lines")
    before = population.flat.clone()
    silent = ablate(population, {"hidden1": [0]})
    assert torch.equal(population.flat, before)
    assert torch.equal(silent.flat, ablate(silent, {}).flat)
    assert torch.equal(silent.input_labels, population.input_labels)


def test_places_are_those_after_relocation() -> None:
    population, inputs = some_networks("lines")
    order = torch.tensor([[2, 0, 1], [0, 2, 1]])
    moved = population.rearrange({"input": order})
    for network in range(2):
        found = ablate(moved, {"input": [1]}).select([network]).predict(inputs)
        there = int(order[network, 1])
        torch.testing.assert_close(found, ablate(population, {"input": [there]}).select([network]).predict(inputs))


@pytest.mark.parametrize(
    ("neurons", "message"),
    [
        ({"hiden1": [0]}, "neurons must be of the sets input, hidden1, hidden2, output, got 'hiden1'"),
        ({"hidden1": [5]}, "places of neurons 'hidden1' must be between 0 and 4, got 5"),
        ({"hidden1": [0, -1]}, "places of neurons 'hidden1' must be between 0 and 4, got -1"),
        ([("hidden9", 0)], "neurons must be of the sets .* got 'hidden9'"),
    ],
)
def test_unknown_neurons_raise(neurons: Selection, message: str) -> None:
    population, _ = some_networks("lines")
    with pytest.raises(ValueError, match=message) as caught:
        ablate(population, neurons)
    assert "\n" not in str(caught.value)


def sparse_population(of: Task, kept: float) -> Population:
    population = initialise(of.network, [0, 1, 2], dtype=of.dtype)
    keep = torch.rand(population.flat.shape, generator=torch.Generator().manual_seed(7)) < kept
    return replace(population, flat=population.flat * keep)


def communities_of(population: Population, network: int) -> Communities:
    tensors = {name: tensor[network] for name, tensor in population.tensors.items()}
    return louvain(weight_graph(population.network.wiring, tensors), seeds=1)


@pytest.mark.parametrize("name", ["independence", "two_moons", "permutation_s4", "delayed_response", "digits"])
def test_scores_match_setting_weights_to_0(name: str) -> None:
    of = load_task(name)
    population = sparse_population(of, 0.1)
    communities = communities_of(population, 1)
    whole, found = score_community_ablations(population, of, 1, communities)
    assert whole == pytest.approx(of.score(population.predict(of.test_inputs), of.test_targets)[1].item())
    assert [ablation.members for ablation in found] == list(communities.members)
    for ablation in found:
        others = [node for community in communities.members if community != ablation.members for node in community]
        for nodes, score in ((ablation.members, ablation.score_without), (others, ablation.score_alone)):
            one = population.select([1])
            for neurons, place in nodes:
                for wire in of.network.wiring.weights:
                    if wire.ends[1].neurons == neurons:
                        one.tensors[wire.tensor][0, :, place :: len(of.network.wiring[neurons])] = 0.0
            expected_score = of.score(one.predict(of.test_inputs), of.test_targets).item()
            assert score == pytest.approx(expected_score, rel=1e-4, abs=1e-6)


def test_a_useful_and_an_idle_community_differ() -> None:
    of = load_task("two_moons")
    population = initialise(of.network, [0])
    population.flat.zero_()
    tensors = population.tensors
    tensors["weight0"][0, 0, 1] = tensors["weight1"][0, 0, 0] = 1.0  # x2 by two neurons to "upper moon"
    tensors["weight2"][0, 0, 0], tensors["bias2"][0, 1] = 2.0, 0.25
    useful = frozenset({("input", 1), ("hidden1", 0), ("hidden2", 0), ("output", 0)})
    idle = frozenset({("input", 0), ("hidden1", 1)})
    whole, (one, other) = score_community_ablations(population, of, 0, Communities(0.5, (useful, idle)))
    assert whole > 0.7
    assert (one.score_without, one.score_alone) == (0.5, whole)
    assert (other.score_without, other.score_alone) == (whole, 0.5)


def test_without_communities_only_the_whole_score_is_returned() -> None:
    of = load_task("two_moons")
    population = sparse_population(of, 0.3)
    whole, found = score_community_ablations(population, of, 2, Communities(0.0, ()))
    assert found == []
    assert whole == pytest.approx(of.score(population.predict(of.test_inputs), of.test_targets)[2].item())


def test_communities_of_another_network_raise() -> None:
    of = load_task("two_moons")
    with pytest.raises(ValueError, match="places of neurons 'hidden1' must be between 0 and 19, got 20"):
        score_community_ablations(sparse_population(of, 0.3), of, 0, Communities(0.0, (frozenset({("hidden1", 20)}),)))


@pytest.mark.parametrize("name", ["independence", "feature_sharing", "delayed_response"])
def test_every_neuron_is_ablated_in_turn(name: str) -> None:
    of = load_task(name)
    population = sparse_population(of, 0.1)
    found = score_neuron_ablations(population, of, 2)
    sets = of.network.wiring.neurons[:-1]
    assert list(found) == [(neurons.name, place) for neurons in sets for place in range(len(neurons))]
    for node in list(found)[::7]:
        outputs = ablate(population, [node]).predict(of.test_inputs)
        assert found[node] == pytest.approx(of.score(outputs, of.test_targets)[2].item(), abs=1e-6)
    assert len(set(found.values())) > 1


@pytest.mark.parametrize("values", [1, 2**26])
@pytest.mark.parametrize("name", ["independence", "delayed_response", "feature_sharing"])
def test_subsets_match_ablating_the_other_communities(name: str, values: int, monkeypatch) -> None:
    monkeypatch.setattr(evaluation, "VALUES_AT_ONCE", values)
    of = load_task(name)
    population = sparse_population(of, 0.5)
    nodes = [(neurons.name, place) for neurons in of.network.wiring.neurons for place in range(len(neurons))]
    communities = Communities(0.0, tuple(frozenset(nodes[first::9]) for first in range(4)))
    found = score_subset_ablations(population, of, 1, communities, max_communities=3)
    assert list(found) == list(product((True, False), repeat=3))
    for kept, score in found.items():
        out = [some for is_kept, some in zip(kept, communities.members, strict=False) if not is_kept]
        one = ablate(population, frozenset[Node]().union(*out)).select([1])
        assert score == pytest.approx(of.score(one.predict(of.test_inputs), of.test_targets).item(), abs=1e-6)
    assert len(set(found.values())) == 8


def test_subsets_agree_with_single_community_ablations() -> None:
    of = load_task("independence")
    population = sparse_population(of, 0.02)
    communities = communities_of(population, 0)
    communities = Communities(communities.modularity, communities.members[:3])
    whole, ablations = score_community_ablations(population, of, 0, communities)
    found = score_subset_ablations(population, of, 0, communities)
    assert len(found) == 8
    assert found[True, True, True] == pytest.approx(whole, abs=1e-6)
    for number, ablation in enumerate(ablations):
        alone = tuple(other == number for other in range(3))
        assert found[alone] == pytest.approx(ablation.score_alone, abs=1e-6)
        assert found[tuple(not kept for kept in alone)] == pytest.approx(ablation.score_without, abs=1e-6)


def test_no_communities_have_one_subset() -> None:
    of = load_task("two_moons")
    population = sparse_population(of, 0.3)
    ((kept, score),) = score_subset_ablations(population, of, 0, Communities(0.0, ())).items()
    assert (kept, score) == ((), score_community_ablations(population, of, 0, Communities(0.0, ()))[0])


@pytest.mark.parametrize("value", [0, 11])
def test_invalid_max_communities_raises(value: int) -> None:
    of = load_task("two_moons")
    with pytest.raises(ValueError, match=f"max_communities must be between 1 and 10, got {value}"):
        score_subset_ablations(sparse_population(of, 0.3), of, 0, Communities(0.0, ()), value)


def test_networks_that_are_not_finite_raise() -> None:
    of, nothing = load_task("two_moons"), Communities(0.0, ())
    population = sparse_population(of, 0.3)
    population.flat[1, 0] = torch.nan
    for network, message in (
        (1, "network 1 has parameters that are not finite"),
        (3, "network must be between 0 and 2"),
    ):
        for evaluate in (
            lambda n: score_community_ablations(population, of, n, nothing),
            lambda n: score_subset_ablations(population, of, n, nothing),
            lambda n: score_neuron_ablations(population, of, n),
        ):
            with pytest.raises(ValueError, match=message):
                evaluate(network)
    assert score_neuron_ablations(population, of, 0)
