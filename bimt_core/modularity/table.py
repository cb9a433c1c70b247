"""Modularity of every network of a population, by every method and transform."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from bimt_core.modularity.graph import TRANSFORMS, Transform, weight_graph
from bimt_core.modularity.methods import METHODS, Method, communities
from bimt_core.modularity.null import null_modularity
from bimt_core.population import Population
from bimt_core.wiring import ACTIVE


@dataclass(frozen=True)
class ModularityRow:
    """Modularity of one network by one method and transform; rows are what `pandas.DataFrame` takes.

    Args:
        network: Index in the population.
        method: See `communities`.
        transform: See `weight_graph`.
        modularity: Q.
        communities: Their number.
        z: Against weights shuffled within each layer, see `null_modularity`; None unless Louvain and "layer_max".
        p: The same.
        z_used: Against weights shuffled among the neurons in use; None as z.
        p_used: The same.
    """

    network: int
    method: Method
    transform: Transform
    modularity: float
    communities: int
    z: float | None = None
    p: float | None = None
    z_used: float | None = None
    p_used: float | None = None


def modularity_table(
    population: Population,
    *,
    methods: Sequence[Method] = METHODS,
    transforms: Sequence[Transform] = TRANSFORMS,
    seeds: int = 10,
    null: int = 100,
    seed: int = 0,
    threshold: float = ACTIVE,
) -> list[ModularityRow]:
    """Modularity of every network by every method and transform.

    Args:
        population: Networks of finite weights.
        methods: See `communities`.
        transforms: See `weight_graph`.
        seeds: Louvain runs a graph.
        null: Shuffled networks behind z and p; 0 for none of these.
        seed: Of the shuffling.
        threshold: |w| above which a weight is active.

    Returns:
        A row a network, method and transform, in this order.

    Raises:
        ValueError: As `weight_graph`, `communities` and `null_modularity` do.
    """
    wiring, rows = population.network.wiring, []
    for network, tensors in enumerate(_networks(population)):
        graphs = {how: weight_graph(wiring, tensors, how, threshold=threshold) for how in transforms}
        for method in methods:
            for how, graph in graphs.items():
                found = communities(graph, method, seeds)
                z: tuple[float, ...] = ()
                if null and (method, how) == ("louvain", "layer_max"):
                    nulls = (
                        null_modularity(wiring, tensors, among=among, n=null, seed=seed, threshold=threshold)
                        for among in ("layer", "used")
                    )
                    z = tuple(value for beside in nulls for value in (beside.z, beside.p))
                rows.append(ModularityRow(network, method, how, found.modularity, len(found), *z))
    return rows


def _networks(population: Population) -> Iterator[dict[str, Tensor]]:
    """The tensors of each network."""
    tensors = population.to("cpu").tensors
    for network in range(len(population)):
        yield {name: tensor[network] for name, tensor in tensors.items()}
