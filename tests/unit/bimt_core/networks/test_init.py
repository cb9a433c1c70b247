import json

import pytest
from torch import nn

from bimt_core.geometry import line
from bimt_core.networks import KINDS, MLP, RNN, ModuleNetwork, Transformer, from_dict, to_dict
from bimt_core.wiring import Axis, Neurons, Wire, Wiring

NETWORKS = [
    MLP((4, 20, 20, 2)),
    MLP((32, 50, 24), "mean", 2, vocabulary=24),
    MLP(((3, 2), (2, 4), (1, 3))),
    MLP(((4, 5), (3, 3), 4), ring_outputs=True, fixed_inputs=True),
    RNN(3, (2, 4), 2),
    RNN(1, (1, 1), 1, "sum"),
    Transformer(2, 2),
    Transformer(3, 1, 8, 3, 4, 5, "sum"),
]


@pytest.mark.parametrize("network", NETWORKS)
def test_plain_data_describe_the_architecture(network):
    data = json.loads(json.dumps(to_dict(network)))
    again = from_dict(data)
    assert again == network
    assert hash(again) == hash(network)
    assert type(again) is KINDS[data["kind"]]
    assert again.wiring.n_parameters == network.wiring.n_parameters


def test_different_networks_have_different_data():
    descriptions = [json.dumps(to_dict(network)) for network in NETWORKS]
    assert len(set(descriptions)) == len(NETWORKS)


def test_an_unknown_kind_is_refused():
    for kind in ("cnn", None, 3):
        with pytest.raises(ValueError, match=f"network kind must be one of mlp, rnn, transformer, got {kind!r}"):
            from_dict({"kind": kind, "shape": [4, 2]})
    with pytest.raises(ValueError, match="network kind must be one of mlp, rnn, transformer, got None"):
        from_dict({"shape": [4, 2]})


def test_a_module_is_named_but_not_built():
    neurons = Neurons("input", line(3)), Neurons("output", line(2))
    wires = Wire("weight", (Axis("output"), Axis("input"))), Wire("bias", (Axis("output"),))
    network = ModuleNetwork(lambda: nn.Linear(3, 2), Wiring(neurons, wires))
    data = json.loads(json.dumps(to_dict(network)))
    assert data["kind"] == "module"
    with pytest.raises(ValueError, match=r"networks of the module .*<lambda>.*: pass network= to read them"):
        from_dict(data)
