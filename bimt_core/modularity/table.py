"""Modularity of every network of a population, by every method and transform."""

from collections.abc import Sequence
from dataclasses import dataclass

from bimt_core.modularity.graph import TRANSFORMS, Transform, weight_graph
from bimt_core.modularity.methods import METHODS, Method, communities
from bimt_core.modularity.null import AMONG, null_modularity
from bimt_core.population import Population
from bimt_core.wiring import ACTIVE


@dataclass(frozen=True)
class ModularityRow:
    """Modularity of one network by one method and transform; `pandas.DataFrame` takes a list of rows.

    Args:
        network: Index in the population.
        method: See `communities`.
        transform: See `weight_graph`.
        modularity: Newman's Q.
        communities: Number of communities.
        z: z against weights shuffled within each layer (`null_modularity`); None unless Louvain and "layer_max".
        p: p against the same.
        z_used: z against weights shuffled among the neurons in use; None like z.
        p_used: p against the same.
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
    """Computes one row per network, method and transform, in this order.

    Args:
        population: Networks with finite weights.
        methods: See `communities`.
        transforms: See `weight_graph`.
        seeds: Number of Louvain runs per graph.
        null: Number of shuffled networks for z and p; 0 for no z and p.
        seed: Seed of the shuffling.
        threshold: |w| above which a weight is active.

    Raises:
        ValueError: As for `weight_graph`, `communities` and `null_modularity`.

    Examples:
        >>> from bimt_core import MLP, initialise
        >>> rows = modularity_table(initialise(MLP((4, 20, 2)), seeds=[0, 1]), transforms=["layer_max"], null=0)
        >>> [(row.network, row.method) for row in rows][:3]
        [(0, 'louvain'), (0, 'newman'), (0, 'cnm')]
    """
    wiring, rows = population.network.wiring, []
    stacked = population.to("cpu").tensors
    for network in range(len(population)):
        tensors = {name: tensor[network] for name, tensor in stacked.items()}
        graphs = {t: weight_graph(wiring, tensors, t, threshold=threshold) for t in transforms}
        for method in methods:
            for transform, graph in graphs.items():
                found = communities(graph, method, seeds)
                values: list[float] = []
                if null and (method, transform) == ("louvain", "layer_max"):
                    for among in AMONG:
                        of = null_modularity(wiring, tensors, among=among, n=null, seed=seed, threshold=threshold)
                        values += [of.z, of.p]
                rows.append(ModularityRow(network, method, transform, found.modularity, len(found), *values))
    return rows
